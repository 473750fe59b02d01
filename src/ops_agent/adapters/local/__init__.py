"""A git checkout in place of GitHub, for runs on a laptop."""
