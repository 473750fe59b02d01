module "x" {
  source = "github.com/x/y?ref=main"
}
