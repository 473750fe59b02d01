"""Behind the agent's tools `describe` and `describe_data`: the types of the providers that the base uses.

Only the base commit's files are initialised, and what is planned is written by our own code: nothing of the llm's runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from ops_agent.agent.workbench import ToolRefusal
from ops_agent.config.settings import Settings
from ops_agent.guard.tree import source_tree
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.errors import ToolchainError
from ops_agent.model.ports import Scratch, TerraformWorkspace, World
from ops_agent.model.terraform import DescribedType, TerraformRoot
from ops_agent.model.verification import CheckStatus
from ops_agent.run.target import BasePlans, Head, redacted, work_of
from ops_agent.run.verify import fetch_modules

MAX_ROOTS: Final = 3
"""Roots that are initialised to look for a type."""


class Types:
    """Over the base of one conversation. Close it: it keeps initialised workspaces and the answers."""

    def __init__(self, world: World, settings: Settings, scratch: Scratch, known: BasePlans) -> None:
        self._world, self._settings, self._scratch, self._known = world, settings, scratch, known
        self._stack = ExitStack()
        self._opened: dict[str, TerraformWorkspace | str] = {}
        self._found: dict[tuple[str, bool], DescribedType] = {}

    def close(self) -> None:
        self._stack.close()

    def describe(self, type_: str, data: bool) -> DescribedType:
        """Raises ToolRefusal when no root can be asked, or none knows the type."""
        if (type_, data) in self._found:
            return self._found[type_, data]
        troubles, near = [], list[str]()
        try:
            for root, workspace in self._workspaces():
                if isinstance(workspace, str):
                    troubles.append(workspace)
                    continue
                with self._known.offline(root):
                    answer = self._world.terraform.describe(workspace, type_, data=data)
                if isinstance(answer, DescribedType):
                    return self._found.setdefault((type_, data), answer)
                near += answer
        except ToolchainError as error:
            troubles.append(str(error))
        if troubles:
            raise ToolRefusal(f"cannot tell: {'; '.join(troubles)[:1000]}. `check` says what Terraform makes of it.")
        if not self._opened:
            raise ToolRefusal("cannot tell: the base has no root whose providers could be asked")
        like = f"; there are {', '.join(dict.fromkeys(near))}" if near else ""
        kind = "data source" if data else "resource type"
        raise ToolRefusal(f"no provider of {', '.join(map(repr, self._opened))} has the {kind} `{type_[:100]}`{like}")

    def _workspaces(self) -> Iterator[tuple[TerraformRoot, TerraformWorkspace | str]]:
        """Of the first roots, one after another: a workspace after init, or why there is none."""
        base, terraform = self._scratch.base, self._world.terraform
        layout = source_tree(base, self._settings.policy).layout
        work = work_of(self._settings.environments, layout, layout.roots)
        first = {one.target.root: one.target for one in reversed(work)}
        for root in [root for root in layout.roots if root in first][:MAX_ROOTS]:
            if root.path not in self._opened:
                terraform.self_test()
                fetch_modules(terraform, self._world.redact, base, [root])
                if self._known.tree is None:
                    self._known.tree = self._stack.enter_context(self._world.scratch(base)).root
                head = Head(
                    terraform=terraform,
                    engine=terraform.engine(),
                    redact=self._world.redact,
                    policy=self._settings.policy,
                    base=base,
                    changes=ChangeSet(base_commit=base.commit, changes=()),
                    tree=self._known.tree,
                    buckets=frozenset(),
                )
                workspace = self._stack.enter_context(
                    terraform.workspace(head.tree, first[root], None, providers=head.providers(root, None))
                )
                ready = redacted(workspace.init(), self._world.redact)
                self._opened[root.path] = workspace
                if ready.status is CheckStatus.FAILED:
                    said = "; ".join(finding.what for finding in ready.findings) or ready.output
                    self._opened[root.path] = f"`init` of `{root.path}` fails on the base: {said[:300]}"
            yield root, self._opened[root.path]
