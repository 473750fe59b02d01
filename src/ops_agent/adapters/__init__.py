"""One external system each: they translate and never decide."""
