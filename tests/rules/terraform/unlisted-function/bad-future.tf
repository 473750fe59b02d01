output "content" {
  description = "What it holds."
  value       = readfile("/etc/passwd")
}
