"""Figures against other tools and other ways, measured in the same run: `make bench` (ARGS="--only NAME --runs N")."""
