locals {
  most_bytes = 107374182400
  built      = "orders-202405311200"
  id         = "6f9619ff-8b86-d011-b42d-123456789012"
  version    = 202405311200
}
