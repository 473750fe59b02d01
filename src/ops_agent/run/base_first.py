"""The base first: init, validate and plans of the base commit, found out while the agent reads.

What fails there is a property of the repository. When nothing can ever be initialised, the run ends before money is
spent on it; anything else is never blamed on the change (base_failures.py).
"""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from ops_agent.config.settings import Settings
from ops_agent.model.finding import Finding
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.terraform import Layout, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, Verification
from ops_agent.run.needs import find_needs, lines_of, stopped_by
from ops_agent.run.target import BasePlans
from ops_agent.run.verify import fetched_modules, plan_bases
from ops_agent.terraform.obstacles import init_remedy

_PATHS: Final = re.compile(r"`([^`\s]+)`|[\w.-]+(?:/[\w.-]+)+")
"""What names a path: code, or words with a slash. `app` as a plain word is no root of that name."""
MAX_ROOTS: Final = 4
"""Roots that are planned ahead; further ones when a change affects them."""
_PATIENCE: Final = 120.0
"""Seconds that the first call of the llm waits at most for an `init`. It takes less than one second from a mirror, and
some seconds where providers are downloaded.
"""


class BaseFirst:
    """A thread of its own, from `with` to its end. `plans` is what it found out, for `verify`; `notes` is what the
    roots need and have not.
    """

    def __init__(self, world: World, settings: Settings, base: BaseTree, layout: Layout, request: str = "") -> None:
        """`request` is the issue's text: roots whose path it names are planned ahead of others, and decide alone
        whether anything can be planned.
        """
        written = {(found[1] or found[0]).removeprefix("./").rstrip("./") for found in _PATHS.finditer(request)}
        self._named = {root.path for root in layout.roots} & written
        layout = replace(layout, roots=tuple(sorted(layout.roots, key=lambda root: root.path not in self._named)))
        self.plans = BasePlans()
        self.notes: tuple[str, ...] = ()
        self._world, self._settings, self._base, self._layout = world, settings, base, layout
        self._ahead = {root.path for root in layout.roots[:MAX_ROOTS]}
        self._thread = threading.Thread(target=self._run, name="base first", daemon=True)
        self._stack = ExitStack()
        self._inits: dict[TerraformTarget, CheckResult] = {}
        self._decided = threading.Event()
        self._enough = self._at_once = False
        self._patience = _PATIENCE
        self._broken: BaseException | None = None
        self._lacking: Stopped | None = None

    def __enter__(self) -> BaseFirst:
        """Says what the roots need; copies the base's files and fetches its modules first: the base is read by one
        thread only, and nothing runs beside the tokens of module hosts. Raises what they raise.
        """
        needs = find_needs(self._world, self._settings, self._base, self._layout)
        self.notes = lines_of(needs)
        for line in self.notes:
            self._world.reporter.line(line)
        self._lacking = stopped_by(needs, self._settings, self._layout)
        if self._lacking is not None or not self._layout.roots:
            self._decided.set()
            return self
        try:
            self.plans.tree = self._stack.enter_context(self._world.scratch(self._base)).root
            ahead = [root for root in self._layout.roots if root.path in self._ahead]
            fetched_modules(self._world.terraform, self._base, ahead)
        except BaseException:
            self._stack.close()
            raise
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._enough = self._at_once = True
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._world.terraform.cancel()
        self._join()
        self._stack.close()

    def before_call(self) -> Stopped | None:
        """Before each call of the llm: why no change could be planned, if that is known; the first waits for an
        `init` that succeeds, and never for a plan.

        Raises what ended the thread: a toolchain that is missing, a role that cannot be had, a full disk. After
        `settle` the verification knows more.
        """
        if self._lacking is not None:
            return self._lacking
        is_known, self._patience = self._decided.wait(self._patience), 0.0
        if not is_known or self._enough:
            return None
        if self._broken is not None:
            raise self._broken
        return self._hopeless()

    def settle(self) -> None:
        """Before `verify`, which plans what is left over: finish the target that is being planned, begin no other."""
        self._enough = True
        self._join()

    def no_proof(self, verification: Verification) -> Stopped | None:
        """Why a change cannot be proved: `init` of all its targets fails as on the base, for a reason outside of it."""
        states = {c.status for t in verification.targets for c in t.checks if c.name == "init"}
        return self._hopeless() if states == {CheckStatus.ON_BASE} else None

    def _join(self) -> None:
        while self._thread.is_alive():
            self._thread.join(0.5)  # with a time limit, so that an interrupt is seen at once

    def _run(self) -> None:
        try:
            self._world.terraform.self_test()
            plan_bases(self._world, self._settings, self._base, self._layout, self.plans, self._goes_on)
        except BaseException as broken:
            self._broken = broken
        finally:
            self._decided.set()

    def _goes_on(self, target: TerraformTarget, check: CheckResult | None) -> bool:
        if check is not None and check.name == "init":
            self._inits[target] = check
            if check.status is not CheckStatus.FAILED:
                self._decided.set()
        elif check is None and self._named and target.root.path not in self._named and self._hopeless():
            self._decided.set()  # the roots that the issue names came first
        if check is not None:
            return not self._at_once
        return not self._enough and (target.root.path in self._ahead or not self._decided.is_set())

    def _hopeless(self) -> Stopped | None:
        """Every `init` failed for a reason outside of any change (of the named roots, if there are any)."""
        inits = {t: c for t, c in list(self._inits.items()) if not self._named or t.root.path in self._named}
        found = [self._obstacles(check) for check in inits.values()]
        if not found or not all(found):
            return None
        obstacles = tuple(dict.fromkeys(finding for findings in found for finding in findings))
        paths = list(dict.fromkeys(target.root.path for target in inits))
        roots = ", ".join(f"`{path}`" for path in paths[:MAX_ROOTS])
        roots += f" and {len(paths) - MAX_ROOTS} other roots" if len(paths) > MAX_ROOTS else ""
        return Stopped(
            Conclusion.TOOLCHAIN_FAILED,
            f"`init` of {roots} fails on the base branch, so no change can be planned: {obstacles[0].what[:400]}",
            " ".join(dict.fromkeys(finding.remedy for finding in obstacles)),
            findings=obstacles,
        )

    def _obstacles(self, check: CheckResult) -> tuple[Finding, ...]:
        """Findings of a failed init that a person must remove, with the remedy; empty when it passed."""
        if check.status is not CheckStatus.FAILED:
            return ()
        remedies = ((finding, init_remedy(finding.what)) for finding in check.findings)
        return tuple(replace(finding, remedy=remedy) for finding, remedy in remedies if remedy is not None)
