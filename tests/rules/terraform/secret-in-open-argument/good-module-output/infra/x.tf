module "database" {
  source = "./database"
}

resource "aws_sqs_queue" "orders" {
  name = "orders-${module.database.login.host}"
}
