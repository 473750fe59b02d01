"""Patterns of AWS region names, below the rules over sources and the checks of a plan."""

from __future__ import annotations

import re
from typing import Final

REGION: Final = (
    r"(?:af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(?:-gov|-iso[a-z]?|-de)?"
    r"-(?:central|east|north|northeast|northwest|south|southeast|southwest|west)-[0-9]{1,2}"
)
"""A region's name in lower case: `eu-west-1`."""
SHORT_REGION: Final = re.compile(
    r"(?<![a-z0-9])(af|ap|ca|cn|eu|il|me|mx|sa|us|usg)(n|s|e|w|c|ne|nw|se|sw)([0-9]{1,2})"
    r"(?=(?:-[a-z]{3}[0-9]{1,2})?-az[0-9]|\.cache\.)",
    re.IGNORECASE,
)
"""A region as zone ids (`euw1-az1`, `usw2-lax1-az1`) and hosts of ElastiCache (`.euw1.cache.`) begin."""
_DIRECTIONS: Final = {"n": "north", "s": "south", "e": "east", "w": "west", "c": "central"}


def region_of(found: re.Match[str]) -> str:
    """The name of the region that SHORT_REGION found: `eu-west-1` for `euw1`."""
    area, direction, number = found[1].lower(), found[2].lower(), found[3]
    words = "".join(_DIRECTIONS[letter] for letter in direction)
    return f"{'us-gov' if area == 'usg' else area}-{words}-{number}"
