module "database" {
  source = "./database"
}

resource "aws_sqs_queue" "orders" {
  name = module.database.login.word
}
