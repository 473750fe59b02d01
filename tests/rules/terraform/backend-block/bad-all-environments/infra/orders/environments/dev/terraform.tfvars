service_name = "x"
