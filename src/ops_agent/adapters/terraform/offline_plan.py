"""Runs the engine for the offline plan (plan/offline.py): mocked runs of both sides, then the provider on literals.

Everything runs in the workspace's cell, with its commands and without a credential. The generated files join the cell's
copy of the tree, never the change set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.diagnostics import finding, json_lines
from ops_agent.adapters.terraform.processes import Capped, ChildResult
from ops_agent.adapters.terraform.workspace import Workspace
from ops_agent.model.plan import OfflinePlan
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.offline import (
    Difference,
    Item,
    Place,
    Side,
    configuration,
    difference,
    mocked_test,
    offline_plan,
    provider_outputs,
    read_side,
    state,
    stated,
    whole,
)
from ops_agent.terraform.modules import LOCK_FILE
from ops_agent.terraform.statements import Statements, read_statements

TEST_FILE: Final = "zz_ops_agent_offline.tftest.json"
OUTPUTS_FILE: Final = "zz_ops_agent_offline.tf.json"
_LOCKED: Final = re.compile(r'^provider "([^"\s]+)"', re.MULTILINE)
PLAN_FILE: Final = "plan.tftest.json"
PLAN_TEST: Final = json.dumps({"run": {"planned": {"command": "plan"}}})
# A mocked run prints the provider's schemas beside its plan and its state: 14 MB each with 5.100.
_MOST: Final = 192 << 20
_MOST_RUNS, _MOST_PLANS = 3, 6
_FLAT: Final = re.compile(r"(?:data\.)?[a-z0-9_]+\.l?(e\d+r\d+)\b")


@dataclass(slots=True)
class Seen:
    """What earlier mocked runs of a root showed: later ones (of the head, of another environment) need fewer."""

    items: dict[str, Item] = field(default_factory=dict)
    schemas: dict[str, Any] = field(default_factory=dict)


def mocked_side(workspace: Workspace, seen: Seen) -> Side | str:
    """One side after its mocked runs; or in one sentence why there is none."""
    modules = _modules(workspace)
    if modules is None:
        return "a module lies outside of what may be read"
    statements = read_statements(modules)
    if why := _not_mocked(statements):
        return why
    place = place_of(workspace)
    (workspace.directory / OUTPUTS_FILE).write_text(provider_outputs(statements))
    workspace.sandbox.hand_over(workspace.cell)
    if not seen.schemas:
        seen.schemas.update(_schemas(workspace))
    why = "its instances differ from run to run"
    for _ in range(_MOST_RUNS):
        expected = {*seen.items} | {address for address, _, _ in statements.single}
        text = mocked_test(statements, [*seen.items.values()], seen.schemas, place)
        (workspace.directory / TEST_FILE).write_text(text)
        workspace.sandbox.hand_over(workspace.cell)
        result, lines = _run(workspace, commands.test(TEST_FILE, workspace.var_files))
        side, shown = read_side(lines, statements, seen.schemas)
        seen.items.update({item.address: item for item in shown})
        if all(item.address in expected for item in shown if not item.type.startswith("terraform_")):
            if side is not None:
                return side
            why = _why(lines, result)
            break
    return f"with mocked providers it could not be evaluated: {why}"


def _schemas(workspace: Workspace) -> dict[str, Any]:
    """The schemas of the providers in the lock file. In a directory of their own: the root's backend is not there."""
    directory, locked = _generated(workspace, "schemas")
    sources = dict.fromkeys(_LOCKED.findall(locked))
    required = {f"p{number}": {"source": source} for number, source in enumerate(sources)}
    (directory / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
    workspace.sandbox.hand_over(workspace.cell)
    _, answer = _run(workspace, commands.SCHEMA, directory)
    return (answer[0].get("provider_schemas") or {}) if answer else {}


def _generated(workspace: Workspace, name: str) -> tuple[Path, str]:
    """A directory for generated files with the root's lock file, and that file's text."""
    directory = workspace.cell.work / f"zz_ops_agent_{name}"
    directory.mkdir(exist_ok=True)
    lock = workspace.directory / LOCK_FILE
    text = lock.read_text() if lock.is_file() else ""
    (directory / LOCK_FILE).write_text(text)
    return directory, text


def _not_mocked(statements: Statements) -> str:
    if statements.unreadable:
        return f"a file cannot be read: {statements.unreadable}"
    return f"its `{statements.runs}` would run" if statements.runs else ""


def place_of(workspace: Workspace) -> Place:
    return Place(account=workspace.target.environment.account or "000000000000", region=workspace.region)


def base_sides(workspaces: Sequence[Workspace], seen: Seen) -> list[Side | str]:
    """For each environment of a root, after its `init`, its base after the mocked runs and a plan from nothing by the
    real provider, which only depends on the base; or why there is none. The provider plans all of them at once.
    """
    sides = [mocked_side(workspace, seen) for workspace in workspaces]
    wanted = {
        number: whole(side, place_of(workspaces[number]), f"e{number}")
        for number, side in enumerate(sides)
        if isinstance(side, Side)
    }
    if wanted:
        done = _planned(workspaces[0], wanted, is_base=True)
        for number, everything in wanted.items():
            sides[number] = stated(everything, done.plan, done.failed[number])
    return sides


def plan_offline(
    workspaces: Sequence[Workspace], bases: Sequence[Side | str], seen: Seen
) -> list[tuple[CheckResult, OfflinePlan | None]]:
    """For each of the head's `workspaces`, of one root and after `init`, the offline plan of its base and head. A check
    fails when a plan with the account would end with an error too; what cannot be planned offline is no fault of the
    change, and not run. The provider plans all of them at once.
    """
    failed: dict[int, dict[str, str]] = {}
    wanted: dict[int, Difference] = {}
    missing: dict[int, str] = {}
    for number, (workspace, base) in enumerate(zip(workspaces, bases, strict=True)):
        head = f"on the base branch {base}" if isinstance(base, str) else mocked_side(workspace, seen)
        if isinstance(base, str) or isinstance(head, str):
            missing[number] = str(head)
            continue
        one = difference(base, head, place_of(workspace), f"e{number}")
        failed[number] = {a: why for a, why in base.failed.items() if a in one.names}
        wanted[number] = one.without(a for a in failed[number] if a in head.items)
    done = _planned(workspaces[0], wanted, is_base=False)
    found: list[tuple[CheckResult, OfflinePlan | None]] = []
    for number, workspace in enumerate(workspaces):
        check = CheckResult(name="offline plan", subject=str(workspace.target), status=CheckStatus.PASSED)
        if number in missing:
            why = f"No offline plan: {missing[number]}"
            found.append((replace(check, status=CheckStatus.NOT_RUN, output=why), None))
            continue
        reasons = {**failed[number], **done.failed[number]}
        made = offline_plan(done.left[number], done.plan, reasons, done.refused[number])
        if findings := tuple(finding("plan", workspace.target.root.path, text) for text in made.refused):
            check = replace(check, status=CheckStatus.FAILED, findings=findings)
        found.append((check, made))
    return found


@dataclass(slots=True)
class _Planned:
    """`plan` in the shape of `show -json`; by number what is `left` of each difference, why the rest `failed` by
    address, and what Terraform refuses in any account.
    """

    left: dict[int, Difference]
    plan: Mapping[str, Any] | None = None
    failed: dict[int, dict[str, str]] = field(default_factory=dict)
    refused: dict[int, list[str]] = field(default_factory=dict)


def _planned(workspace: Workspace, wanted: dict[int, Difference], *, is_base: bool) -> _Planned:
    """The plan of a flat configuration by the real provider. What an error names is left out, and the rest is planned
    again.
    """
    done = _Planned(dict(wanted), failed={n: {} for n in wanted}, refused={n: [] for n in wanted})
    directory, _ = _generated(workspace, "base" if is_base else "head")
    plan_file = workspace.cell.out / "offline.tfplan"
    for _ in range(_MOST_PLANS):
        if not any(one.names for one in done.left.values()):
            return done
        protects = not any(done.refused.values())
        text = configuration(done.left.values(), is_base=is_base, protects=protects)
        (directory / "main.tf.json").write_text(text)
        # A test starts the provider once and prints its plan, but it knows no state.
        file, content = (PLAN_FILE, PLAN_TEST) if is_base else ("terraform.tfstate", state(done.left.values()))
        (directory / file).write_text(content)
        workspace.sandbox.hand_over(workspace.cell)
        command = commands.test(PLAN_FILE) if is_base else commands.plan_literals(out=plan_file)
        result, lines = _run(workspace, command, directory)
        if is_base and result.returncode == 0:
            done.plan = next((line["test_plan"] for line in lines if line.get("test_plan")), None)
            return done
        if not is_base and result.returncode in (0, 2):
            shown, found = _run(workspace, commands.show(plan_file, json=True), directory)
            plan_file.unlink(missing_ok=True)
            done.plan = found[0] if shown.returncode == 0 and found else None
            return done
        _leave_out(done, lines, f"the provider could not plan it: {_why(lines, result)}", protects=protects)
    _leave_out(done, (), "the provider could not plan it", protects=False)
    return done


def _leave_out(done: _Planned, lines: Iterable[Mapping[str, Any]], otherwise: str, *, protects: bool) -> None:
    """Take what the errors name out of what is left; all of it, for the reason `otherwise`, when they name nothing.
    What is refused in any account stays, to be planned without protection.
    """
    named = {name: (number, address) for number, one in done.left.items() for address, name in one.names.items()}
    gone: dict[tuple[int, str], str] = {}
    is_refused = False
    for error in _diagnostics(lines):
        text = ": ".join(filter(None, (str(error.get("summary") or ""), str(error.get("detail") or ""))))
        true = _FLAT.sub(lambda found: named[found[1]][1] if found[1] in named else found[0], text)
        where = _FLAT.findall(f"{error.get('address') or ''} {_snippet(error)}") or _FLAT.findall(text)
        places = {named[name] for name in where if name in named}
        if protects and "prevent_destroy" in text and places:
            is_refused = True
            for number in {number for number, _ in places}:
                done.refused[number].append(true)
            continue
        for place in places or set(named.values()):
            gone.setdefault(place, f"the provider could not plan it without AWS: {true[:300]}")
    if not gone and not is_refused:
        gone = dict.fromkeys(named.values(), otherwise)
    for (number, address), why in gone.items():
        done.failed[number][address] = why
    for number, one in done.left.items():
        done.left[number] = one.without(a for n, a in gone if n == number)


def _diagnostics(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = (line.get("diagnostic") for line in lines)
    return [d for d in found if isinstance(d, dict) and d.get("severity") == "error"]


def _run(
    workspace: Workspace, command: commands.TerraformCommand, directory: Path | None = None
) -> tuple[ChildResult, list[dict[str, Any]]]:
    made = Capped(_MOST)
    result = workspace.run_in(directory or workspace.directory, command, made)
    return result, json_lines(bytes(made.kept))


def _snippet(error: Mapping[str, Any]) -> str:
    snippet = error.get("snippet")
    return str(snippet.get("context") or "") if isinstance(snippet, dict) else ""


def _why(lines: Iterable[Mapping[str, Any]], result: ChildResult) -> str:
    texts = dict.fromkeys(f"{d.get('summary')}: {d.get('detail')}" for d in _diagnostics(lines))
    return "; ".join([*texts][:3])[:1000] or f"it ended with exit code {result.returncode}"


def _modules(workspace: Workspace) -> dict[tuple[str, ...], dict[str, bytes]] | None:
    """The files of every module by the calls that lead to it, as `init` installed them; None when one cannot be read:
    what nobody has read is not applied, on mocks neither.
    """
    entries = [{"Key": "", "Dir": "."}]
    manifest = workspace.cell.data / "modules" / "modules.json"
    if manifest.is_file() and not manifest.is_symlink():
        entries = json.loads(manifest.read_bytes()).get("Modules") or entries
    found = {}
    for entry in entries:
        directory = (workspace.directory / str(entry["Dir"])).resolve()
        if not directory.is_dir() or not directory.is_relative_to(workspace.cell.root.resolve()):
            return None
        files = {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}
        found[tuple(filter(None, str(entry["Key"]).split(".")))] = files
    return found
