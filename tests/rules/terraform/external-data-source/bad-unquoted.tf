data external x {
  program = ["sh"]
}
