"""What people read: pull request, comments, job summary, rules page."""
