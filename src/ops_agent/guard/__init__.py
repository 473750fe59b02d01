"""The rules over a change set, and the judge that applies them."""
