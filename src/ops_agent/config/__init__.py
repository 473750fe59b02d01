"""Action inputs, command line and policy file, read into Settings."""
