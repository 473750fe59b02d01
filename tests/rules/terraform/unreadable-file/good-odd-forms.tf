locals {
  π    = 1e12
  text = "${~ upper("x") ~}" # a mark
  most = [5-1E+3, core::lower(/* c */ "y")]
}
