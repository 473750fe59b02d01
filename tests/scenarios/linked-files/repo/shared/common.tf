locals {
  shared_prefix = "${local.name_prefix}-shared"
}
