"""Provisioners: programs that an apply runs where it runs, for resources that the plan makes, replaces or destroys.

The source rules let the llm write none; but one in a module from outside, or in code that stands, runs with what the change hands to it,
and no line of the plan's text shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ops_agent.core.plans.plan_references import without_key
from ops_agent.core.plans.plan_values import blocks
from ops_agent.domain.terraform_plan import Danger, ResourceAction, ResourceChange


def program_dangers(plan: dict[str, Any], changes: Iterable[ResourceChange]) -> Iterator[Danger]:
    """One danger for each changed resource whose configuration has provisioners. An update in place runs none."""
    runs = dict(_provisioners(plan))
    for change in changes if runs else ():
        if change.mode == "managed" and (change.action is ResourceAction.CREATE or change.action.destroys):
            kinds = runs.get(without_key(change.address))
            if kinds:
                may = "may run" if change.action is ResourceAction.DELETE else "runs"
                why = f"an apply {may} what its provisioners say ({', '.join(kinds)}), which no plan shows"
                yield Danger(address=change.address, why=why, rule="plan/runs-a-program")


def _provisioners(plan: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(configuration address, kinds of provisioners) of every resource that has some."""
    configuration = plan.get("configuration")
    stack: list[tuple[str, Any]] = [("", configuration.get("root_module") if isinstance(configuration, dict) else None)]
    while stack:
        prefix, module = stack.pop()
        if not isinstance(module, dict):
            continue
        for resource in blocks(module.get("resources")):
            kinds = tuple(sorted({str(found.get("type"))[:60] for found in blocks(resource.get("provisioners"))}))
            if kinds:
                yield f"{prefix}{resource.get('address', '')}", kinds
        calls = module.get("module_calls")
        for name, call in calls.items() if isinstance(calls, dict) else ():
            if isinstance(call, dict):
                stack.append((f"{prefix}module.{name}.", call.get("module")))
