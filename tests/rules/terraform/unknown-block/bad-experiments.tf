terraform {
  experiments = [x]
}
