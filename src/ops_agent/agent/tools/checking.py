"""The tool that asks the judges."""

from __future__ import annotations

from typing import Any

from ops_agent.agent.workbench import ToolRefusal, Workbench


def check(bench: Workbench) -> Any:
    """Check everything changed so far: the source rules, then formatting and `terraform validate` of the roots that you touched.

    Gives findings with file and line. Plans are made after finish, by the action. At most 25 checks in one run, so edit first.
    """
    if bench.checks_left <= 0:
        raise ToolRefusal("no checks are left in this run; finish, the action checks everything again anyway")
    bench.checks_left -= 1
    return bench.check()
