"""What rules judge, what they find, and how a function becomes a rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, TypeVar, get_type_hints

from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import Instance, instances_of
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.finding import Finding, Identity, Place, Severity
from ops_agent.model.policy import Limits, Policy
from ops_agent.model.terraform import Attribute, Block, Expression, TerraformSource, TerraformTarget, Unreadable
from ops_agent.model.workflow import SCOPES, Job, LintEntry, Step, Workflow, WorkflowText
from ops_agent.terraform.environments import canonical, environment_of_path
from ops_agent.terraform.modules import directory_of
from ops_agent.workflows.shell import MAX_CHARACTERS, Line, script_lines


def hit(
    *, path: str, what: str, anchor: str, line: int = 0, under: frozenset[str] = frozenset(), excuses_all: bool = False
) -> Finding:
    """What a rule objects to, at a line (0: the whole file); the judge adds the rule and its words."""
    identity = Identity(anchor=anchor, under=under, excuses_all=excuses_all)
    return Finding(what=what, place=Place(path=path, line=line), identity=identity)


Culprit = Attribute | Block | Expression | str | None
"""What offends in a block: one of its arguments, a nested block, a part of an expression, or words of one (for what is
missing: its name). None is the block as a whole, for code that is dangerous whatever its arguments say.
"""


def hit_at(
    path: str, owner: Block | Piece, what: str, at: Culprit = None, *, line: int | None = None, also: str = ""
) -> Finding:
    """An objection to the part `at` of a top-level block or another piece of the file `path`.

    A change of anything else in the block leaves an objection that exists on the base what it was. `also` holds what
    else makes this objection another one (a value, an environment); `line` is that of `at` unless given.
    """
    match at:
        case None:
            text = owner.anchor if isinstance(owner, Piece) else owner.text
        case str():
            text = at
        case Block():
            text = at.text
        case Attribute():
            text = f"{_name_in(owner, at)} = {at.expression.text}"
        case Expression():
            text = f"{_name_in(owner, at)} {at.spelling}"
    if line is None:
        line = owner.line if at is None or isinstance(at, str) else at.line
    return hit(path=path, line=line, what=what, anchor=" ".join(filter(None, (owner.name, text, also))))


def _name_in(owner: Block | Piece, part: Attribute | Expression) -> str:
    """The argument of `owner` that `part` is or is in, with the nested blocks around it (`rule.filter.prefix`)."""
    block = owner.block if isinstance(owner, Piece) else owner
    for path, attribute in block.arguments() if block is not None else ():
        if part is attribute or any(part is inner for inner in attribute.expression.walk()):
            return ".".join(path)
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeChange:
    """The change set with both sides."""

    changes: ChangeSet
    base: SourceTree
    head: SourceTree
    limits: Limits

    @property
    def policy(self) -> Policy:
        return self.head.policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPath:
    """One path that is written or deleted."""

    change: FileChange
    base: SourceTree


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfTree:
    """What is on one side of a change."""

    tree: SourceTree

    @property
    def policy(self) -> Policy:
        return self.tree.policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile(_OfTree):
    """A changed file of any type, as text (undecodable bytes replaced)."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableFile(_OfTree):
    """A file that a reader refused: one that the change writes, or one that it leaves in a root that it can affect."""

    path: str
    reason: Unreadable
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A top-level block, one attribute of `locals`, or one assignment of a variable file."""

    name: str
    line: int
    anchor: str
    block: Block | None
    values: tuple[tuple[str, Expression], ...]

    def expressions(self) -> Iterator[tuple[str, Expression]]:
        """Every expression at any depth, with the name of the attribute around it."""
        for name, expression in self.values:
            for inner in expression.walk():
                yield name, inner


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformFile(_OfTree):
    """A changed file that was read whole. `kind` is configuration, variables or backend."""

    path: str
    kind: str
    source: TerraformSource

    @property
    def directory(self) -> str:
        return directory_of(self.path)

    @property
    def environment(self) -> str | None:
        """The environment that the layout or its name gives this file (`dev`, not `development`), None for several."""
        name = self.tree.environment_of.get(self.path)
        return environment_of_path(self.path, self.policy) if name is None else canonical(name)

    def pieces(self) -> Iterator[Piece]:
        for block in self.source.blocks:
            if block.type == "locals":
                for a in block.attributes:
                    yield Piece(
                        name=f"local.{a.name}",
                        line=a.line,
                        anchor=f"{a.name} = {a.expression.text}",
                        block=None,
                        values=((a.name, a.expression),),
                    )
                continue
            values = tuple((a.name, a.expression) for b in block.walk() for a in b.attributes)
            yield Piece(name=block.name, line=block.line, anchor=block.text, block=block, values=values)
        for a in self.source.attributes:
            anchor = f"{a.name} = {a.expression.text}"
            yield Piece(name=a.name, line=a.line, anchor=anchor, block=None, values=((a.name, a.expression),))

    def hit(self, owner: Block | Piece, what: str, at: Culprit = None, *, line: int | None = None) -> Finding:
        """An objection to the part `at` of a top-level block or piece of this file (see `hit_at`)."""
        return hit_at(self.path, owner, what, at, line=line)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootInEnvironment(_OfTree):
    """A root that the change can affect, with the values of one of its environments."""

    target: TerraformTarget

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every module of the repository as this root calls it; read when they are asked for, and once."""
        outside = self.tree.fetched.directories
        return tuple(i for i in instances_of(self.target, self.tree) if i.directory not in outside)


SCRIPT_INPUTS = frozenset({"script", "run", "command", "commands", "args", "entrypoint", "inlinescript", "cmd"})
_OF_STRANGERS = frozenset({"issue_comment", "issues", "pull_request_review", "pull_request_target", "workflow_run"})
_OF_WRITERS = frozenset({"merge_group", "push", "release", "schedule", "workflow_call", "workflow_dispatch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFile(_OfTree):
    """A changed workflow that was read whole. `base` is the base commit, `pins` are commits of actions that our code
    resolved (`owner/name@commit`, lower case; None: not checked), `called_on` the events of the workflows that call
    this one, through any number of others.
    """

    path: str
    workflow: Workflow
    base: SourceTree
    pins: frozenset[str] | None = None
    called_on: frozenset[str] = frozenset()

    @property
    def events(self) -> frozenset[str]:
        """Everything that this workflow can run on, in itself or called."""
        return self.workflow.events | self.called_on

    def hit(self, part: Workflow | Job | Step, what: str, line: int = 0, *, at: str = "") -> Finding:
        """An objection to the whole workflow, a job or a step, or to the text `at` in it, on its own line or `line`.

        A harmless deployment step becomes a leak by `on: pull_request` or another right: see `Identity.under`.
        """
        job = part if isinstance(part, Job) else self._job_of(part)
        return self._hit(self.circumstances(job), line or part.line, what, f"{type(part).__name__} {at or part.text}")

    def hit_text(
        self, text: WorkflowText, what: str, *, at: str = "", anywhere: bool = False, once: bool = False
    ) -> Finding:
        """An objection to one text (a variable, an input, a command) or to the text `at` in it; `anywhere`: whatever it
        runs under; `once`: a second one is another one.
        """
        key = "" if text.path[-1].isdigit() else text.path[-1]
        job = self.job(text.path[1]) if text.path[:1] == ("jobs",) else None
        under = frozenset[str]() if anywhere else self.circumstances(job)
        return self._hit(under, text.line, what, f"{key} {at or text.text.strip()}", once=once)

    def _hit(self, under: frozenset[str], line: int, what: str, anchor: str, *, once: bool = False) -> Finding:
        """Accepted once in this file, in a job with as many rights, it is nothing new a second time, unless `once`."""
        anchor = f"{self.path} {anchor}"
        return hit(path=self.path, line=line, what=what, anchor=anchor, under=under, excuses_all=not once)

    @property
    def steps(self) -> Iterator[tuple[Job, Step]]:
        return ((job, step) for job in self.workflow.jobs for step in job.steps)

    @property
    def scripts(self) -> Iterator[tuple[Job, Step, WorkflowText]]:
        """What steps run: `run`, and inputs of actions that are scripts."""
        for text in self.workflow.texts:
            job = self.job(text.path[1]) if text.path[0] == "jobs" and text.path[2:3] == ("steps",) else None
            if job is not None:
                inside = text.path[4:]
                if inside == ("run",) or (inside[:1] == ("with",) and inside[-1].casefold() in SCRIPT_INPUTS):
                    yield job, job.steps[int(text.path[3])], text

    @property
    def commands(self) -> Iterator[tuple[Job, Step, WorkflowText, Line]]:
        """The logical lines of what steps run: each as a place, and as a shell reads it."""
        for job, step, text in self.scripts:
            for line in script_lines(text.text[:MAX_CHARACTERS]):
                yield job, step, text.part(line.number, line.text), line

    def job(self, name: str) -> Job | None:
        return next((j for j in self.workflow.jobs if j.id == name), None)

    def _job_of(self, part: Workflow | Step) -> Job | None:
        return next((j for j in self.workflow.jobs if any(s is part for s in j.steps)), None)

    def circumstances(self, job: Job | None) -> frozenset[str]:
        """What a part of `job` (None: of the workflow) runs under that could be worse than before."""
        unreviewed = {"pull_request"} if self.workflow.open_branches else set()
        others = (self.events - _OF_WRITERS) | unreviewed
        found = {f"on {event}" for event in others}
        if others & _OF_STRANGERS:
            found.add("on pull_request")  # what runs on worse events may run on this one
        if job is not None:
            rights = job.permissions or self.workflow.permissions
            everything = rights is None or rights.shorthand not in ("", "read-all")
            found |= {"other rights", *SCOPES} if everything else set()
            found |= {scope for scope, access in rights.scopes.items() if access == "write"} if rights else set()
            found.add(f"environment {job.environment or 'of none'}")
            if job.condition.strip("${} ").casefold() != "false":
                found |= {"runs", "always runs"} if others and not job.condition else {"runs"}
        return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class LintedWorkflow:
    """What the linters report about a changed workflow; `file` is None when our reader refused it."""

    path: str
    entries: tuple[LintEntry, ...]
    file: WorkflowFile | None


Subject = (
    WholeChange
    | ChangedPath
    | TextFile
    | UnreadableFile
    | TerraformFile
    | RootInEnvironment
    | WorkflowFile
    | LintedWorkflow
)

RuleFunction = Callable[[Any], Iterator[Finding]]
_Function = TypeVar("_Function", bound=RuleFunction)
_PACKAGE = "ops_agent.guard.rules."
_marks: dict[RuleFunction, tuple[Severity, bool]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as the judge runs it and as the documents show it.

    `disputable`: the agent may say that it is wrong in one place, and the finding then makes a draft. That is for rules
    about what is right and not for rules about what is safe: nothing that it lets through can do harm before a person
    has merged it, and no hard limit, no secret and nothing that runs at `init`, `plan` or on a pull request is among
    them.
    """

    id: str
    title: str
    reason: str
    remedy: str
    severity: Severity
    subject: type
    function: RuleFunction
    disputable: bool = False


def rule(severity: Severity, *, disputable: bool = False) -> Callable[[_Function], _Function]:
    """Decorates a rule: a function from something that a change touches to what is wrong with it (see `rule_of`)."""

    def mark(function: _Function) -> _Function:
        _marks[function] = (severity, disputable)
        return function

    return mark


def rules_of(*modules: ModuleType) -> tuple[Rule, ...]:
    """The decorated functions of these modules as rules, in the order in which they are written."""
    functions = (
        f for m in modules for f in vars(m).values() if isinstance(f, FunctionType) and f.__module__ == m.__name__
    )
    return tuple(rule_of(function, *_marks[function]) for function in functions if function in _marks)


def rule_of(function: RuleFunction, severity: Severity, disputable: bool = False) -> Rule:
    """One rule: its id comes from the function's module and name, its words from the docstring, its subject from the
    annotation. Raises TypeError when a word is missing.
    """
    name = function.__name__.replace("_", "-")
    group = function.__module__.removeprefix(_PACKAGE).split(".")[0]
    title, reason, remedy = _words(inspect.getdoc(function) or "", name)
    (subject,) = (t for n, t in get_type_hints(function).items() if n != "return")
    return Rule(
        id=f"{group}/{name}",
        title=title,
        reason=reason,
        remedy=remedy,
        severity=severity,
        subject=subject,
        function=function,
        disputable=disputable,
    )


def _words(docstring: str, name: str) -> tuple[str, str, str]:
    title, _, rest = docstring.partition("\n\n")
    reason, found, remedy = rest.partition("Remedy:")
    if not title or not reason.strip() or not found or not remedy.strip():
        raise TypeError(f"the docstring of the rule `{name}` needs a title, a reason and a `Remedy:`")
    return " ".join(title.split()).rstrip("."), " ".join(reason.split()), " ".join(remedy.split())
