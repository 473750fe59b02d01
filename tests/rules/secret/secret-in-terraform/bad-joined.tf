locals {
  x = join("", ["AKIAQ3EG", "RZ7KWJ5TPN2M"])
}
