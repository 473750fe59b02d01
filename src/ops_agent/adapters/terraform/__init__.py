"""The engine, its sandbox and its commands."""
