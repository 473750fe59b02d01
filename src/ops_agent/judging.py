"""`ops-agent judge`: a checkout on this disk against the rules. Nothing of it is executed, and no network is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TextIO

from ops_agent import __version__
from ops_agent.adapters.linters import WheelLinters
from ops_agent.adapters.local.checkout import Checkout, modules_in, open_checkout
from ops_agent.adapters.local.git_objects import GitTree
from ops_agent.config.arguments import Command
from ops_agent.config.baseline import (
    BASELINE_FILE,
    TODO,
    Accepted,
    excuse,
    fingerprint,
    read_baseline,
    require_usable,
    write_baseline,
)
from ops_agent.config.policy_file import narrow_by_policy_file
from ops_agent.config.settings import Settings
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.model.errors import ConfigError
from ops_agent.model.finding import Finding
from ops_agent.model.outcome import Conclusion
from ops_agent.model.policy import Policy
from ops_agent.pages.findings import FORMATS, Judgement, as_text
from ops_agent.run.checkout import is_judged, judge_change, judge_tree, unjudged, without_defaults
from ops_agent.terraform.links import FollowedTree


def judge_checkout(command: Command, inputs: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Judge, show, and say by the exit code whether something blocks. Raises ConfigError, ToolchainError.

    The policy file and the baseline are those of the base, and without one those of HEAD: what is judged cannot change
    what it is judged by.
    """
    settings = Settings.from_inputs(inputs)
    today = datetime.now(UTC).date()
    with open_checkout(command.repository or Path()) as checkout:
        base = checkout.base(command.base) if command.base is not None else None
        rules_of = base or checkout.head()
        if rules_of is not None:
            settings = narrow_by_policy_file(settings, rules_of)
        for notice in settings.notices:
            err.write(f"warning: {notice}\n")
        policy, missing = without_defaults(settings, inputs)
        findings = _of_change(checkout, base, policy, missing, inputs) if base else _of_tree(checkout, policy, missing)
        links = filter(is_judged, checkout.links_since(FollowedTree(base) if base else None))
        why = "this symbolic link shows no file of the repository, and Terraform follows it"
        findings += tuple(unjudged(path, why) for path in links)
        prints = {finding: fingerprint(finding, lambda path: _text(checkout, path)) for finding in findings}
        for name in missing:
            err.write(f"note: no `{name}` is given, so the rules that need it were left out (`--input {name}=...`)\n")
        if command.write_baseline:
            return _write(checkout, findings, prints, today, err, whole=base is None)
        kept, excused = excuse(findings, prints, _accepted(rules_of), today, whole=not base and not checkout.scope)
    kept = tuple(sorted(kept, key=lambda f: (f.place, f.severity, f.rule, f.what)))
    shown = Judgement(findings=kept, prints=prints, excused=excused, version=__version__)
    has_colours = out.isatty() and not inputs.get("NO_COLOR") and inputs.get("TERM") != "dumb"
    out.write(as_text(shown, colours=has_colours) if command.format == "text" else FORMATS[command.format](shown))
    return Conclusion.BLOCKED_BY_POLICY.exit_code if shown.blocks else 0


def _of_change(
    checkout: Checkout, base: GitTree, policy: Policy, missing: tuple[str, ...], inputs: Mapping[str, str]
) -> tuple[Finding, ...]:
    followed = FollowedTree(base)
    changes = checkout.changes_since(followed)
    if not changes.changes:
        return ()
    home = inputs.get("XDG_CACHE_HOME") or (f"{inputs['HOME']}/.cache" if inputs.get("HOME") else "")
    modules = modules_in(checkout, followed, Path(home, "ops-agent") if home else None)
    paths = tuple(path for path, entry in followed.entries().items() if entry.is_regular)
    tree = SourceTree(FilesInMemory(paths, followed.read, modules), policy)
    return judge_change(WheelLinters(), changes, tree, missing)


def _of_tree(checkout: Checkout, policy: Policy, missing: tuple[str, ...]) -> tuple[Finding, ...]:
    entries = checkout.followed.entries()
    paths = frozenset(path for path, entry in entries.items() if entry.is_regular)
    checkout.load([entries[path].leads_to or path for path in paths if is_judged(path)])
    return judge_tree(WheelLinters(), paths, checkout.followed.read, checkout.scope, policy, missing)


def _text(checkout: Checkout, path: str) -> str:
    entry = checkout.followed.entries().get(path)
    return checkout.followed.read(path).decode(errors="replace") if entry is not None and entry.is_regular else ""


def _accepted(tree: GitTree | None) -> tuple[Accepted, ...]:
    entry = tree.entries().get(BASELINE_FILE) if tree else None
    if tree is None or entry is None:
        return ()
    if not entry.is_regular:
        raise ConfigError(f"{BASELINE_FILE} is not a regular file", hint="Replace it by a regular file.")
    entries, problems = read_baseline(tree.read(BASELINE_FILE))
    require_usable(problems, f"of the commit {tree.commit[:12]}")
    return entries


def _write(
    checkout: Checkout,
    findings: tuple[Finding, ...],
    prints: Mapping[Finding, str],
    today: date,
    err: TextIO,
    *,
    whole: bool,
) -> int:
    """Write the baseline into the work tree, for a person to complete and commit; what is there keeps its reasons."""
    known, problems = read_baseline(_text(checkout, BASELINE_FILE).encode())
    require_usable(tuple(p for p in problems if "`reason`" not in p), "of the work tree")
    text, count, todo = write_baseline(
        findings, prints, known, today, lambda path: whole and path.startswith(checkout.scope)
    )
    file = checkout.top / BASELINE_FILE
    try:
        file.parent.mkdir(exist_ok=True)
        if file.parent.is_symlink():
            raise OSError(0, "its directory is a symbolic link")
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644), "w") as opened:
            opened.write(text)
    except OSError as error:
        raise ConfigError(f"{BASELINE_FILE} cannot be written: {error.strerror}", hint="Make it writable.") from error
    err.write(f"{BASELINE_FILE} has {count} {'entry' if count == 1 else 'entries'}.")
    err.write(f" {todo} of them need a reason in the place of `{TODO}`; then commit it.\n" if todo else "\n")
    return 0
