module "ledger" {
  source = "git::https://MODULE_HOST/platform/modules.git//sqs?ref=MODULE_COMMIT"

  name = "${local.name_prefix}-ledger"
  tags = local.tags
}
