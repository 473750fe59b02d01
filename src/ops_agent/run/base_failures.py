"""What the base commit fails by itself. The same failure of the head is a property of the repository, never the
change's fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from ops_agent.model.finding import Finding
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification

Mark = tuple[str, str, str, str]
"""What makes two failures the same: rule, path, message and the text of the line, but not its number."""

_PASSING = re.compile(
    r"(?i)(?:request|host) ?id:? ?[\w+/=-]+|/tmp/\S+|\d{4}-\d\d-\d\dT[\d:.]+Z?|(?<=\.tf):\d+|\bline \d+"
)
"""Parts of a message that differ from one time to the next."""


class BaseFailures:
    """Failed checks of the base by name and subject: a target, or the root for `validate`, which its targets share. The
    last result counts: what passes later has never failed.
    """

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], tuple[CheckResult, frozenset[Mark]]] = {}

    def note(self, check: CheckResult, tree: Path) -> None:
        """A result of the base's files in `tree`."""
        self._failures.pop((check.name, check.subject), None)
        if check.status is CheckStatus.FAILED:
            marks = frozenset(_marks(check, partial(read_file, tree)).values())
            self._failures[check.name, check.subject] = check, marks

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        return tuple(check for check, _ in list(self._failures.values()))  # the thread of base_first.py may add one

    def excuse(self, target: TargetVerification, read: Callable[[str], bytes | None]) -> TargetVerification:
        """The head's verification of a target; a check that fails as on the base is `ON_BASE`, and says why there is no
        plan.
        """
        checks = tuple(self.excused(check, check.subject, read) for check in target.checks)
        same = next((check for check in checks if check.status is CheckStatus.ON_BASE), None)
        why = f"`{same.name}` fails on the base branch already" if same and target.plan is None else None
        return replace(target, checks=checks, unplanned=target.unplanned or why)

    def excused(self, check: CheckResult, subject: str, read: Callable[[str], bytes | None]) -> CheckResult:
        """A check of the head's files, which `read` gives. Errors that the base has too are pre-existing; when there is
        no other, the check is `ON_BASE`.
        """
        _, known = self._failures.get((check.name, subject), (None, frozenset[Mark]()))
        if check.status is not CheckStatus.FAILED or not known:
            return check
        marks = _marks(check, read)
        findings = tuple(replace(f, pre_existing=True) if marks.get(f) in known else f for f in check.findings)
        status = CheckStatus.ON_BASE if known.issuperset(marks.values()) else check.status
        return replace(check, findings=findings, status=status)


def _marks(check: CheckResult, read: Callable[[str], bytes | None]) -> Mapping[Finding | None, Mark]:
    """The mark of each error; of a check without errors that of its output."""
    errors = [f for f in check.findings if f.blocks]
    if not errors:
        return {None: (check.name, "", _lasting(check.output), "")}
    return {f: (f.rule, f.place.path, _lasting(f.what), _line(f, read)) for f in errors}


def _lasting(text: str) -> str:
    return " ".join(_PASSING.sub("", text).split())


def _line(finding: Finding, read: Callable[[str], bytes | None]) -> str:
    content = read(finding.place.path) if finding.place.line > 0 else None
    lines = content.split(b"\n") if content is not None else []
    number = finding.place.line - 1
    return lines[number].decode(errors="replace").strip() if 0 <= number < len(lines) else ""


def read_file(tree: Path, path: str) -> bytes | None:
    """The bytes of a file in `tree`, None when there is none."""
    place = tree / path
    return place.read_bytes() if place.is_file() else None
