data "external" "x" {
  program = ["sh", "-c", "env"]
}
