"""keep: what the agent changed in a run that ended without a pull request, as a patch for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ops_agent.config.settings import Settings
from ops_agent.guard.judge import judge
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import source_tree
from ops_agent.model.change_set import ChangeSet, KeptPatch
from ops_agent.model.ports import Scratch
from ops_agent.run.commit import as_patch

MAX_CHARACTERS: Final = 1_000_000
_SECRET, _PATH = "secret/", "path/"
_RULES = tuple(rule for rule in TABLE if rule.id.startswith((_SECRET, _PATH)))


def kept_patch(scratch: Scratch, settings: Settings, redact: Callable[[str], str]) -> KeptPatch | None:
    """The files of `scratch` that differ from its base, as a redacted patch; None when there is none to keep.

    A file stays out when a rule finds a secret in it, when the redaction would change it, or when the guard refuses its
    path or its bytes. Raises nothing: the run ends for another reason already, and what cannot be judged is not shown.
    """
    try:
        changes = scratch.change_set()
        if not changes.changes:
            return None
        withheld = _withheld(scratch, settings, changes)
        kept, size = [], 0
        for change in changes.written.changes:
            if change.path in withheld:
                continue
            text = as_patch(replace(changes, changes=(change,)))
            if redact(text) != text:
                withheld[change.path] = "the redaction would change it"
            elif size + len(text) > MAX_CHARACTERS:
                withheld[change.path] = "the patch would be too long"
            else:
                kept.append(text)
                size += len(text)
        return KeptPatch(text=redact("".join(kept)), left_out=tuple(sorted(withheld.items())))
    except Exception:
        return None


def _withheld(scratch: Scratch, settings: Settings, changes: ChangeSet) -> dict[str, str]:
    """Changed files that nobody may be shown, with the reason."""
    tree = source_tree(scratch.base, settings.policy)
    withheld: dict[str, str] = {}
    files = {change.path: change.leads_to or change.path for change in changes.changes}
    for finding in judge(changes, tree, settings.policy, limits=settings.limits, table=_RULES).findings:
        if finding.place.path not in files:
            continue
        if finding.rule.startswith(_SECRET):
            withheld[files[finding.place.path]] = "a rule finds a secret in it"
        elif finding.blocks and (finding.rule.startswith(_PATH) or finding.rule == "guard/rule-crashed"):
            withheld.setdefault(files[finding.place.path], "the guard refuses it")
    return withheld
