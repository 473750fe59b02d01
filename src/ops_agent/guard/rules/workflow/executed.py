"""Files of the repository that a workflow runs: whoever writes one writes a workflow (F03, F11 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ops_agent.config.strict_yaml import read_yaml
from ops_agent.guard.paths import is_workflow
from ops_agent.guard.rule import Hit, WholeChange
from ops_agent.guard.rules.workflow.execution import SCRIPT_INPUTS
from ops_agent.guard.shell_runs import names_as_document, runs, starts_by_variable
from ops_agent.guard.tree import SourceTree
from ops_agent.model.terraform import Unreadable

_NO_FILES = frozenset({"on", "name", "run-name", "concurrency", "permissions"})
_STANDING_SCRIPT = re.compile(r"(^|/)([^/]+\.(sh|bash|zsh|mk)|(GNU)?[Mm]akefile|justfile)$")
_MAKEFILES = {"makefile": "make", "gnumakefile": "make", "justfile": "just"}
_MOST_SCRIPTS = 200
_Values = dict[str, tuple[str, ...]]


def executed_file(change: WholeChange) -> Iterator[Hit]:
    """A workflow runs a file that this change writes.

    `bash infra/README.md`, `source`, `make -f` and `python` run any file whatever its name: what a workflow or local
    action of the repository runs is workflow code, and so is what a script runs that a workflow calls by its name. A
    document may be named by commands only that are known to read (`cat`, linters).

    Remedy: Leave the file as it is, or take its name out of the workflow; write commands into `run:`, where they are
    judged.
    """
    changed = [c.path for c in change.changes.changes if not is_workflow(c.path)]
    if not changed:
        return
    for path, script in _scripts(change.head):
        for file in changed:
            if script.runs(file):
                what = f"`{path}` line {script.line} runs `{file}`, or may run it"
                yield Hit(path=file, line=0, what=what, anchor=f"{path} {file}")


@dataclass(frozen=True, slots=True)
class _Script:
    """A text that can name a file to run. `is_script` False: a value that a step, an action or a container is given."""

    line: int
    text: str
    is_script: bool = True
    values: _Values = field(default_factory=dict)
    language: str = ""
    name: str = ""

    def runs(self, file: str) -> bool:
        if self.is_script:
            return runs(self.text, file, self.values, language=self.language)
        return names_as_document(self.text, file) or starts_by_variable(self.name, self.text, file)


def _scripts(tree: SourceTree) -> Iterator[tuple[str, _Script]]:
    """Everything in workflows, local actions and the scripts that they call which can name a file to run."""
    called: list[str] = []
    for path in sorted(tree.paths):
        if is_workflow(path) or path.rpartition("/")[2] in ("action.yml", "action.yaml"):
            for script in _of_yaml(path, tree):
                called.append(script.text)
                yield path, script
    everything = "\n".join(called)
    named = [
        p for p in sorted(tree.paths) if _STANDING_SCRIPT.search(p) and _is_called(p.rpartition("/")[2], everything)
    ]
    for path in named[:_MOST_SCRIPTS]:
        yield path, _Script(1, tree.read(path).decode(errors="replace"))


def _is_called(name: str, texts: str) -> bool:
    return bool(re.search(rf"(?<![\w.-]){re.escape(_MAKEFILES.get(name.casefold(), name))}(?![\w-])", texts))


def _of_yaml(path: str, tree: SourceTree) -> Iterator[_Script]:
    content = tree.read(path)
    root = read_yaml(content)
    if isinstance(root, Unreadable):
        plain = re.sub(r"(?m)^[ \t]*(- +)?(run: *[|>]?[+-]?)?", "", content.decode(errors="replace"))
        yield _Script(1, plain)
        return
    texts = [(where, node) for where, node in root.texts() if where]
    values: dict[str, list[str]] = {}
    for where, node in texts:
        name = _variable(where)
        if name:
            values.setdefault(name, []).append(node.text)
    known = {name: tuple(dict.fromkeys(found)) for name, found in values.items()}
    shells = {where[:-1]: node.text for where, node in texts if where[-1] == "shell"}
    for where, node in texts:
        if where[0] in _NO_FILES or where[-1] in ("if", "name", "description"):
            continue
        is_script = where[-1] == "run" or (
            len(where) > 1 and where[-2] == "with" and where[-1].casefold() in SCRIPT_INPUTS
        )
        yield _Script(node.line, node.text, is_script, known, shells.get(where[:-1], ""), where[-1])


def _variable(where: tuple[str, ...]) -> str:
    """What scripts call a value: `NAME` of an `env`, `matrix.NAME`, `inputs.NAME`."""
    if len(where) > 1 and where[-2] == "env":
        return where[-1]
    if "matrix" in where[:-1]:
        return f"matrix.{next(w for w in where[where.index('matrix') + 1 :] if w != 'include' and not w.isdigit())}"
    return f"inputs.{where[-2]}" if where[-1] == "default" and "inputs" in where else ""
