project_number = "210987654321"
