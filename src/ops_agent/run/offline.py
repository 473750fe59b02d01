"""Environments planned without their account, for `verify` and for the agent's tool `check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ops_agent.model.plan import OfflineSide, TerraformPlan
from ops_agent.model.ports import TerraformWorkspace
from ops_agent.model.terraform import TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification
from ops_agent.run.target import BasePlans, Head, Work, all_pass, read, redacted, verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A target's workspace, without a lease and initialised. `checks`: what ran in it now."""

    work: Work
    workspace: TerraformWorkspace
    checks: tuple[CheckResult, ...]


def verify_offline(
    head: Head, opened: Sequence[Opened], known: BasePlans, untouched: Path
) -> tuple[TargetVerification, ...]:
    """One offline plan for all targets of one root, which is the difference to the base by itself. A root of which a
    check failed before is not planned; its base is tried all the same, for it may fail there too.
    """
    checks = [[*one.checks] for one in opened]
    plans: list[TerraformPlan | None] = [None] * len(opened)
    with known.offline(opened[0].work.target.root):
        bases = offline_bases(head, [one.work for one in opened], known, untouched)
        found = []
        if all(map(all_pass, checks)):
            found = head.terraform.plan_offline([one.workspace for one in opened], bases)
    for number, (result, offline) in enumerate(found):
        checks[number].append(redacted(result, head.redact))
        if offline is not None:
            plans[number] = read(head, opened[number].work, offline.document, "", offline.untold)
    return tuple(
        verified(head, one.work, one.workspace, results, plan)
        for one, results, plan in zip(opened, checks, plans, strict=True)
    )


def offline_bases(
    head: Head,
    work: Sequence[Work],
    known: BasePlans,
    untouched: Path,
    goes_on: Callable[[TerraformTarget, CheckResult], bool] = lambda *_: True,
) -> list[OfflineSide | str | None]:
    """For each of `work`, of one root, what the offline plan has to know of its base: from `known`, or made now and
    kept there. None where the base has no such target, a text where its base cannot be planned: then the root is
    validated, to say what is wrong there. `goes_on` gets each result; nothing more is done when it answers False.
    """
    found: dict[str, OfflineSide | str] = {}

    def passes(target: TerraformTarget, check: CheckResult) -> bool:
        check = redacted(check, head.redact)
        known.failures.note(check, untouched)
        return goes_on(target, check) and check.status is not CheckStatus.FAILED

    with known.offline(work[0].target.root), ExitStack() as stack:
        ready = []
        for w in work:
            if w.base is None:
                continue
            if isinstance(side := known.get((head.base_commit, w.base, None)), OfflineSide | str):
                found[str(w.target)] = side
                continue
            providers = head.providers(w.base.root, None)
            workspace = stack.enter_context(head.terraform.workspace(untouched, w.base, None, providers=providers))
            if passes(w.base, workspace.init()):
                ready.append((w, w.base, workspace))
            else:
                found[str(w.target)] = "`init` fails"
        made = head.terraform.offline_bases([workspace for *_, workspace in ready]) if ready else []
        for (w, base, workspace), side in zip(ready, made, strict=True):
            known[head.base_commit, base, None] = side
            if isinstance(side, str) and not any(isinstance(other, str) for other in found.values()):
                passes(base, replace(workspace.validate(), subject=base.root.path))
            found[str(w.target)] = side
    return [found.get(str(w.target)) for w in work]
