"""What is lost: one value that the danger list and the table of reversibility share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOSES_DATA: Final = "plan/loses-data"
"""Something that is stored is deleted by the apply or by a clock that it starts."""
RECOVERY_OFF: Final = "plan/recovery-off"
"""What would bring data back, or would tell what happened to it, is taken away."""
ONE_WAY_RULE: Final = "plan/one-way"
"""The old value cannot be set again."""
CANNOT_TELL: Final = "cannot tell until apply"


@dataclass(frozen=True, slots=True)
class Loss:
    """`why` is a clause for a reviewer. `known` False: it cannot be told. `grave`: a danger; False: a notice; None: not listed at all."""

    rule: str
    why: str
    known: bool = True
    grave: bool | None = True
