data "ex\u0074ernal" "x" {
  program = ["sh"]
}
