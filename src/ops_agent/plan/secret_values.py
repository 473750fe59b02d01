"""Secrets among the planned values that Terraform's marks miss. Masking does not help: they are in the change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from ops_agent.model.finding import Finding
from ops_agent.model.plan import ResourceChange
from ops_agent.plan.configuration import members
from ops_agent.plan.findings import finding
from ops_agent.plan.masking import Leaf, leaves, planned_leaves
from ops_agent.text.redaction import Redactor, entropy, token_finds

_SECRET_NAME = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|secret|token|(?:api|private|access|secret)[_-]?key|credential)s?"
    r"(?:[_-]?(?:value|string|plain))?$"
)
_NAME_LIKE = re.compile(r"(?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4})(?:[-_/.:@](?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4}))*$")
_REFERENCE_LIKE = ("arn:", "/", "http:", "https:", "${", "{{", "secretsmanager:", "ssm:")
_STRONG_LENGTH: Final = 16
_PARTS: Final = 200
"""So many sensitive values are also looked for inside longer strings; all of them as whole strings."""
_ELSEWHERE: Final = "shows a value that is sensitive elsewhere"


class SecretFinder:
    """Secrets that a plan would set in clear text. Fed with one change after the other.

    A secret is: what `redact` knows, a token of a known format, a value that is sensitive elsewhere (`hidden`), or what
    looks random under a name such as `password`.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._leaves: set[Leaf] = set()

    def add(self, strings: Iterable[Leaf]) -> None:
        """Strings that are shown, planned or not."""
        self._leaves.update(strings)

    def secrets(self, hidden: Iterable[str]) -> dict[str, str]:
        """Every secret that was fed, and why it is one, without the value. `hidden`: what is sensitive elsewhere."""
        sensitive = frozenset(text for text in hidden if _worth_hiding(text))
        parts = tuple(sorted(sensitive, key=len, reverse=True)[:_PARTS])
        texts = {text for _, text in self._leaves}
        names = {key for key, _ in self._leaves if _SECRET_NAME.search(key)}
        found = {text: "looks like a secret" for key, text in self._leaves if key in names and looks_random(text)}
        found |= dict.fromkeys(texts & sensitive, _ELSEWHERE)
        joined = "\n".join(texts)
        if (
            self._redact(joined) == joined
            and Redactor().redact(joined) == joined
            and not any(part in joined for part in parts)
        ):
            return found
        return found | {text: why for text in texts if (why := self._known(text, parts))}

    def _known(self, text: str, parts: tuple[str, ...]) -> str | None:
        for name, _, _ in token_finds(text):
            return f"holds a secret ({name})"
        if self._redact(text) != text:
            return "holds a secret of this run"
        return _ELSEWHERE if any(part in text for part in parts) else None


def secret_findings(
    changes: Iterable[ResourceChange], plan: dict[str, Any], secrets: dict[str, str]
) -> tuple[Finding, ...]:
    """One for each attribute that would be set to one of `secrets`; it names the attribute, never the value."""
    if not secrets:
        return ()
    places = [(change.address, planned_leaves(change)) for change in changes]
    places += [(f"output.{name}", shown) for name, shown in output_leaves(plan)]
    found: dict[tuple[str, str], Finding] = {}
    for address, strings in places:
        for key, text in strings:
            if text in secrets:
                why = f"`{key}` {secrets[text]}: it would be published and stored in clear text"
                found.setdefault((address, key), finding("secret-value", address, why))
    return tuple(found.values())


def output_leaves(plan: dict[str, Any]) -> Iterator[tuple[str, list[Leaf]]]:
    """(name, strings) of every output that changes and is shown."""
    for name, change in members(plan.get("output_changes")).items():
        if isinstance(change, dict) and change.get("actions") != ["no-op"] and not change.get("after_sensitive"):
            yield name, leaves(change.get("after"), name)


def looks_random(text: str) -> bool:
    """True for what a machine made or a person chose as a password; False for names, paths, ARNs, URLs and words."""
    if not 8 <= len(text) <= 8192 or any(char.isspace() for char in text):
        return False
    if text.startswith(_REFERENCE_LIKE) or _NAME_LIKE.match(text):
        return False
    kinds = (str.islower, str.isupper, str.isdigit)
    different = sum(any(map(kind, text)) for kind in kinds) + (not text.isalnum())
    return different >= 3 or (len(text) >= _STRONG_LENGTH and entropy(text) >= 3.0)


def _worth_hiding(text: str) -> bool:
    """False for what may be sensitive here and public there: short words, names without a digit, ARNs, paths, URLs."""
    return len(text) >= 12 and not text.startswith(_REFERENCE_LIKE) and any(char.isdigit() for char in text)
