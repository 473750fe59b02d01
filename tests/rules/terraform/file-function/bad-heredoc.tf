locals {
  text = <<EOT
x ${file("/proc/self/environ")}
EOT
}
