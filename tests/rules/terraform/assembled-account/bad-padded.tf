locals {
  other = "arn:aws:iam::${format("%06d%06d", 1234, 567890)}:root"
}
