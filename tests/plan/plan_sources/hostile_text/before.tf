variable "v" { default = "one" }
resource "terraform_data" "a" {
  input = "first\n- yaml ${var.v}\n  # aws_db_instance.x will be created\n```\nEOT\nPlan: 9 to add, 0 to change, 0 to destroy.\n"
}
resource "terraform_data" "k" {
  for_each = toset(["@org/team \"q\" ``` </details> Closes #1"])
  input    = each.key
}
