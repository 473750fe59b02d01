"""`.github/ops-agent-baseline.yml`: findings that people have agreed to live with, each with a reason, until a day.

It is read from a commit that was reviewed, never from the change that is judged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from ops_agent.config.renamed import accepted, first_name
from ops_agent.config.strict_yaml import MAX_BYTES, YamlNode, read_yaml
from ops_agent.model.errors import ConfigError
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.terraform import Unreadable

BASELINE_FILE = ".github/ops-agent-baseline.yml"
TODO = "TODO"
DAYS = 90
"""How long an entry that `--write-baseline` writes holds, unless a person changes it."""
_KEYS = ("rule", "path", "fingerprint", "reason", "expires")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_HEAD = f"""\
# Findings that do not block, each with a reason and the last day it holds (docs/judge.md). `ops-agent judge
# --write-baseline` writes what blocks now; a reason `{TODO}` is refused until a person has replaced it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One entry. It excuses one finding of this rule in this file, up to and including the day `expires`."""

    rule: str
    path: str
    fingerprint: str
    reason: str
    expires: date
    line: int = 0
    notice: str = ""
    """What to say of the entry's rule where it is written under an old name."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.rule, self.path, self.fingerprint


def fingerprint(finding: Finding, read: Callable[[str], str]) -> str:
    """16 hex digits that stay when lines move: of the rule, the file and the line's text (without one: the message).

    `read` gives a file's text, empty when there is none.
    """
    lines = read(finding.place.path).split("\n") if finding.place.line else []
    text = lines[finding.place.line - 1].strip() if finding.place.line <= len(lines) and lines else ""
    identity = "\0".join((first_name(finding.rule), finding.place.path, text or finding.what))
    return hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:16]


def read_baseline(content: bytes) -> tuple[tuple[Accepted, ...], tuple[str, ...]]:
    """The entries, and every problem (`line 4: ...`): with one, nothing may be excused. An entry whose reason is
    missing or `TODO` is among both, so that it can be written again.
    """
    root = read_yaml(content) if content.strip() else YamlNode("list", 1)
    if isinstance(root, Unreadable):
        return (), (f"line {root.line}: {root.what}",)
    if root.kind != "list":
        return (), (f"line {root.line}: a list of entries is expected",)
    entries, problems = list[Accepted](), list[str]()
    for node in root.items:
        given = {key: value.text.strip() for key, value in node.members if value.kind == "text"}
        wrong = [f"`{key}` is missing or empty" for key in _KEYS[:3] if not given.get(key)]
        wrong += [f"`{key}` is not known; known are {', '.join(_KEYS)}" for key, _ in node.members if key not in _KEYS]
        if given.get("fingerprint") and not _FINGERPRINT.fullmatch(given["fingerprint"]):
            wrong.append("`fingerprint` is not 16 hex digits; `ops-agent judge --write-baseline` writes it")
        try:
            expires = date.fromisoformat(given.get("expires", ""))
        except ValueError:
            wrong.append("`expires` is not a day (YYYY-MM-DD)")
        if not wrong:
            reason = given.get("reason", "")
            if reason.casefold() in ("", TODO.casefold()):
                problems.append(f"line {node.line}: `reason` is not written yet: say why this may stay")
            key = {name: given[name] for name in _KEYS[:3]}
            if (renamed := accepted("rule").get(key["rule"])) is not None:
                key |= {"rule": renamed.new, "notice": renamed.notice}
            entries.append(Accepted(**key, reason=reason, expires=expires, line=node.line))
        problems += [f"line {node.line}: {what}" for what in wrong]
    return tuple(entries), tuple(problems)


def require_usable(problems: tuple[str, ...], where: str) -> None:
    """Raises ConfigError with every problem of the baseline file of `where`."""
    if problems:
        raise ConfigError(
            f"{BASELINE_FILE} {where} cannot be used: {'; '.join(problems)}",
            problems=problems,
            hint=f"Correct `{BASELINE_FILE}` and commit it; nothing is excused until then.",
        )


def excuse(
    findings: Iterable[Finding],
    prints: Mapping[Finding, str],
    entries: tuple[Accepted, ...],
    today: date,
    *,
    whole: bool,
) -> tuple[tuple[Finding, ...], int]:
    """The findings that stay, and how many new ones an entry excused. Expired entries are reported, and unused ones
    where the `whole` tree was judged.
    """
    left = Counter(entry.key for entry in entries if entry.expires >= today)
    kept, excused = list[Finding](), 0
    for finding in findings:
        key = (finding.rule, finding.place.path, prints[finding])
        if not finding.pre_existing and left[key] > 0:
            left[key] -= 1
            excused += 1
        else:
            kept.append(finding)
    for entry in entries:
        if entry.notice:
            kept.append(_about(entry, "renamed", "An entry of the baseline names a rule by its old name", entry.notice))
        if entry.expires < today:
            what = f"the entry for `{entry.rule}` in `{entry.path}` expired on {entry.expires}"
            kept.append(_about(entry, "expired", "An entry of the baseline has expired", what))
        elif whole and left[entry.key] > 0:
            left[entry.key] -= 1
            what = f"nothing is found any more for the entry for `{entry.rule}` in `{entry.path}`"
            kept.append(_about(entry, "unused", "An entry of the baseline is not used", what))
    return tuple(kept), excused


def _about(entry: Accepted, rule: str, title: str, what: str) -> Finding:
    return Finding(
        rule=f"baseline/{rule}",
        title=title,
        what=what,
        remedy=(
            "`ops-agent judge --write-baseline` writes the new name and keeps the reason."
            if rule == "renamed"
            else "Take the entry out; if what it excused is still there, repair it, or agree on a new day and reason."
        ),
        severity=Severity.NOTICE,
        place=Place(path=BASELINE_FILE, line=entry.line),
    )


def write_baseline(
    findings: Iterable[Finding],
    prints: Mapping[Finding, str],
    known: tuple[Accepted, ...],
    today: date,
    is_judged: Callable[[str], bool],
) -> tuple[str, int, int]:
    """The file for everything that blocks, the number of its entries, and of those without a reason yet. `known`
    entries keep reason and day; those for what is gone are left out, where a path `is_judged`. Raises ConfigError when
    the file would be too large to be read.
    """
    left, entries = list(known), list[tuple[Accepted, str]]()
    for finding in (f for f in findings if f.blocks):
        rule, path, print_ = finding.rule, finding.place.path, prints[finding]
        entry = next((e for e in left if e.key == (rule, path, print_)), None)
        if entry is None:
            expires = today + timedelta(days=DAYS)
            entry = Accepted(rule=rule, path=path, fingerprint=print_, reason=TODO, expires=expires)
        else:
            left.remove(entry)
        entries.append((entry, f"{finding.place}: {finding.what}"))
    entries += [(entry, "not judged when this was written") for entry in left if not is_judged(entry.path)]
    blocks = [_HEAD]
    for entry, what in entries:
        values = (*entry.key, entry.reason or TODO, str(entry.expires))
        lines = (f"{name}: {json.dumps(value)}" for name, value in zip(_KEYS, values, strict=True))
        comment = "".join(c if c.isprintable() else "?" for c in what)
        blocks.append(f"\n# {comment}\n- " + "\n  ".join(lines) + "\n")
    text = "".join(blocks)
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(
            f"a baseline of {len(entries)} findings would have more than the {MAX_BYTES:,} bytes that are read",
            hint="Judge changes only (`--base REV`): what is on the base does not block.",
        )
    return text, len(entries), sum((entry.reason or TODO).casefold() == TODO.casefold() for entry, _ in entries)
