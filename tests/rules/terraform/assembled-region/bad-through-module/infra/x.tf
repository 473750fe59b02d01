module "m" {
  source = "./m"
  parts  = { side = "east", number = 1 }
}
