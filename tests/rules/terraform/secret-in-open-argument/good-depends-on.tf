resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "orders" {
  name       = "orders"
  depends_on = [aws_db_instance.main]

  lifecycle {
    replace_triggered_by = [aws_db_instance.main]
  }
}

module "queue" {
  source     = "./modules/queue"
  depends_on = [aws_db_instance.main]
}
