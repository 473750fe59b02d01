locals {
  text = "a-long-text-of-plain-words-is-no-secret"
}
