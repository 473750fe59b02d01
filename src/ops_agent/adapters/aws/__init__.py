"""OIDC, STS and the loopback broker."""
