"""The agent's tools. Each is a function of a module beside this one, listed in `TOOLS`: the llm sees its name, its
docstring and the annotations of its parameters, all but the workbench.

A tool returns what JSON can hold, or an `Ending`, which ends the conversation. It raises ToolRefusal to decline.
toolbox.py checks the arguments before it calls a tool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops_agent.agent.checking import check
from ops_agent.agent.describing import describe, describe_data
from ops_agent.agent.disputing import dispute
from ops_agent.agent.ending import ask_for_info, declare_infeasible, finish, propose_split
from ops_agent.agent.evidence import assert_
from ops_agent.agent.reading import list_, read, read_standard, search
from ops_agent.agent.referring import find_references
from ops_agent.agent.writing import delete, edit, move

TOOLS: tuple[Callable[..., Any], ...] = (
    list_,
    read,
    search,
    find_references,
    read_standard,
    describe,
    describe_data,
    edit,
    move,
    delete,
    check,
    assert_,
    dispute,
    finish,
    ask_for_info,
    propose_split,
    declare_infeasible,
)
