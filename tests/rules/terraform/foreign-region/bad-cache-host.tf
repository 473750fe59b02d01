locals {
  host = "orders.abcdef.0001.use1.cache.amazonaws.com"
}
