"""The verification behind the agent's tool `check`: without any credential, and never twice for the same files.

The stage `verify` takes over what was found out about the base, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from ops_agent.config.settings import Settings
from ops_agent.guard.tree import SourceTree, source_tree
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.errors import ToolchainError
from ops_agent.model.ports import Scratch, TerraformWorkspace, World
from ops_agent.model.terraform import TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification, Verification
from ops_agent.run.base_failures import read_file
from ops_agent.run.judge import format_files
from ops_agent.run.offline import Opened, verify_offline
from ops_agent.run.target import BasePlans, Head, Work, all_pass, fmt, opened, redacted, work_of
from ops_agent.run.verify import fetch_modules, layout_checks, run_all
from ops_agent.terraform.modules import init_inputs

MAX_CHECKED_ROOTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found out about a root, and from which `inputs` (None: the engine did not run)."""

    inputs: tuple[object, ...] | None
    checks: tuple[CheckResult, ...]
    targets: tuple[TargetVerification, ...] = ()


class Checks:
    """fmt, init, validate and the offline plan of the touched roots in every environment, also of those with a role.
    Close it.

    `known` is what the run has planned of the base: a side of it is made once, by whoever needs it first.
    """

    def __init__(self, world: World, settings: Settings, scratch: Scratch, known: BasePlans) -> None:
        self._world, self._settings, self._scratch, self._known = world, settings, scratch, known
        self._cells = KeptCells()
        self._found: dict[str, _Found] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        self._cells.close()
        self._stack.close()

    def format(self) -> tuple[str, ...]:
        """Format what was edited since the last check; returns the paths of files that were not formatted."""
        return format_files(self._world.terraform, self._settings.policy, self._scratch, self._is_known)

    def verify(self, changes: ChangeSet) -> Verification:
        """The first `MAX_CHECKED_ROOTS` that `changes` touch. A root whose files are as in the last check is not run
        again.
        """
        before = source_tree(self._scratch.base, self._settings.policy)
        after = before.with_changes(changes)
        roots = after.affected_roots(changes.paths)[:MAX_CHECKED_ROOTS]
        self._run(before, after, changes, [root for root in roots if not self._is_known(root, after, changes)])
        found = [self._found[root.path] for root in roots]
        read = partial(read_file, self._scratch.root)
        return Verification(
            engine="",
            checks=(*layout_checks(before.layout, after.layout), *(check for one in found for check in one.checks)),
            targets=tuple(self._known.failures.excuse(target, read) for one in found for target in one.targets),
        )

    def _is_known(self, root: TerraformRoot, after: SourceTree, changes: ChangeSet) -> bool:
        found = self._found.get(root.path)
        return found is not None and found.inputs == _inputs(root, after, changes)

    def _run(self, before: SourceTree, after: SourceTree, changes: ChangeSet, roots: Sequence[TerraformRoot]) -> None:
        """Find out about `roots`, side by side."""
        if not roots:
            return
        world, base = self._world, self._scratch.base
        try:
            world.terraform.self_test()
            # Before any job, so that nothing of the llm's runs beside the tokens of module hosts.
            fetch_modules(world.terraform, world.redact, base, roots)
            head = Head(
                terraform=world.terraform,
                engine=world.terraform.engine(),
                redact=world.redact,
                policy=self._settings.policy,
                base_commit=base.commit,
                changes=changes,
                tree=self._scratch.root,
                buckets=frozenset(),
            )
            if self._known.tree is None:
                self._known.tree = self._stack.enter_context(world.scratch(base)).root
            jobs: dict[str, Callable[[], _Found]] = {}
            for root in roots:
                work = work_of(self._settings.environments, before.layout, (root,))
                inputs, of_init = _inputs(root, after, changes), init_inputs(root, after.paths, after.read)
                if work:
                    jobs[f"offline {root.path}"] = partial(self._offline, head, work, self._known.tree, inputs, of_init)
                jobs[f"fmt {root.path}"] = partial(_formatted, head, root, inputs)
            done = run_all(world.terraform, jobs)
        except ToolchainError as error:
            done = {f"offline {root.path}": _not_run(root, error) for root in roots}
        self._cells.keep_at_most(MAX_CHECKED_ROOTS)
        for root in roots:
            parts = [done[job] for job in (f"fmt {root.path}", f"offline {root.path}") if job in done]
            checks = tuple(check for part in parts for check in part.checks)
            self._found[root.path] = replace(parts[-1], checks=checks)

    def _offline(
        self, head: Head, work: Sequence[Work], untouched: Path, inputs: tuple[object, ...], of_init: str
    ) -> _Found:
        try:
            with self._cells.opened(head, work, of_init) as cells:
                targets = verify_offline(head, cells, self._known, untouched, work[0].target)
        except ToolchainError as error:
            return _not_run(work[0].target.root, error)
        return _Found(inputs=inputs, checks=(), targets=targets)


def _formatted(head: Head, root: TerraformRoot, inputs: tuple[object, ...]) -> _Found:
    return _Found(inputs=inputs, checks=(fmt(head, root),))


def _not_run(root: TerraformRoot, why: ToolchainError) -> _Found:
    check = CheckResult(name="validate", subject=root.path, status=CheckStatus.NOT_RUN, output=str(why))
    return _Found(inputs=None, checks=(check,))


def _inputs(root: TerraformRoot, after: SourceTree, changes: ChangeSet) -> tuple[object, ...]:
    """What the results of a root depend on while the base commit is the same: its changed files. Markdown is none of
    them: what a configuration reads may not be written (rule terraform/written-file-read).
    """
    own = (change for change in changes.changes if not change.path.endswith(".md"))
    return root, *((one.path, one.after) for one in own if any(r == root for r in after.affected_roots((one.path,))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Initialised workspaces of a root: for which targets, and by which inputs of init. `close` ends them."""

    targets: tuple[TerraformTarget, ...]
    inputs: str
    workspaces: tuple[TerraformWorkspace, ...]
    close: ExitStack


class KeptCells:
    """Where the tool `check` validates and plans: a cell for each target, without credentials, kept from one check to
    the next.

    A cell serves again while the targets of its root and what init reads of it (terraform.modules.init_inputs) are the
    same; its files are taken anew each time. Verification never uses one of these.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    @contextmanager
    def opened(self, head: Head, work: Sequence[Work], inputs: str) -> Iterator[tuple[Opened, ...]]:
        """The workspaces of `work`, of one root, with the head's files. They are kept when every `init` passed and the
        block raises nothing. Calls for different roots may come from different threads.
        """
        targets = tuple(one.target for one in work)
        kept = self._kept.pop(targets[0].root.path, None)
        if kept is not None and (kept.targets, kept.inputs) != (targets, inputs):
            kept.close.close()
            kept = None
        with ExitStack() as stack:
            if kept is not None:
                stack.enter_context(kept.close)
                workspaces = kept.workspaces
                for workspace in workspaces:
                    workspace.refresh(head.tree)
                checks: list[tuple[CheckResult, ...]] = [()] * len(workspaces)
            else:
                workspaces = tuple(stack.enter_context(opened(head, one)) for one in work)
                checks = [(redacted(workspace.init(), head.redact),) for workspace in workspaces]
            yield tuple(
                Opened(work=one, workspace=workspace, checks=results)
                for one, workspace, results in zip(work, workspaces, checks, strict=True)
            )
            if all(map(all_pass, checks)):
                self._kept[targets[0].root.path] = _Kept(
                    targets=targets, inputs=inputs, workspaces=workspaces, close=stack.pop_all()
                )

    def keep_at_most(self, count: int) -> None:
        """End the cells of the roots that were checked longest ago."""
        for path in list(self._kept)[: max(0, len(self._kept) - count)]:
            self._kept.pop(path).close.close()

    def close(self) -> None:
        self.keep_at_most(0)
