"""Plan JSON in; changes, dangers and losses out."""
