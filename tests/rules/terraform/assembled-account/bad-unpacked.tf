locals {
  other = "arn:aws:iam::${base64gunzip("H4sIALPPDWsC/7O0tLS0AAJzIAAAVIO4ZwwAAAA=")}:root"
}
