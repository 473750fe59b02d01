"""OIDC tokens, sessions and the credentials broker."""
