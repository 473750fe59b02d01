"""One outside thing each: they translate and never decide."""
