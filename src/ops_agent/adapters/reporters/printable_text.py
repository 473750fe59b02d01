"""What every reporter does to a text before it is shown: secrets out, control characters made visible."""

from __future__ import annotations

import re
from collections.abc import Callable

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
WITHHELD = "(withheld: the redaction of this text failed)"


def printable(text: str) -> str:
    """`text` without terminal escapes and other control characters (line feeds and tabs stay), each shown as its code."""
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def closed_redaction(redact: Callable[[str], str]) -> Callable[[str], str]:
    """`redact`, but text that it fails on is withheld: a reporter must neither leak nor end the run."""

    def apply(text: str) -> str:
        try:
            return redact(text)
        except Exception:
            return WITHHELD

    return apply
