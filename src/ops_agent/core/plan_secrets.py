"""Secrets among the planned values: what Terraform's own marks miss must not be published, not even masked (it is in the change itself)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from ops_agent.core.plan_values import leaves
from ops_agent.core.redaction import Redactor
from ops_agent.core.redaction_formats import token_finds
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
_SENSITIVE_ELSEWHERE = "shows a value that is sensitive elsewhere"


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


def secret_dangers(
    changes: tuple[ResourceChange, ...], plan: dict[str, Any], hidden: list[str], redact: Callable[[str], str]
) -> tuple[tuple[Danger, ...], tuple[str, ...]]:
    """Blocking dangers for secrets that the plan would set in clear, and the strings that its text must not show.

    A secret is: what `redact` knows, a token of a known format, a value that is sensitive elsewhere (`hidden`), or what looks random
    under a name such as `password`. The danger names the attribute, never the value.
    """
    sensitive = frozenset(text for text in hidden if _worth_hiding(text))
    parts = tuple(sorted(sensitive, key=len, reverse=True)[:_PARTS])
    places = list(_planned(changes, plan))
    texts = "\n".join({text for *_, text, _ in places})
    clean = redact(texts) == texts and Redactor().redact(texts) == texts and not any(part in texts for part in parts)
    dangers: dict[tuple[str, str], Danger] = {}
    leaked: list[str] = []
    names: dict[str, bool] = {}
    for address, key, text, planned in places:
        why = _SENSITIVE_ELSEWHERE if text in sensitive else None if clean else _known_secret(text, redact, parts)
        if why is None:
            secret_name = names.get(key)
            if secret_name is None:
                secret_name = names[key] = bool(_SECRET_NAME.search(key))
            if secret_name and looks_random(text):
                why = "looks like a secret"
        if why is not None:
            leaked.append(text)
            if planned:
                dangers.setdefault((address, key), _danger(address, key, why))
    return tuple(dangers.values()), tuple(leaked)


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


def _planned(changes: tuple[ResourceChange, ...], plan: dict[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    """(address, key, string, whether this plan sets it) for every shown string of what changes."""
    for change in changes:
        after = change.after if isinstance(change.after, dict) else {}
        for name in change.changed_attributes:
            for key, text in leaves(after.get(name), name):
                yield change.address, key, text, True
        for key, text in leaves(change.before):
            yield change.address, key, text, False
    outputs = plan.get("output_changes")
    for name, change in outputs.items() if isinstance(outputs, dict) else ():
        if isinstance(change, dict) and change.get("actions") != ["no-op"] and not change.get("after_sensitive"):
            for key, text in leaves(change.get("after"), name):
                yield f"output.{name}", key, text, True


def _known_secret(text: str, redact: Callable[[str], str], parts: tuple[str, ...]) -> str | None:
    for name, _, _ in token_finds(text):
        return f"holds a secret ({name})"
    if redact(text) != text:
        return "holds a secret of this run"
    return _SENSITIVE_ELSEWHERE if any(part in text for part in parts) else None


def _worth_hiding(text: str) -> bool:
    """False for what may well be both sensitive here and public there: short words, names without a digit, ARNs, paths, URLs."""
    return len(text) >= 12 and not text.startswith(_REFERENCE_LIKE) and any(char.isdigit() for char in text)


def _danger(address: str, key: str, why: str) -> Danger:
    return Danger(address=address, why=f"`{key}` {why}: it would be published and stored in clear", rule=RULE, blocks=True)
