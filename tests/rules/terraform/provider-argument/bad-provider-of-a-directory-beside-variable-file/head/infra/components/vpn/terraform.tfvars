stage = "admin"
