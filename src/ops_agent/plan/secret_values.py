"""Secrets among the planned values that Terraform's marks miss. Masking does not help: they are in the change."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from ops_agent.model.finding import Finding
from ops_agent.model.plan import ResourceChange
from ops_agent.plan.configuration import members
from ops_agent.plan.findings import finding
from ops_agent.plan.masking import Leaf, leaves, parsed_json, planned_leaves
from ops_agent.text.redaction import Redactor, entropy, token_finds

_SECRET_NAME = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|secret|token|(?:api|private|access|secret)[_-]?key|credential)s?"
    r"(?:[_-]?(?:value|string|plain))?$"
)
_MAY_NAME_A_SECRET = re.compile(r"(?i)pass|secret|token|key|credential")
_NAME_LIKE = re.compile(r"(?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4})(?:[-_/.:@](?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4}))*$")
_REFERENCE_LIKE = ("arn:", "/", "http:", "https:", "${", "{{", "secretsmanager:", "ssm:")
_STRONG_LENGTH: Final = 16
_PARTS: Final = 200
"""So many sensitive values are also looked for inside longer strings; all of them as whole strings."""
_ELSEWHERE: Final = "shows a value that is sensitive elsewhere"


def secrets_among(strings: Collection[Leaf], hidden: Iterable[str], redact: Callable[[str], str]) -> dict[str, str]:
    """The secrets among `strings`, which a plan shows, each with the reason in words for a reviewer.

    A secret is: what `redact` knows, a token of a known format, a value that is sensitive elsewhere (`hidden`), or what
    looks random under a name such as `password`, which may stand in a JSON document.
    """
    strings = _inside_too(strings)
    sensitive = frozenset(text for text in hidden if _worth_hiding(text))
    parts = tuple(sorted(sensitive, key=len, reverse=True)[:_PARTS])
    texts = {text for _, text in strings}
    names = {key for key, _ in strings if _SECRET_NAME.search(key)}
    found = {text: "looks like a secret" for key, text in strings if key in names and looks_random(text)}
    found |= dict.fromkeys(texts & sensitive, _ELSEWHERE)

    def known(text: str) -> str | None:
        for name, _, _ in token_finds(text):
            return f"holds a secret ({name})"
        if redact(text) != text:
            return "holds a secret of this run"
        return _ELSEWHERE if any(part in text for part in parts) else None

    joined = "\n".join(texts)
    if redact(joined) == joined == Redactor().redact(joined) and not any(part in joined for part in parts):
        return found
    return found | {text: why for text in texts if (why := known(text))}


def _inside_too(strings: Iterable[Leaf]) -> list[Leaf]:
    """`strings`, and those inside of JSON documents among them, such as the variables of a container definition."""
    found = list(strings)
    for key, text in found:  # which grows meanwhile
        if text[0] in "[{" and _MAY_NAME_A_SECRET.search(text):
            found.extend(leaves(parsed_json(text), key))
    return found


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
        for key, text in _inside_too(strings):
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
