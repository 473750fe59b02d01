"""Markdown safety, redaction and templates."""
