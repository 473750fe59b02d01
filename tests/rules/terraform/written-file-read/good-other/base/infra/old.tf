locals {
  text = file("${path.module}/texts/policy.json")
}
