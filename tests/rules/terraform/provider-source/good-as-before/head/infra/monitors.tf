resource "datadog_monitor" "errors" {
  name    = "errors"
  type    = "metric alert"
  message = "errors"
  query   = "avg(last_5m):avg:orders.errors{*} > 1"
}
