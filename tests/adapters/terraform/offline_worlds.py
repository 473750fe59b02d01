"""Two trees of a repository, planned offline: what the tests of the offline plan share."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.terraform.worlds import Files, environment, service, target, write
from ops_agent.adapters.terraform.offline_plan import Seen, base_sides, plan_offline
from ops_agent.model.plan import OfflinePlan, ResourceChange, TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.reading import read_plan


@dataclass(frozen=True)
class Planned:
    """An offline plan, read as the product reads it."""

    check: CheckResult
    made: OfflinePlan
    plan: TerraformPlan
    entries: dict[str, dict]

    @property
    def actions(self) -> dict[str, str]:
        return {change.address: str(change.action) for change in self.plan.changes}

    @property
    def untold(self) -> dict[str, str]:
        return {row.address: row.why for row in self.made.untold}

    def __getitem__(self, address: str) -> ResourceChange:
        return next(change for change in self.plan.changes if change.address == address)


def planned(
    terraform,
    directory: Path,
    before: Files,
    after: Files,
    *,
    seen: Seen | None = None,
    failed: dict[str, str] | None = None,
    **fields,
) -> Planned:
    """The offline plan of prod from the trees `before` and `after`."""
    seen = seen or Seen()
    prod = target(environment("prod"), **fields)
    with terraform.workspace(write(directory / "base", before), prod, None) as workspace:
        init = workspace.init()
        assert init.status is CheckStatus.PASSED, init
        [base] = base_sides([workspace], seen)
        assert not isinstance(base, str), base
    with terraform.workspace(write(directory / "head", after), prod, None) as workspace:
        init = workspace.init()
        assert init.status is CheckStatus.PASSED, init
        base = replace(base, failed={**base.failed, **(failed or {})})
        [(check, made)] = plan_offline([workspace], [base], seen)
    assert made is not None, check
    plan = read_plan(made.document, "", Policy())
    entries = {entry["address"]: entry for entry in json.loads(made.document)["resource_changes"]}
    return Planned(check, made, plan, entries)


def changed(terraform, directory: Path, before: str, after: str, **more) -> Planned:
    """The same for two `main.tf` in the team's layout."""
    return planned(terraform, directory, service("offline", before), service("offline", after), **more)
