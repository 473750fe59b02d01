locals {
  text = <<-EOT
    Custo mensal: R$ 10
      dois termos
  EOT
}
