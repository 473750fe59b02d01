"""The verification behind the agent's tool `check`: without any credential, and never twice for the same files.

The stage `verify` takes over what was found out about the base, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
from ops_agent.run.target import BasePlans, Head, Work, all_pass, fmt, opened, redacted, validated, work_of
from ops_agent.run.uncalled import check_module, uncalled_modules
from ops_agent.run.verify import fetch_modules, layout_checks, run_all
from ops_agent.terraform.modules import directory_of, init_inputs

MAX_CHECKED_ROOTS: Final = 4
Inputs = tuple[object, ...]
Cells = Callable[[str, Sequence[Work]], AbstractContextManager[tuple[Opened, ...]]]


class Checks:
    """fmt, init, validate and the offline plan of the touched roots in every environment, also of those with a role.
    Close it.

    `known` is what the run has planned of the base: a side of it is made once, by whoever needs it first.

    Provider starts of a check: for each root whose files changed since the last one `V + M*m + L`, with m environments,
    V and M as in run/verify.py, and L = 4, or 3 where everything that differs is created. The run's first offline plan
    of a root starts it `M*m + 3 + 1` times more, for the base's sides and the schemas. Asserted by
    tests/adapters/terraform/test_kept_cells.py.
    """

    def __init__(self, world: World, settings: Settings, scratch: Scratch, known: BasePlans) -> None:
        self._world, self._settings, self._scratch, self._known = world, settings, scratch, known
        self._cells = KeptCells()
        self._found: dict[str, tuple[Inputs, Verification]] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        self._cells.close()
        self._stack.close()

    def format(self) -> tuple[str, ...]:
        """Format what was edited since the last check; returns the paths of the files that it rewrote."""
        return format_files(self._world.terraform, self._settings.policy, self._scratch, self._is_known)

    def verify(self, changes: ChangeSet) -> Verification:
        """The first `MAX_CHECKED_ROOTS` that `changes` touch, then modules that no root calls. One whose files are as
        in the last check is not run again. A target may have two entries, of which one has its plan.
        """
        before = source_tree(self._scratch.base, self._settings.policy)
        after = before.with_changes(changes)
        modules = uncalled_modules(after, changes)
        roots = (*after.affected_roots(changes.paths), *modules)[:MAX_CHECKED_ROOTS]
        new = [root for root in roots if not self._is_known(root, after, changes)]
        found = {root.path: self._found[root.path][1] for root in roots if root not in new}
        if new:
            found |= self._run(before, after, changes, new)
        read = partial(read_file, self._scratch.root)
        checks = [check for root in roots for check in found[root.path].checks]
        targets = [target for root in roots for target in found[root.path].targets]
        return Verification(
            engine="",
            checks=(*layout_checks(before.layout, after.layout), *checks),
            uncalled=tuple(module.path for module in modules),
            targets=tuple(self._known.failures.excuse(target, read) for target in targets),
        )

    def _is_known(self, root: TerraformRoot, after: SourceTree, changes: ChangeSet) -> bool:
        return root.path in self._found and self._found[root.path][0] == _inputs(root, after, changes)

    def _run(
        self, before: SourceTree, after: SourceTree, changes: ChangeSet, roots: Sequence[TerraformRoot]
    ) -> dict[str, Verification]:
        """What is found out about `roots`, side by side; kept, unless the engine broke."""
        world, base = self._world, self._scratch.base
        try:
            world.terraform.self_test()
            # Before any job, so that nothing of the llm's runs beside the tokens of module hosts.
            called = [root for root in roots if root.path in after.reached_directories]
            fetch_modules(world.terraform, world.redact, base, called)
            head = Head(
                terraform=world.terraform,
                engine=world.terraform.engine(),
                redact=world.redact,
                policy=self._settings.policy,
                base=base,
                changes=changes,
                tree=self._scratch.root,
                buckets=frozenset(),
            )
            if self._known.tree is None:
                self._known.tree = self._stack.enter_context(world.scratch(base)).root
            jobs: dict[str, Callable[[], Verification]] = {}
            for root in roots:
                if root not in called:
                    jobs[f"module {root.path}"] = partial(_module, head, root, after, self._known, self._known.tree)
                    continue
                if work := work_of(self._settings.environments, before.layout, (root,)):
                    cells = partial(self._cells.opened, head, init_inputs(root, after.paths, after.read))
                    jobs[f"offline {root.path}"] = partial(_planned, head, work, cells, self._known, self._known.tree)
                    jobs[f"validate {root.path}"] = partial(_validated, head, work[0], cells)
                jobs[f"fmt {root.path}"] = partial(_formatted, head, root)
            done = run_all(world.terraform, jobs)
        except ToolchainError as error:
            check = CheckResult(name="validate", subject="", status=CheckStatus.NOT_RUN, output=str(error))
            return {r.path: Verification(engine="", checks=(replace(check, subject=r.path),)) for r in roots}
        self._cells.keep_at_most(MAX_CHECKED_ROOTS)
        found = {
            root.path: done.get(f"module {root.path}") or _joined(*(done.get(f"{job} {root.path}") for job in _JOBS))
            for root in roots
        }
        self._found |= {root.path: (_inputs(root, after, changes), found[root.path]) for root in roots}
        return found


_JOBS: Final = ("fmt", "validate", "offline")


def _formatted(head: Head, root: TerraformRoot) -> Verification:
    return Verification(engine=head.engine, checks=(fmt(head, root),))


def _module(head: Head, module: TerraformRoot, after: SourceTree, known: BasePlans, untouched: Path) -> Verification:
    return Verification(engine=head.engine, checks=check_module(head, module, after, known.failures, untouched))


def _validated(head: Head, work: Work, cells: Cells) -> Verification:
    """In a cell of its own, beside the mocked runs, which write into theirs."""
    with cells("validate", (work,)) as (one,):
        checks = one.checks
        if all_pass(checks):
            checks += (validated(head, work.target, one.workspace),)
    return Verification(engine=head.engine, targets=(TargetVerification(target=work.target, checks=checks),))


def _planned(head: Head, work: Sequence[Work], cells: Cells, known: BasePlans, untouched: Path) -> Verification:
    with cells("offline", work) as opened:
        return Verification(engine=head.engine, targets=verify_offline(head, opened, known, untouched))


def _joined(formatted: Verification | None, valid: Verification | None, planned: Verification | None) -> Verification:
    """What a root that is not valid would do is nobody's concern."""
    targets = planned.targets if planned is not None and valid is not None and valid.passed else ()
    return Verification(
        engine="",
        checks=formatted.checks if formatted else (),
        targets=(*(valid.targets if valid else ()), *targets),
    )


def _inputs(root: TerraformRoot, after: SourceTree, changes: ChangeSet) -> Inputs:
    """What the results of a root depend on while the base commit is the same: its changed files. Markdown is none of
    them: what a configuration reads may not be written (rule terraform/written-file-read).
    """
    own = (change for change in changes.changes if not change.path.endswith(".md"))
    return root, *(
        (one.path, one.after)
        for one in own
        if directory_of(one.path) == root.path or any(r == root for r in after.affected_roots((one.path,)))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Initialised workspaces of a root: for which targets, and by which inputs of init. `close` ends them."""

    targets: tuple[TerraformTarget, ...]
    inputs: str
    workspaces: tuple[TerraformWorkspace, ...]
    close: ExitStack


class KeptCells:
    """Where the tool `check` validates and plans: cells without credentials, kept from one check to the next.

    They serve again while their targets and what init reads of the root (terraform.modules.init_inputs) are the same;
    their files are taken anew each time. Verification never uses one of these.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    @contextmanager
    def opened(self, head: Head, inputs: str, purpose: str, work: Sequence[Work]) -> Iterator[tuple[Opened, ...]]:
        """Workspaces for `work`, of one root, with the head's files. They are kept for this `purpose` when every init
        passed and the block raises nothing. Calls for different roots or purposes may come from different threads.
        """
        targets = tuple(one.target for one in work)
        key = (targets[0].root.path, purpose)
        kept = self._kept.pop(key, None)
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
                self._kept[key] = _Kept(targets=targets, inputs=inputs, workspaces=workspaces, close=stack.pop_all())

    def keep_at_most(self, roots: int) -> None:
        """End the cells of the roots that were checked longest ago."""
        by_root = dict.fromkeys(path for path, _ in reversed(self._kept))
        for path in [*by_root][roots:]:
            for key in [key for key in self._kept if key[0] == path]:
                self._kept.pop(key).close.close()

    def close(self) -> None:
        self.keep_at_most(0)
