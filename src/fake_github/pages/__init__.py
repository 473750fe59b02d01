"""Plain pages for people: issue, board, pull request, at the paths that GitHub uses. No script, one style sheet."""
