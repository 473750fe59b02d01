output "text" {
  description = "Content."
  value       = [{ a = 1 }][*][file("/proc/self/environ")]
}
