"""Where the tool `check` validates: a cell for each root that stays initialised from one check to the next."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ops_agent.domain.layout import TerraformRoot, TerraformTarget
from ops_agent.domain.verification import CheckResult, CheckStatus
from ops_agent.errors import OpsAgentError, ToolchainError
from ops_agent.ports import TerraformWorkspace, World


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An initialised workspace: for which target, and by which inputs of init. `close` ends it."""

    target: TerraformTarget
    inputs: str
    workspace: TerraformWorkspace
    close: ExitStack


class KeptCells:
    """The cells of one conversation, without credentials. `close` it: they hold copies of the tree.

    A cell serves again while the target and what init reads of it (core.sources.init_inputs) are the same; its files are taken anew each
    time. Another root has another cell, and verification never uses one of these.
    """

    def __init__(self, world: World, providers: tuple[str, ...]) -> None:
        self._world = world
        self._providers = providers
        self._kept: dict[str, _Kept] = {}

    def validate(self, tree: Path, target: TerraformTarget, inputs: str) -> tuple[CheckResult, ...]:
        """The results of init, if it was needed, and of validate. An engine that cannot be used is a check that was not run.

        Calls for different roots may come from different threads.
        """
        kept = self._kept.pop(target.root.path, None)
        try:
            checks: tuple[CheckResult, ...] = ()
            if kept is not None and (kept.target, kept.inputs) == (target, inputs):
                kept.workspace.refresh(tree)
            else:
                _end(kept)
                kept, checks = self._initialised(tree, target, inputs)
            if kept is None:
                return checks
            checks = (*checks, kept.workspace.validate())
        except OpsAgentError as error:
            _end(kept)
            if not isinstance(error, ToolchainError):
                raise
            return not_run(target.root, error)
        self._kept[target.root.path] = kept
        return checks

    def keep_at_most(self, count: int) -> None:
        """End the cells that were used longest ago."""
        for path in list(self._kept)[: max(0, len(self._kept) - count)]:
            _end(self._kept.pop(path))

    def close(self) -> None:
        self.keep_at_most(0)

    def _initialised(self, tree: Path, target: TerraformTarget, inputs: str) -> tuple[_Kept | None, tuple[CheckResult, ...]]:
        """A new cell, and what init said; no cell when it failed."""
        with ExitStack() as stack:
            workspace = stack.enter_context(self._world.terraform.workspace(tree, target, None, providers=self._providers))
            init = workspace.init()
            if init.status is not CheckStatus.PASSED:
                return None, (init,)
            return _Kept(target=target, inputs=inputs, workspace=workspace, close=stack.pop_all()), (init,)


def not_run(root: TerraformRoot, why: ToolchainError) -> tuple[CheckResult, ...]:
    return (CheckResult(name="validate", subject=root.path, status=CheckStatus.NOT_RUN, output=str(why)),)


def _end(kept: _Kept | None) -> None:
    if kept is not None:
        kept.close.close()
