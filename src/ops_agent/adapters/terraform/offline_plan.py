"""Runs the engine for the offline plan (plan/offline.py): mocked runs of both sides, then the real provider on literals.

Everything runs in the workspace's cell, with its commands and without a credential. The generated files join the cell's
copy of the tree, never the change set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.diagnostics import finding, json_lines
from ops_agent.adapters.terraform.processes import Capped, ChildResult
from ops_agent.adapters.terraform.workspace import LOCK_FILE, Workspace
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.offline import (
    Difference,
    Item,
    OfflinePlan,
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
from ops_agent.terraform.statements import Statements, read_statements

TEST_FILE: Final = "zz_ops_agent_offline.tftest.json"
OUTPUTS_FILE: Final = "zz_ops_agent_offline.tf.json"
SCHEMA: Final = commands.TerraformCommand(("providers", "schema", "-json"))
_LOCKED: Final = re.compile(r'^provider "([^"\s]+)"', re.MULTILINE)
PLAN_FILE: Final = "plan.tftest.json"
PLAN_TEST: Final = json.dumps({"run": {"planned": {"command": "plan"}}})
# A mocked run prints the provider's schemas beside its plan and its state: 14 MB each with 5.100.
_MOST: Final = 192 << 20
_MOST_RUNS, _MOST_PLANS = 3, 6
_FLAT: Final = re.compile(r"(?:data\.)?[a-z0-9_]+\.l?(r\d+)\b")


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
        expected = set(seen.items) | {address for address, _, _ in statements.single}
        (workspace.directory / TEST_FILE).write_text(mocked_test(statements, seen.items.values(), seen.schemas, place))
        workspace.sandbox.hand_over(workspace.cell)
        result, lines = _run(workspace, commands.mocked_test(TEST_FILE, workspace.var_files))
        side, shown = read_side(lines, statements)
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
    _, answer = _run(workspace, SCHEMA, directory)
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
    if statements.has_provisioners:
        return "a provisioner would run on a mocked apply"
    return "an action would run on a mocked apply" if statements.runs_actions else ""


def place_of(workspace: Workspace) -> Place:
    return Place(account=workspace.target.environment.account or "000000000000", region=workspace.region)


def base_side(workspace: Workspace, seen: Seen) -> Side | str:
    """The base after its mocked runs and a plan from nothing by the real provider, which only depends on the base."""
    side = mocked_side(workspace, seen)
    if isinstance(side, str):
        return side
    everything = whole(side, place_of(workspace))
    plan, _, failed, _ = _planned(workspace, everything, is_base=True)
    return stated(everything, plan, failed)


def plan_offline(workspace: Workspace, base: Side, head: Side) -> tuple[CheckResult, OfflinePlan]:
    """The offline plan of the head's `workspace`, after `init`. The check fails when a plan with the account would end
    with an error too.
    """
    wanted = difference(base, head, place_of(workspace))
    failed = {a: why for a, why in base.failed.items() if a in wanted.names}
    wanted = wanted.without(a for a in failed if a in head.items)
    plan: Mapping[str, Any] | None = None
    refused: list[str] = []
    if wanted.names:
        plan, wanted, more, refused = _planned(workspace, wanted, is_base=False)
        failed |= more
    made = offline_plan(wanted, plan, failed, refused)
    root, subject = workspace.target.root.path, str(workspace.target)
    findings = tuple(finding("plan", root, text) for text in made.refused)
    status = CheckStatus.FAILED if findings else CheckStatus.PASSED
    return CheckResult(name="offline plan", subject=subject, status=status, findings=findings), made


def _planned(
    workspace: Workspace, wanted: Difference, *, is_base: bool
) -> tuple[Mapping[str, Any] | None, Difference, dict[str, str], list[str]]:
    """`show -json` of a flat configuration's plan, what is left of the difference, why the rest was left out, and what
    Terraform refuses in any account. What an error names is left out, and the rest is planned again.
    """
    directory, _ = _generated(workspace, "base" if is_base else "head")
    plan_file = workspace.cell.out / "offline.tfplan"
    failed: dict[str, str] = {}
    refused: list[str] = []
    for _ in range(_MOST_PLANS):
        if not wanted.names:
            return None, wanted, failed, refused
        (directory / "main.tf.json").write_text(configuration(wanted, is_base=is_base, protects=not refused))
        # A test starts the provider once and prints its plan, but it knows no state.
        file, content = (PLAN_FILE, PLAN_TEST) if is_base else ("terraform.tfstate", state(wanted))
        (directory / file).write_text(content)
        workspace.sandbox.hand_over(workspace.cell)
        command = commands.mocked_test(PLAN_FILE) if is_base else plan_literals(plan_file)
        result, lines = _run(workspace, command, directory)
        if is_base and result.returncode == 0:
            plan = next((line["test_plan"] for line in lines if line.get("test_plan")), None)
            return plan, wanted, failed, refused
        if not is_base and result.returncode in (0, 2):
            shown, found = _run(workspace, commands.show(plan_file, json=True), directory)
            plan_file.unlink(missing_ok=True)
            return (found[0] if shown.returncode == 0 and found else None), wanted, failed, refused
        left, more = _errors(lines, {name: address for address, name in wanted.names.items()})
        refused += more
        if not left and not more:
            left = dict.fromkeys(wanted.names, f"the provider could not plan it: {_why(lines, result)}")
        failed |= left
        wanted = wanted.without(left)
    failed |= dict.fromkeys(wanted.names, "the provider could not plan it")
    return None, wanted.without(wanted.names), failed, refused


def _errors(lines: Iterable[Mapping[str, Any]], addresses: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """By address why it cannot be planned offline, and what is refused in any account. `addresses` by flat names."""
    left: dict[str, str] = {}
    refused: list[str] = []
    for error in _diagnostics(lines):
        text = ": ".join(filter(None, (str(error.get("summary") or ""), str(error.get("detail") or ""))))
        true = _FLAT.sub(lambda found: addresses.get(found[1], found[0]), text)
        if "prevent_destroy" in text:
            refused.append(true)
            continue
        names = _FLAT.findall(f"{error.get('address') or ''} {_snippet(error)}") or _FLAT.findall(text)
        for address in {addresses[name] for name in names if name in addresses} or set(addresses.values()):
            left.setdefault(address, f"the provider could not plan it without AWS: {true[:300]}")
    return left, refused


def _diagnostics(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = (line.get("diagnostic") for line in lines)
    return [d for d in found if isinstance(d, dict) and d.get("severity") == "error"]


def plan_literals(out: Path) -> commands.TerraformCommand:
    """A plan that reads nothing: only for directories that our own code generates."""
    flags = ("-input=false", "-lock=false", "-no-color", "-json", "-detailed-exitcode", "-refresh=false")
    return commands.TerraformCommand(("plan", *flags, f"-out={out}"))


def _run(
    workspace: Workspace, command: commands.TerraformCommand, directory: Path | None = None
) -> tuple[ChildResult, list[dict[str, Any]]]:
    made = Capped(_MOST)
    where = directory or workspace.directory
    result = workspace.sandbox.run(
        workspace.cell, command, workspace.variables, cwd=where, patience=workspace.patience, sink=made
    )
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
