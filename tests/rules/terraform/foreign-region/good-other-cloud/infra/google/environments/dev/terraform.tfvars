project_number = "123456789012"
