locals {
  x = "q8Zr1TnW6yKd0VbX3hLs9PfGj2Mc"
}
