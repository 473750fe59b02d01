"""Texts as GitHub keeps them."""

from __future__ import annotations


def as_kept(text: str) -> str:
    """`text` for a comparison with what GitHub gives back: it may trim a body, and change its line ends."""
    return text.replace("\r\n", "\n").strip()
