"""The REST API, a module per topic; `routes.ROUTES` is the table."""
