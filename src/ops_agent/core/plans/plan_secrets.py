"""Secrets among the planned values: what Terraform's own marks miss must not be published, not even masked (it is in the change itself)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from ops_agent.core.plans.plan_values import Leaf, leaves, planned_leaves
from ops_agent.core.texts.redaction import Redactor
from ops_agent.core.texts.redaction_formats import token_finds
from ops_agent.domain.terraform_plan import Danger, ResourceChange

RULE: Final = "plan/secret-value"
_SECRET_NAME = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|secret[_-]?key|credential)s?(?:[_-]?(?:value|string|plain))?$"
)
_NAME_LIKE = re.compile(r"(?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4})(?:[-_/.:@](?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4}))*$")
_REFERENCE_LIKE = ("arn:", "/", "http:", "https:", "${", "{{", "secretsmanager:", "ssm:")
_STRONG_LENGTH = 16
_PARTS = 200
"""So many sensitive values are also looked for inside longer strings; all of them as whole strings."""
_ELSEWHERE = "shows a value that is sensitive elsewhere"


def configured_secrets(plan: dict[str, Any]) -> list[str]:
    """Values of the root variables that the configuration declares sensitive or ephemeral; the plan's `variables` carry no mark."""
    configuration = plan.get("configuration")
    root = configuration.get("root_module") if isinstance(configuration, dict) else None
    declared = root.get("variables") if isinstance(root, dict) else None
    given = plan.get("variables")
    if not isinstance(declared, dict) or not isinstance(given, dict):
        return []
    found: list[str] = []
    for name, declaration in declared.items():
        if isinstance(declaration, dict) and (declaration.get("sensitive") or declaration.get("ephemeral")):
            found.extend(text for _, text in leaves(given.get(name)))
    return found


class SecretFinder:
    """Secrets that a plan would set in clear. Fed with one change after the other.

    A secret is: what `redact` knows, a token of a known format, a value that is sensitive elsewhere (`hidden`), or what looks random
    under a name such as `password`.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._leaves: set[Leaf] = set()

    def add(self, strings: Iterable[Leaf]) -> None:
        """Strings that are shown, planned or not."""
        self._leaves.update(strings)

    def secrets(self, hidden: Iterable[str]) -> dict[str, str]:
        """Every secret that was fed, and why it is one (words for a reviewer, without the value). `hidden`: what is sensitive elsewhere."""
        sensitive = frozenset(text for text in hidden if _worth_hiding(text))
        parts = tuple(sorted(sensitive, key=len, reverse=True)[:_PARTS])
        texts = {text for _, text in self._leaves}
        names = {key for key, _ in self._leaves if _SECRET_NAME.search(key)}
        found = {text: "looks like a secret" for key, text in self._leaves if key in names and looks_random(text)}
        found |= dict.fromkeys(texts & sensitive, _ELSEWHERE)
        joined = "\n".join(texts)
        if self._redact(joined) == joined and Redactor().redact(joined) == joined and not any(part in joined for part in parts):
            return found
        known = {text: why for text in texts if (why := _known_secret(text, self._redact, parts))}
        return found | known


def secret_dangers(changes: Iterable[ResourceChange], plan: dict[str, Any], secrets: dict[str, str]) -> tuple[Danger, ...]:
    """Blocking dangers for those of `secrets` that this plan would set; each names the attribute, never the value."""
    if not secrets:
        return ()
    dangers: dict[tuple[str, str], Danger] = {}
    places = [(change.address, planned_leaves(change)) for change in changes]
    for address, strings in (*places, *((f"output.{name}", found) for name, found in output_leaves(plan))):
        for key, text in strings:
            if text in secrets:
                why = f"`{key}` {secrets[text]}: it would be published and stored in clear"
                dangers.setdefault((address, key), Danger(address=address, why=why, rule=RULE, blocks=True))
    return tuple(dangers.values())


def output_leaves(plan: dict[str, Any]) -> Iterator[tuple[str, list[Leaf]]]:
    """(name, strings) of every output that changes and is shown."""
    outputs = plan.get("output_changes")
    for name, change in outputs.items() if isinstance(outputs, dict) else ():
        if isinstance(change, dict) and change.get("actions") != ["no-op"] and not change.get("after_sensitive"):
            yield name, leaves(change.get("after"), name)


def looks_random(text: str) -> bool:
    """True for what a machine made or a person chose as a password; False for names, paths, ARNs, URLs and words."""
    if not 8 <= len(text) <= 8192 or any(char.isspace() for char in text):
        return False
    if text.startswith(_REFERENCE_LIKE) or _NAME_LIKE.match(text):
        return False
    kinds = (any(c.islower() for c in text), any(c.isupper() for c in text), any(c.isdigit() for c in text), not text.isalnum())
    return sum(kinds) >= 3 or (len(text) >= _STRONG_LENGTH and _entropy(text) >= 3.0)


def _entropy(text: str) -> float:
    """Shannon entropy in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _known_secret(text: str, redact: Callable[[str], str], parts: tuple[str, ...]) -> str | None:
    for name, _, _ in token_finds(text):
        return f"holds a secret ({name})"
    if redact(text) != text:
        return "holds a secret of this run"
    return _ELSEWHERE if any(part in text for part in parts) else None


def _worth_hiding(text: str) -> bool:
    """False for what may well be both sensitive here and public there: short words, names without a digit, ARNs, paths, URLs."""
    return len(text) >= 12 and not text.startswith(_REFERENCE_LIKE) and any(char.isdigit() for char in text)
