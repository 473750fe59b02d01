"""Runs the engine for the offline plan (plan/offline.py): mocked runs of both sides, then the provider on literals.

Everything runs in the workspace's cell, with its commands and without a credential. The generated files join the cell's
copy of the tree, never the change set.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.diagnostics import finding, from_json, json_lines
from ops_agent.adapters.terraform.processes import Capped, ChildResult
from ops_agent.adapters.terraform.workspace import Workspace
from ops_agent.model.finding import Finding
from ops_agent.model.plan import OfflinePlan
from ops_agent.model.terraform import DescribedType
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.describing import find_type, forced, near, probe
from ops_agent.plan.literals import Difference, configuration, difference, state, stated, whole
from ops_agent.plan.offline import offline_plan
from ops_agent.plan.sides import Item, Place, Side, mocked_test, provider_outputs, read_side
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
_AT_ONCE: Final = 2
# A provider that asked something, or ended by itself, does not speak of the sources.
_ASKED: Final = re.compile(r"127\.0\.0\.1|dial tcp|no such host|RequestError|StatusCode|credential|[Pp]lugin |panic")
_FLAT: Final = re.compile(r"(?:data\.)?[a-z0-9_]+\.l?(e\d+r\d+)\b")


@dataclass(slots=True)
class Seen:
    """What earlier mocked runs of a root showed: later ones (of the head, of another environment) need fewer."""

    items: dict[str, Item] = field(default_factory=dict)
    schemas: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoSide:
    """In one sentence why a side cannot be had; `errors` are the diagnostics of it that it has in any account."""

    why: str
    errors: tuple[Mapping[str, Any], ...] = ()


def mocked_side(workspace: Workspace, seen: Seen, *, other: bool = False) -> Side | NoSide:
    """One side after its mocked runs; `other`: with other invented values."""
    modules = _modules(workspace)
    if modules is None:
        return NoSide("a module lies outside of what may be read")
    statements = read_statements(modules)
    if why := _not_mocked(statements):
        return NoSide(why)
    place = replace(place_of(workspace), other=other)
    (workspace.directory / OUTPUTS_FILE).write_text(provider_outputs(statements))
    workspace.sandbox.hand_over(workspace.cell)
    if not seen.schemas:
        seen.schemas.update(_schemas(workspace))
    why, errors = "its instances differ from run to run", NoSide("").errors
    for _ in range(_MOST_RUNS):
        expected = {*seen.items} | {address for address, _, _ in statements.single}
        text = mocked_test(statements, [*seen.items.values()], seen.schemas, place)
        (workspace.directory / TEST_FILE).write_text(text)
        workspace.sandbox.hand_over(workspace.cell)
        result, lines = _run(workspace, commands.test(TEST_FILE, workspace.var_files))
        side, shown = read_side(lines, statements, seen.schemas, place)
        seen.items.update({item.address: item for item in shown})
        if all(item.address in expected for item in shown if not item.type.startswith("terraform_")):
            if side is not None:
                return side
            why, errors = _why(lines, result), _complaints(lines, run="planned")
            break
    if errors and not other:
        # Only what the provider says whatever data sources answer.
        again = mocked_side(workspace, seen, other=True)
        same = again.errors if isinstance(again, NoSide) else ()
        errors = () if workspace.placeholders else tuple(e for e in errors if e in same)
    return NoSide(f"with mocked providers it could not be evaluated: {why}", errors)


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


def described(workspace: Workspace, seen: Seen, type_: str, *, data: bool) -> DescribedType | tuple[str, ...]:
    """A type by the provider's schema, with what forces a replacement by the plan of a probe; else types like it."""
    if not seen.schemas:
        seen.schemas.update(_schemas(workspace))
    if (found := find_type(seen.schemas, type_, data=data)) is None:
        return near(seen.schemas, type_, data=data)
    source, schema = found
    made = DescribedType(source=source, block=schema.get("block") or {})
    if data:
        return made
    directory, _ = _generated(workspace, "probe")
    configured, stated_ = probe(type_, source, seen.schemas, workspace.region)
    (directory / "main.tf.json").write_text(configured)
    (directory / "terraform.tfstate").write_text(stated_)
    workspace.sandbox.hand_over(workspace.cell)
    plan_file = workspace.cell.out / "probe.tfplan"
    result, lines = _run(workspace, commands.plan_literals(out=plan_file), directory)
    if result.returncode not in (0, 2):
        return replace(made, why=" ".join(_why(lines, result).split())[:200])
    shown, answer = _run(workspace, commands.show(plan_file, json=True), directory)
    plan_file.unlink(missing_ok=True)
    return replace(made, forces=forced(answer[0]) if shown.returncode == 0 and answer else None)


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
    found = [mocked_side(workspace, seen) for workspace in workspaces]
    sides = [one.why if isinstance(one, NoSide) else one for one in found]
    wanted = {number: whole(side, f"e{number}") for number, side in enumerate(sides) if isinstance(side, Side)}
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
    missing: dict[int, NoSide] = {}
    # The first run of a root learns for all others.
    with ThreadPoolExecutor(_AT_ONCE if seen.schemas else 1, "offline") as pool:
        heads = [*pool.map(partial(_head, seen), workspaces, bases)]
    for number, (base, head) in enumerate(zip(bases, heads, strict=True)):
        if isinstance(base, str) or isinstance(head, NoSide):
            missing[number] = head if isinstance(head, NoSide) else NoSide("")
            continue
        one = difference(base, head, f"e{number}")
        failed[number] = {a: why for a, why in base.failed.items() if a in one.names}
        wanted[number] = one.without(a for a in failed[number] if a in head.items)
    done = _planned(workspaces[0], wanted, is_base=False)
    refused: dict[int, list[tuple[str, str]]] = {number: [] for number in wanted}
    for number, address, text in _certain(workspaces, wanted, done, seen):
        refused[number].append((address, text))
        done.failed[number][address] = f"the provider refuses it: {text[:300]}"
    found: list[tuple[CheckResult, OfflinePlan | None]] = []
    for number, workspace in enumerate(workspaces):
        check = CheckResult(name="offline plan", subject=str(workspace.target), status=CheckStatus.PASSED)
        root = workspace.target.root.path
        if number in missing:
            why, errors = f"No offline plan: {missing[number].why}", from_json("plan", root, missing[number].errors)
            status = CheckStatus.FAILED if errors else CheckStatus.NOT_RUN
            found.append((replace(check, status=status, findings=errors, output=why), None))
            continue
        reasons = {**failed[number], **done.failed[number]}
        made = offline_plan(done.left[number], done.plan, reasons, refused[number])
        if made.refused:
            statements = wanted[number].head.statements
            findings = tuple(_refusal(root, statements, address, text) for address, text in made.refused)
            check = replace(check, status=CheckStatus.FAILED, findings=findings)
        found.append((check, made))
    return found


def _refusal(root: str, statements: Statements, address: str, text: str) -> Finding:
    file, line = statements.place_of(address)
    path = posixpath.normpath(posixpath.join(root, file))
    file, line = ("", 0) if path.startswith("..") else (file, line)
    return finding("plan", root, text if address in text else f"{text} (at {address})", file=file, line=line)


def _certain(
    workspaces: Sequence[Workspace], wanted: Mapping[int, Difference], done: _Planned, seen: Seen
) -> Iterator[tuple[int, str, str]]:
    """Number, address and text of each complaint that the provider has about the sources alone. It repeats them for a
    plan from nothing in which everything else is unknown, and what the sources write out is the same when everything
    invented is something else.
    """
    named = {name: (number, address) for number, one in wanted.items() for address, name in one.names.items()}
    said = {complaint for complaint in done.complaints if not workspaces[named[complaint[0]][0]].placeholders}
    if not said:
        return
    directory, _ = _generated(workspaces[0], "alone")
    names = {name for name, _ in said}
    those = [one.without(a for a, name in one.names.items() if name not in names) for one in wanted.values()]
    (directory / "main.tf.json").write_text(configuration(those, of="alone"))
    (directory / PLAN_FILE).write_text(PLAN_TEST)
    workspaces[0].sandbox.hand_over(workspaces[0].cell)
    _, lines = _run(workspaces[0], commands.test(PLAN_FILE), directory)
    others: dict[int, Side | NoSide] = {}
    for error in _complaints(lines):
        for name in _FLAT.findall(error["address"]):
            if (name, _text(error)) not in said:
                continue
            number, address = named[name]
            if number not in others:
                others[number] = mocked_side(workspaces[number], seen, other=True)
            one, other = wanted[number].head, others[number]
            if isinstance(other, Side) and address in other.items and other.written(address) == one.written(address):
                yield number, address, _named(_text(error), named)


def _head(seen: Seen, workspace: Workspace, base: Side | str) -> Side | NoSide:
    return NoSide(f"on the base branch {base}") if isinstance(base, str) else mocked_side(workspace, seen)


@dataclass(slots=True)
class _Planned:
    """`plan` in the shape of `show -json`; by number what is `left` of each difference, and why the rest `failed` by
    address. `complaints` are flat names and what the provider said of them without having asked AWS.
    """

    left: dict[int, Difference]
    plan: dict[str, Any] = field(default_factory=dict)
    failed: dict[int, dict[str, str]] = field(default_factory=dict)
    complaints: set[tuple[str, str]] = field(default_factory=set)


def _planned(workspace: Workspace, wanted: dict[int, Difference], *, is_base: bool) -> _Planned:
    """The plan of a flat configuration by the real provider. What an error names is left out, and the rest is planned
    again.
    """
    done = _Planned(dict(wanted), failed={n: {} for n in wanted})
    directory, _ = _generated(workspace, "base" if is_base else "head")
    plan_file = workspace.cell.out / "offline.tfplan"
    for _ in range(_MOST_PLANS):
        if not any(one.names for one in done.left.values()):
            return done
        text = configuration(done.left.values(), of="base" if is_base else "head")
        (directory / "main.tf.json").write_text(text)
        # A test starts the provider once and prints its plan, but it knows no state.
        from_nothing = is_base or not any(one.held for one in done.left.values())
        file, content = (PLAN_FILE, PLAN_TEST) if from_nothing else ("terraform.tfstate", state(done.left.values()))
        (directory / file).write_text(content)
        workspace.sandbox.hand_over(workspace.cell)
        command = commands.test(PLAN_FILE) if from_nothing else commands.plan_literals(out=plan_file)
        result, lines = _run(workspace, command, directory)
        if from_nothing and result.returncode == 0:
            done.plan = next((line["test_plan"] for line in lines if line.get("test_plan")), {})
            return done
        if not from_nothing and result.returncode in (0, 2):
            shown, found = _run(workspace, commands.show(plan_file, json=True), directory)
            plan_file.unlink(missing_ok=True)
            done.plan = found[0] if shown.returncode == 0 and found else {}
            return done
        _leave_out(done, lines, f"the provider could not plan it: {_why(lines, result)}")
    _leave_out(done, (), "the provider could not plan it")
    return done


def _leave_out(done: _Planned, lines: Iterable[Mapping[str, Any]], otherwise: str) -> None:
    """Take what the errors name out of what is left; all of it, for the reason `otherwise`, when they name nothing."""
    named = {name: (number, address) for number, one in done.left.items() for address, name in one.names.items()}
    gone: dict[tuple[int, str], str] = {}
    lines = [*lines]
    done.complaints |= {(n, _text(e)) for e in _complaints(lines) for n in _FLAT.findall(e["address"]) if n in named}
    for error in _diagnostics(lines):
        text = _text(error)
        true = _named(text, named)
        where = _FLAT.findall(f"{error.get('address') or ''} {_snippet(error)}") or _FLAT.findall(text)
        places = {named[name] for name in where if name in named}
        for place in places or set(named.values()):
            gone.setdefault(place, f"the provider could not plan it without AWS: {true[:300]}")
    if not gone:
        gone = dict.fromkeys(named.values(), otherwise)
    for (number, address), why in gone.items():
        done.failed[number][address] = why
    for number, one in done.left.items():
        done.left[number] = one.without(a for n, a in gone if n == number)


def _diagnostics(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = (line.get("diagnostic") for line in lines)
    return [d for d in found if isinstance(d, dict) and d.get("severity") == "error"]


def _complaints(lines: Iterable[Mapping[str, Any]], *, run: str = "") -> tuple[dict[str, Any], ...]:
    """Errors of providers about a resource, which Terraform gives its address, without having asked AWS; of one run of
    a test.
    """
    of_run = (line for line in lines if line.get("@testrun", "") == run or not run)
    return tuple(e for e in _diagnostics(of_run) if e.get("address") and not _ASKED.search(_text(e)))


def _text(error: Mapping[str, Any]) -> str:
    said = (" ".join(str(error.get(key) or "").split()) for key in ("summary", "detail"))
    return ": ".join(filter(None, said))


def _named(text: str, named: Mapping[str, tuple[int, str]]) -> str:
    """The text with true addresses in the place of flat ones."""
    return _FLAT.sub(lambda found: named[found[1]][1] if found[1] in named else found[0], text)


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
        paths = (path for path in sorted(directory.iterdir()) if path.is_file())
        files = {posixpath.join(str(entry["Dir"]), path.name).removeprefix("./"): path.read_bytes() for path in paths}
        found[tuple(filter(None, str(entry["Key"]).split(".")))] = files
    return found
