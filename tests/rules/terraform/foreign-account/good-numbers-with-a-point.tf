locals {
  ratio   = 0.5
  seconds = 86400.0
  most    = 107374182400.0
}
