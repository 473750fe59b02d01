data "tfe_outputs" "x" {}
