"""ports.Terraform and ports.CloudIdentity that run nothing and keep a log, for tests of the stage `verify`."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from adapters.terraform.worlds import DEV
from ops_agent.model.finding import Finding, Place
from ops_agent.model.plan import OfflineSide
from ops_agent.model.terraform import FetchedModules
from ops_agent.model.verification import CheckResult, CheckStatus

PASSED, FAILED = CheckStatus.PASSED, CheckStatus.FAILED


def check(name: str, status: CheckStatus = PASSED, **fields) -> CheckResult:
    return CheckResult(name=name, subject="x", status=status, **fields)


def finding(path: str) -> Finding:
    return Finding(rule="check/fmt", title="t", place=Place(path=path), what="what secret", remedy="r")


@dataclass
class Recorder:
    """ports.Terraform that runs nothing. `results` replaces the result of a command of the head, `base_results` one of
    the base; `on` is called with every command's name.
    """

    results: dict[str, CheckResult] = field(default_factory=dict)
    base_results: dict[str, CheckResult] = field(default_factory=dict)
    on: object = None
    log: list[str] = field(default_factory=list)
    installs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def engine(self) -> str:
        return "Terraform 9.9.9 (recorded)"

    def choose_engine(self, wishes):
        pass

    def fetched_modules(self, root):
        return FetchedModules()

    def self_test(self) -> str:
        self.log.append("self test")
        return "nothing real"

    def parallel(self) -> int:
        return 3

    def cancel(self) -> None:
        self.cancelled.set()

    def run(self, name: str, what: str) -> CheckResult:
        self.log.append(f"{name} {what}")
        if self.on:
            self.on(f"{name} {what}", self)
        results = self.base_results if what.startswith("base ") else self.results
        return results.get(name, check(name))

    def formatted(self, tree, root):
        return {}

    def fmt(self, tree, root):
        return self.run("fmt", root.path)

    @contextmanager
    def workspace(self, tree, target, lease, *, providers=None, buckets=frozenset()):
        side = "head" if (Path(tree) / "HEAD").exists() else "base"
        what = f"{side} {target}"
        self.installs[what] = providers

        def plan(*, with_text=True):
            return self.run("plan", what), None

        yield SimpleNamespace(
            init=lambda: self.run("init", what),
            validate=lambda: self.run("validate", what),
            plan=plan,
            placeholders=("image",),
            lock_file_update=None,
            modules=(),
            what=what,
        )

    def offline_bases(self, workspaces):
        for one in workspaces:
            self.run("offline", one.what)
        return [OfflineSide() for _ in workspaces]

    def plan_offline(self, workspaces, bases):
        return [(self.run("offline plan", one.what), None) for one in workspaces]


class Cloud:
    """ports.CloudIdentity: dev has a role."""

    def __init__(self, error: Exception | None = None) -> None:
        self.leases: list[str] = []
        self.error = error

    def unplanned_reason(self, environment):
        return None if environment.name == "dev" else "no role"

    def try_role(self, environment, states):
        return DEV, {}

    @contextmanager
    def lease(self, environment):
        if self.error:
            raise self.error
        self.leases.append(environment.name)
        yield SimpleNamespace(environment=environment.name, account=DEV, variables={})
