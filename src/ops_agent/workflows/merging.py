"""What a merge does: which workflow applies which root and environment, and on which event.

Read from the workflows and composite actions alone. Where an expression hides the root or the environment, the effect
says that it cannot be told; what cannot be read may apply, and is never left out.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Final

from ops_agent.model.terraform import Layout, TerraformRoot
from ops_agent.model.workflow import Job, Step, Trigger, Workflow
from ops_agent.workflows.evaluation import Value, holds, written_out
from ops_agent.workflows.reader import read_action, read_workflow
from ops_agent.workflows.shell import COMPUTED, Line, commands_of, forms, script_lines
from ops_agent.workflows.understood import (
    DEPLOYS,
    STARTS_A_WORKFLOW,
    is_understood_action,
    is_understood_command,
    may_reach_aws,
)

WORKFLOWS: Final = ".github/workflows/"
_APPLY = re.compile(
    r"\b(?:(?:terraform|tofu)(?:[:@]\S+)?\s+(?:-\S+\s+)*|terragrunt(?:[:@]\S+)?\s+(?:[^\s;&|]+\s+)*?)"
    r"(?P<verb>apply|destroy)(?:-all)?(?![\w-])"
)
_CHDIR = re.compile(
    r"\b(?:terraform|tofu|terragrunt)(?:[:@]\S+)?\s+(?:\S+\s+)*?-(?:chdir|(?:-terragrunt)?-working-dir)[= ](\S+)"
)
_CHANGES_DIRECTORY = re.compile(r"(?:^|[;&(]\s*)(?:cd|pushd)\s+([^\s;&|]+)")
_APPLY_ACTIONS: Final[dict[str, tuple[str, str]]] = {
    "dflook/terraform-apply": ("path", ""),
    "dflook/tofu-apply": ("path", ""),
    "gruntwork-io/terragrunt-action": ("tg_dir", "tg_command"),
    "op5dev/tf-via-pr": ("working-directory", "command"),
    "devsectop/tf-via-pr-action": ("working-directory", "command"),
    "hashicorp/tfc-workflows-github/actions/apply-run": ("", ""),
}
"""Action -> its input with the directory, and the one that must hold `apply` (empty: it always applies)."""
_ARITHMETIC = re.compile(r"\$\(\([^()]*\)\)")
_SHELL: Final = re.compile(
    r"(?:(?:bash|sh|pwsh)(?:\s+(?!-\w*c\b)(?:--?[A-Za-z-]+|pipefail|errexit|\{0\}))*)?", re.IGNORECASE
)
"""Shells whose scripts are read as they are; any other one may run something else."""
_WILDCARDS: Final = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}
_ASSIGNED: Final = re.compile(r"(?<![\w$-])(\w+)\+?=(?!=)|\bfor\s+(\w+)\s+in\b|\bread\s+(?:-\w+\s+)*(\w+)|-v\s+(\w+)")
_MAX_FORMS: Final = 32
_MAX_CALLS: Final = 5
_MAX_SHOWN: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class MergeEffect:
    """One job that applies Terraform, or destroys what it made. `root` is a root's path, empty when it cannot be told;
    so is `environment`.

    `event` is what starts the workflow, `on_merge` whether a merge into the base branch does. `certain` False: whether
    the job applies at all depends on what the workflow alone does not tell; then `unread` may name the command or
    action that cannot be read (the workflow itself, with no `job`). `is_new`: not without this change.
    """

    workflow: str
    job: str
    event: str
    root: str = ""
    environment: str = ""
    on_merge: bool = False
    certain: bool = True
    destroys: bool = False
    unread: str = ""
    is_new: bool = False

    @property
    def place(self) -> tuple[str, ...]:
        """What is the same for each event that starts the job."""
        return (self.workflow, self.job, self.root, self.environment, self.unread)


def what_a_merge_does(
    layout: Layout,
    read: Callable[[str], bytes | None],
    base_branch: str,
    changed: Collection[str] | None = None,
) -> tuple[MergeEffect, ...]:
    """Every effect of the workflows in `layout`, those of a merge first. `read` gives a file's bytes, None where
    there is none. `changed` (None: not known) leaves out what the path filters leave out.
    """
    workflows: dict[str, Workflow] = {}
    found: set[MergeEffect] = set()
    for path in layout.workflows:
        content = read(path)
        workflow = read_workflow(content) if content is not None else None
        if isinstance(workflow, Workflow):
            workflows[path] = workflow
        elif content is not None:
            found.add(MergeEffect(workflow=path, job="", event="", on_merge=True, certain=False, unread=path))
    reader = _Effects(layout, workflows, read, base_branch, changed)
    found |= {effect for path in workflows for effect in reader.of(path)}
    merging = {effect.place for effect in found if effect.on_merge}
    kept = [effect for effect in found if effect.on_merge or effect.place not in merging]
    return tuple(sorted(kept, key=lambda effect: (not effect.on_merge, effect)))


@dataclass(frozen=True, slots=True)
class _Start:
    """How a workflow is started: the event for people, whether a merge does it, and what expressions know then."""

    event: str
    on_merge: bool
    known: Mapping[str, Value]
    certain: bool = True
    reaches_aws: bool = False


@dataclass(frozen=True, slots=True)
class _Applied:
    """One apply in a step: its directory (None: cannot be told), and whether it surely is one."""

    directory: str | None = None
    certain: bool = True
    destroys: bool = False
    unread: str = ""


class _Effects:
    def __init__(
        self,
        layout: Layout,
        workflows: Mapping[str, Workflow],
        read: Callable[[str], bytes | None],
        base_branch: str,
        changed: Collection[str] | None,
    ) -> None:
        self._roots = {root.path: root for root in layout.roots}
        self._workflows, self._read, self._branch, self._changed = workflows, read, base_branch, changed
        self._begins: dict[str, set[str]] = {path: set() for path in workflows}
        self._follow()

    def of(self, path: str) -> Iterator[MergeEffect]:
        for trigger in self._workflows[path].triggers:
            if start := self._start(trigger, path):
                yield from self._of_workflow(path, path, start, 0)

    def _start(self, trigger: Trigger, path: str) -> _Start | None:
        """None for an event that starts nothing of interest: calls are followed from their callers."""
        event = trigger.event
        if event == "push" and not self._is_touched(trigger):
            return None
        on_branch: dict[str, Value] = {"github.event_name": event, "github.ref_type": "branch", "inputs.": ""}
        on_branch |= {"github.ref": f"refs/heads/{self._branch}", "github.ref_name": self._branch}
        if event == "push" and self._is_pushed(trigger):
            return _Start(event, True, {**on_branch, "github.event.inputs.": ""})
        if event == "merge_group" and self._is_onto(trigger):
            return _Start(event, True, {"github.event_name": event, "inputs.": ""})
        if event in ("pull_request", "pull_request_target") and self._is_closed(trigger):
            closed: dict[str, Value] = {"github.event.pull_request.merged": True, "github.event.action": "closed"}
            return _Start("merge", True, {**closed, "github.event_name": event, "github.base_ref": self._branch})
        if event == "workflow_run" and (events := self._before(trigger, path)):
            before: dict[str, Value] = {
                "conclusion": "success",
                "event": next(iter(events)),
                "head_branch": self._branch,
            }
            if events != {"push"}:
                before |= {"head_branch": None} | ({"event": None} if len(events) > 1 else {})
            told = {f"github.event.workflow_run.{name}": value for name, value in before.items()}
            return _Start(event, True, {**on_branch, **told})
        if event in ("workflow_dispatch", "schedule", "release", "repository_dispatch", "deployment", "push"):
            words = event if event != "push" else "push of another branch or a tag"
            return _Start(words, False, {"github.event_name": event})
        return None

    def _is_pushed(self, trigger: Trigger) -> bool:
        filters = trigger.filters
        if "branches" in filters:
            return _matches(self._branch, filters["branches"])
        if "branches-ignore" in filters:
            return not _matches(self._branch, filters["branches-ignore"])
        return not ("tags" in filters or "tags-ignore" in filters)

    def _is_onto(self, trigger: Trigger) -> bool:
        branches = trigger.filters.get("branches")
        return branches is None or _matches(self._branch, branches)

    def _is_touched(self, trigger: Trigger) -> bool:
        paths, ignored = trigger.filters.get("paths"), trigger.filters.get("paths-ignore")
        if self._changed is None or not self._changed:
            return True
        if paths is not None:
            return any(_matches(path, paths) for path in self._changed)
        return ignored is None or any(not _matches(path, ignored) for path in self._changed)

    def _is_closed(self, trigger: Trigger) -> bool:
        is_closed = "closed" in trigger.filters.get("types", ())
        return is_closed and self._is_onto(trigger) and self._is_touched(trigger)

    def _follow(self) -> None:
        """Find by which events a merge starts each workflow, until none follows another one any more."""
        is_new = True
        while is_new:
            is_new = False
            for path, workflow in self._workflows.items():
                starts = ((trigger.event, self._start(trigger, path)) for trigger in workflow.triggers)
                events = {event for event, start in starts if start is not None and start.on_merge}
                is_new = is_new or events != self._begins[path]
                self._begins[path] = events

    def _before(self, trigger: Trigger, path: str) -> set[str]:
        """The events by which a merge starts the workflows that `trigger` waits for."""
        wanted = {name.casefold() for name in trigger.filters.get("workflows", ())}
        named = (p for p, w in self._workflows.items() if p != path and _name_of(p, w).casefold() in wanted)
        return {event for other in named for event in self._begins[other]}

    def _of_workflow(self, path: str, called: str, start: _Start, depth: int) -> Iterator[MergeEffect]:
        workflow = self._workflows[called]
        for job in workflow.jobs:
            reaches = start.reaches_aws or may_reach_aws(job, workflow)
            for known in _combinations(job, start.known):
                runs = holds(job.condition, known)
                if runs is False:
                    continue
                begun = replace(start, known=known, certain=start.certain and runs is True, reaches_aws=reaches)
                if job.uses:
                    yield from self._called(path, job, workflow, begun, depth)
                else:
                    yield from self._of_job(path, job, workflow, begun)

    def _called(self, path: str, job: Job, workflow: Workflow, start: _Start, depth: int) -> Iterator[MergeEffect]:
        called = posixpath.normpath(job.uses.partition("@")[0])
        if not job.uses.startswith("./") or called not in self._workflows:
            # A job of it may name an environment, and so hold credentials, whatever this one hands over.
            if (start.on_merge or DEPLOYS.search(job.uses)) and not is_understood_action(job.uses):
                yield MergeEffect(
                    workflow=path,
                    job=job.id,
                    event=start.event,
                    on_merge=start.on_merge,
                    certain=False,
                    unread=job.uses[:_MAX_SHOWN],
                )
        elif depth < _MAX_CALLS:
            given = {t.path[3].lower(): t.text for t in workflow.texts if t.path[:3] == ("jobs", job.id, "with")}
            types = {t.path[3].lower(): t.text for t in self._workflows[called].texts if t.path[4:] == ("type",)}
            inputs: dict[str, Value] = {f"inputs.{k}": written_out(text, start.known) for k, text in given.items()}
            for name in (f"inputs.{k}" for k, type_ in types.items() if type_ == "boolean"):
                inputs |= {name: inputs[name] == "true"} if inputs.get(name) in ("true", "false") else {}
            kept = {k: v for k, v in start.known.items() if not k.startswith(("inputs.", "matrix."))}
            yield from self._of_workflow(path, called, replace(start, known={**kept, **inputs}), depth + 1)

    def _of_job(self, path: str, job: Job, workflow: Workflow, start: _Start) -> Iterator[MergeEffect]:
        steps = [one for step in job.steps for one in (step, *(self._steps_of_action(step, 0) or ()))]
        values = _environment_values({**workflow.env, **job.env}, start.known, "\n".join(step.run for step in steps))
        known = {**start.known, **{f"env.{name.lower()}": value for name, value in values.items()}}
        places = {t.path: t.text for t in workflow.texts}
        default, shell = (
            places.get(("jobs", job.id, "defaults", "run", key), "") or places.get(("defaults", "run", key), "")
            for key in ("working-directory", "shell")
        )
        own = [replace(step, shell=step.shell or shell) if step.run else step for step in job.steps]
        found = list(self._of_steps(own, default, known, values, 0))
        # What is not named like a deployment is doubted once, and not at all where the job surely applies.
        named = [one for one in found if DEPLOYS.search(one.unread)]
        other = [one for one in found if one.unread][:1] if start.on_merge and start.reaches_aws else []
        sure = [one for one in found if not one.unread]
        for one in (*sure, *(named or ([] if sure else other))):
            effect = MergeEffect(
                workflow=path,
                job=job.id,
                event=start.event,
                on_merge=start.on_merge,
                certain=start.certain and one.certain,
                destroys=one.destroys,
                unread=one.unread,
            )
            yield from self._placed(effect, one.directory, job, known, values)

    def _of_steps(
        self,
        steps: Sequence[Step],
        default: str,
        known: Mapping[str, Value],
        values: Mapping[str, Value],
        depth: int,
    ) -> Iterator[_Applied]:
        for step in steps:
            runs = holds(step.condition, known)
            if runs is False:
                continue
            directory = written_out(step.directory or default, known)
            inner = self._steps_of_action(step, depth) if step.uses.startswith(("./", "$/")) else None
            if inner is not None:
                kept = {k: v for k, v in known.items() if not k.startswith("inputs.")}
                given = {f"inputs.{name.lower()}": written_out(text, known) for name, text in step.with_.items()}
                found = self._of_steps(inner, "", {**kept, **given}, values, depth + 1)
            else:
                found = _applied(step, directory, known, values)
            yield from (replace(one, certain=one.certain and runs is True) for one in found)

    def _steps_of_action(self, step: Step, depth: int) -> tuple[Step, ...] | None:
        """None for an action of this repository that cannot be read."""
        found = (self._read(posixpath.normpath(f"{step.uses[2:]}/action.{ending}")) for ending in ("yml", "yaml"))
        content = next((text for text in found if text is not None), None)
        return read_action(content) if content is not None and depth < _MAX_CALLS else None

    def _placed(
        self,
        effect: MergeEffect,
        directory: str | None,
        job: Job,
        known: Mapping[str, Value],
        values: Mapping[str, Value],
    ) -> Iterator[MergeEffect]:
        path = None if directory is None or COMPUTED in directory else posixpath.normpath(directory or ".")
        root = self._roots.get(path) if path is not None else None
        if path is None and len(self._roots) == 1:
            root = next(iter(self._roots.values()))
        named = written_out(job.environment, known)
        texts = [named or "", *(str(value) for value in values.values() if value)]
        texts += [" ".join(form for form in _scripts(job, known, values)), path or ""]
        environment = _environment(root, texts, self._roots.values()) or (named or "")
        yield replace(effect, root=root.path if root else path or "", environment=environment)


def _environment(root: TerraformRoot | None, texts: list[str], roots: Collection[TerraformRoot]) -> str:
    """The environment that one of `texts` names, the strongest first; empty when none or several do."""
    owners = (root,) if root is not None else tuple(roots)
    names = {environment.name for owner in owners for environment in owner.environments}
    for text in texts:
        words = set(re.split(r"[^A-Za-z0-9]+", text.casefold()))
        found = [name for name in names if name.casefold() in words or name.casefold() == text.casefold()]
        if len(found) == 1:
            return found[0]
    return next(iter(names)) if len(names) == 1 else ""


def _applied(
    step: Step, directory: str | None, known: Mapping[str, Value], values: Mapping[str, Value]
) -> Iterator[_Applied]:
    """Each apply of a step that is no action of this repository, and what in it cannot be read."""
    name = step.uses.partition("@")[0].casefold()
    if name in _APPLY_ACTIONS:
        place, command = _APPLY_ACTIONS[name]
        given = written_out(step.with_.get(command, ""), known) if command else "apply"
        if given is None or "apply" in given:
            where = written_out(step.with_.get(place, "."), known) if place else None
            yield _Applied(where) if given else _doubted(step.uses)
        return
    if step.uses and not is_understood_action(step.uses):
        yield _doubted(step.uses)
    if STARTS_A_WORKFLOW.search(step.with_.get("script", "")):
        yield _doubted(f"a dispatch by {step.uses}")
    if not _SHELL.fullmatch(step.shell.strip()):
        said = _APPLY.search(re.sub(r"[\"',\[\]]+", " ", f"{step.shell}\n{step.run}"))
        yield _doubted(f"{' '.join(said[0].split()) if said else 'what is run'} in a script of {step.shell.split()[0]}")
        return
    if step.run and "BASH_ENV" in {**values, **step.env}:
        yield _doubted("the file of BASH_ENV")
    current = directory
    for form, quoted, is_text in _forms(
        step, {**known, **_step_values(step, known)}, {**values, **_environment_values(step.env, known, step.run)}
    ):
        if is_text:
            continue
        if moved := _CHANGES_DIRECTORY.search(form):
            current = posixpath.join(current, moved[1]) if current is not None else None
        if found := _APPLY.search(form):
            chosen = _CHDIR.search(form)
            where = posixpath.join(current, chosen[1]) if chosen and current is not None else current
            yield _Applied(where, destroys=found["verb"] == "destroy")
            continue
        commands = ([Line(0, word).plain for word in words] for words in commands_of(_ARITHMETIC.sub("0", quoted)))
        yield from (_doubted(" ".join(words)) for words in commands if not is_understood_command(words))


def _doubted(what: str) -> _Applied:
    return _Applied(certain=False, unread=what.replace(COMPUTED, "…")[:_MAX_SHOWN])


def _step_values(step: Step, known: Mapping[str, Value]) -> dict[str, Value]:
    return {f"env.{name.lower()}": value for name, value in _environment_values(step.env, known, step.run).items()}


def _forms(step: Step, known: Mapping[str, Value], values: Mapping[str, Value]) -> Iterator[tuple[str, str, bool]]:
    """(a line of the script without quotes, the same line with them, whether it is text of a here-document)."""
    texts = {name: (str(value),) for name, value in values.items() if value is not None}
    # GitHub writes expressions out before a shell reads the script, and so before quotes count.
    for line in script_lines(written_out(step.run, known, COMPUTED) or ""):
        both = (forms(text, texts) for text in (line.plain, line.text))
        for form, quoted in zip(*both, strict=False):
            yield form, quoted, line.is_text


def _scripts(job: Job, known: Mapping[str, Value], values: Mapping[str, Value]) -> Iterator[str]:
    """What the job's Terraform commands say: `-var-file=environments/prod/...` names an environment."""
    for step in job.steps:
        for form, *_ in _forms(step, known, values):
            if re.search(r"\b(?:terraform|tofu|terragrunt)\b", form):
                yield form


def _environment_values(env: Mapping[str, str], known: Mapping[str, Value], script: str) -> dict[str, Value]:
    """The values of `env`; unknown are those that `script` may assign, and all where it sets what it does not show."""
    assigned = {name for found in _ASSIGNED.finditer(script) for name in found.groups() if name}
    hides = any("GITHUB_ENV" in line and not _ASSIGNED.search(line) for line in script.split("\n"))
    return {name: None if hides or name in assigned else written_out(text, known) for name, text in env.items()}


def _combinations(job: Job, known: Mapping[str, Value]) -> Iterator[Mapping[str, Value]]:
    """What is known in each job of a literal matrix, and once nothing of it for all beyond the first."""
    axes = list(job.matrix)
    for number, chosen in enumerate(islice(product(*(job.matrix[axis] for axis in axes)), _MAX_FORMS + 1)):
        if number == _MAX_FORMS:
            yield known
            return
        yield {**known, **{f"matrix.{axis.lower()}": _typed(value) for axis, value in zip(axes, chosen, strict=True)}}


def _typed(text: str) -> Value:
    """Not known where it may be a text or a truth value."""
    return None if text.lower() in ("true", "false") else text


def _name_of(path: str, workflow: Workflow) -> str:
    return next((text.text for text in workflow.texts if text.path == ("name",)), path)


def _matches(name: str, patterns: Collection[str]) -> bool:
    """GitHub's filter patterns: the last one that matches decides, `!` excludes."""
    matched = False
    for pattern in patterns:
        excludes = pattern.startswith("!")
        if _filter(pattern.removeprefix("!")).fullmatch(name):
            matched = not excludes
    return matched


def _filter(text: str) -> re.Pattern[str]:
    """A filter pattern of GitHub's for branches and paths: `*` stays within a folder, `**` does not; `?` and `+` repeat
    the character or `[...]` before them.
    """
    found, may_repeat = "", False
    for piece in re.findall(r"\*\*/|\*\*|\[[^\]]+\]|\\.|.", text, re.DOTALL):
        if piece in ("?", "+") and found:
            found += piece if may_repeat else ""
            may_repeat = False
            continue
        may_repeat = piece[0] != "*"
        if piece[0] == "[" and len(piece) > 2:
            found += "[" + re.sub(r"[^\w-]", r"\\\g<0>", piece[1:-1]) + "]"
        else:
            found += _WILDCARDS.get(piece) or re.escape(piece[-1])
    try:
        return re.compile(found)
    except re.error:  # `[z-a]`: GitHub does not run such a workflow
        return re.compile(re.escape(text))
