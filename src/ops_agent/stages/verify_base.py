"""What the base commit plans, asked once in a run: repair rounds change the head alone."""

from __future__ import annotations

from ops_agent.domain.layout import TerraformTarget
from ops_agent.domain.terraform_plan import TerraformPlan
from ops_agent.ports import CredentialLease


class BasePlans:
    """Plans of base commits, by commit, target and the account of the lease (None: with mocked providers).

    The pipeline makes one for each run and hands it to every round. A plan that failed is not kept: the next round asks again.

    The state, or what a data source reads, may move between two rounds. The head is planned anew in each, so what is shown and what is
    dangerous is never old. Old is only what is subtracted, and a change is subtracted when its values before *and* after are those of the
    base's plan: where the state moved, the values before differ, and the change counts as ours. So an old plan of the base rather blames
    this change for too much. It is never older than the run (`timeout_minutes`).
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, TerraformTarget, str | None], TerraformPlan] = {}

    def known(self, commit: str, target: TerraformTarget | None, lease: CredentialLease | None) -> TerraformPlan | None:
        """The plan that was kept; None when there is none, or no target."""
        return self._kept.get((commit, target, _account(lease))) if target else None

    def keep(self, commit: str, target: TerraformTarget, lease: CredentialLease | None, plan: TerraformPlan) -> None:
        self._kept[commit, target, _account(lease)] = plan


def _account(lease: CredentialLease | None) -> str | None:
    return lease.account if lease else None
