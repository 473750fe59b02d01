"""Secrets among the planned values that Terraform's marks miss. Masking does not help: they are in the change."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Final

from ops_agent.model.finding import Finding
from ops_agent.model.plan import OutputChange, ResourceChange
from ops_agent.plan.findings import finding
from ops_agent.plan.masking import Leaf, leaves, parsed_json, planned_leaves
from ops_agent.text.redaction import Redactor, entropy, token_finds

_SECRET_NAME = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|(?:^|[_.-]|pg|db)pass|pwd|secret|token|credential"
    r"|(?:api|private|access|secret|encryption|signing)[_-]?key)s?(?:[._-]?(?:value|string|plain))?$"
)
_MAY_NAME_A_SECRET = re.compile(r"(?i)pass|pwd|secret|token|key|credential")
_MAY_BE_AN_ID = re.compile(
    r"(?i)(?:(?:encryption|signing)[_-]?key|(?:client|creation|request|idempotency)[_-]?token)(?:[._-]?value)?$"
)
_ID = re.compile(r"(?i)(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}|terraform-[0-9a-f]{26})$")
_ASSIGNED = re.compile(
    r"""(?<![\w.-])([\w.-]{1,80}+)["']?(?:[ \t]{0,8}=[ \t]{0,8}|:[ \t]{1,8})"""
    r"""["']?(?![$%<{(\[`])([^\s"'\\;,&]{8,8192}+)"""
)
_NAME_LIKE = re.compile(r"(?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4})(?:[-_/.:@](?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4}))*$")
_REFERENCE_LIKE = ("arn:", "alias/", "/", "http:", "https:", "${", "{{", "secretsmanager:", "ssm:")
_STRONG_LENGTH: Final = 16
_PARTS: Final = 200
"""So many sensitive values are also looked for inside longer strings; all of them as whole strings."""
_ELSEWHERE: Final = "shows a value that is sensitive elsewhere"


def secrets_among(strings: Collection[Leaf], hidden: Iterable[str], redact: Callable[[str], str]) -> dict[str, str]:
    """The secrets among `strings`, which a plan shows, each with the reason in words for a reviewer.

    A secret is: what `redact` knows, a token of a known format, a value that is sensitive elsewhere (`hidden`), or what
    looks random under a name such as `password`, which may stand in a JSON document, a script or a connection string.
    """
    strings = _inside_too(strings)
    sensitive = frozenset(text for text in hidden if _worth_hiding(text))
    parts = tuple(sorted(sensitive, key=len, reverse=True)[:_PARTS])
    texts = {text for _, text in strings}
    names = {key for key, _ in strings if _SECRET_NAME.search(key)}
    ids = {key for key in names if _MAY_BE_AN_ID.search(key)}
    found = {
        text: "looks like a secret"
        for key, text in strings
        if key in names and looks_random(text) and not (key in ids and _ID.match(text))
    }
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
    """`strings`, and those inside of JSON documents, scripts and connection strings among them, such as the variables
    of a container definition or `export NAME=value`.
    """
    found = list(strings)
    for key, text in found:  # which grows meanwhile
        may_hold = "=" in text or ": " in text or text[0] in "[{" or text[0].isspace()
        if may_hold and _MAY_NAME_A_SECRET.search(text):
            parsed = parsed_json(text)
            assigned = _ASSIGNED.findall(text) if parsed is None else ()
            found.extend(leaf for leaf in assigned if _SECRET_NAME.search(leaf[0]))
            found.extend(leaves(parsed, key))
    return found


def secret_findings(
    changes: Iterable[ResourceChange], outputs: Iterable[OutputChange], secrets: dict[str, str]
) -> tuple[Finding, ...]:
    """One for each attribute that would be set to one of `secrets`; it names the attribute, never the value."""
    if not secrets:
        return ()
    places = [(change.address, planned_leaves(change)) for change in changes]
    places += [(f"output.{output.name}", leaves(output.after, output.name)) for output in outputs]
    found: dict[tuple[str, str], Finding] = {}
    for address, strings in places:
        for key, text in _inside_too(strings):
            if text in secrets:
                why = f"`{key}` {secrets[text]}: it would be published and stored in clear text"
                found.setdefault((address, key), finding("secret-value", address, why))
    return tuple(found.values())


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
