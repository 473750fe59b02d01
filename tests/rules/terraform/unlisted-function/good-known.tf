output "names" {
  description = "Names."
  value       = [for n in toset(["a", "b"]) : upper(n)]
}
