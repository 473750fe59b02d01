"""The tool that checks what was changed so far."""

from __future__ import annotations

from typing import Any

from ops_agent.agent.workbench import ToolRefusal, Workbench


def check(bench: Workbench) -> Any:
    """Check everything changed so far: source rules; then `terraform fmt`, `validate` and an offline plan of the roots
    that you touched, in every environment.

    Gives findings with file and line; of each resource the action, the values that are set and what forces a
    replacement; and dangers, with what to do. Offline is without the account: a row that only it decides is `cannot
    tell without the account`. At most 25 checks in one run: edit first.
    """
    if bench.checks_left <= 0:
        raise ToolRefusal("no checks are left in this run; finish, the action checks everything again anyway")
    bench.checks_left -= 1
    found = bench.check()
    bench.checked_at = bench.writes
    return found
