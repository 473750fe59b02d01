locals {
  folder = "${path.module}/policies"
  all    = { for name in fileset(local.folder, "*.json") : name => jsondecode(file("${local.folder}/${name}")) }
  named  = [for name in ["a", "orders"] : file("${local.folder}/${name}.json")]
  own    = file("${local.folder}/${var.service_name}.json")
  hash   = filebase64sha256("${path.root}/dist/code.zip")
}

resource "aws_sqs_queue" "each" {
  for_each = toset(["a", "orders"])
  name     = each.key
  policy   = file("./policies/${each.value}.json")
}
