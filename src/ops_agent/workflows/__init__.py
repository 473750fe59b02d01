"""Reading GitHub Actions workflows."""
