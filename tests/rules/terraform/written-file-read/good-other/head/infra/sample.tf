locals {
  again = file("${path.module}/texts/policy.json")
}
