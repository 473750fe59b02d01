"""Whether a job is really bound to a GitHub environment (an empty name is no environment), and whether a condition
keeps events out.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ops_agent.model.workflow import Job, Workflow
from ops_agent.workflows.expressions import parts_of, terms, unwrapped

_EXPRESSION = re.compile(r"\s*\$\{\{(.*)\}\}\s*", re.DOTALL)
_ENDS_IN_A_NAME = re.compile(r".*\|\|\s*'[A-Za-z0-9_-]+'[\s)]*", re.DOTALL)
_INPUT = re.compile(r"\s*(github\.event\.)?inputs\.([A-Za-z0-9_-]+)\s*")
_MATRIX = re.compile(r"\s*matrix\.([A-Za-z0-9_-]+)\s*")
_CALL = re.compile(r"[A-Za-z]\s*\(")
_ONE_EVENT = re.compile(r"github\.event_name\s*==\s*'(\w+)'")
_NOT_THE_EVENT = re.compile(r"github\.event_name\s*!=\s*'(\w+)'")
_BRANCH = re.compile(r"github\.ref(_name\s*==\s*'|\s*==\s*'refs/heads/)(?!.*/merge'|.*queue)[A-Za-z0-9._/-]+'")


def is_gated(job: Job, workflow: Workflow) -> bool:
    """True when `environment` cannot be empty: a name, an expression that falls back to a name, or an input that is
    never empty.
    """
    expression = _EXPRESSION.fullmatch(job.environment)
    if expression is None:
        return bool(job.environment.strip()) and "${{" not in job.environment
    named = _INPUT.fullmatch(expression[1])
    if named:
        asked = [t for t in workflow.triggers if t.event in ("workflow_dispatch", "workflow_call")]
        return len(asked) == len(workflow.triggers) and all(named[2] in t.filled_inputs for t in asked)
    if _MATRIX.fullmatch(expression[1]):
        return bool(environments_of(job))
    if _CALL.search(expression[1]):
        return False  # `format('', 'x' || 'y')` ends in a name and is empty
    return bool(_ENDS_IN_A_NAME.fullmatch(expression[1])) and "&&" not in expression[1].rpartition("||")[2]


def environments_of(job: Job) -> tuple[str, ...]:
    """Every name that `environment` can have, as far as it is written out: the name itself, or the values of a literal
    matrix.
    """
    expression = _EXPRESSION.fullmatch(job.environment)
    axis = _MATRIX.fullmatch(expression[1]) if expression else None
    return job.matrix.get(axis[1], ()) if axis else (job.environment,)


def keeps_out(condition: str, events: Collection[str]) -> bool:
    """True when a job or step with this `if` never runs on any of `events`; False when in doubt.

    An expression with text around it, be it a line end, is a text, and a text is true.
    """
    if "${{" in condition:
        whole = list(parts_of(condition))
        return len(whole) == 1 and whole[0].closed and all(_is_false_on(whole[0].text, e) for e in events)
    return all(_is_false_on(condition, event) for event in events)


def _is_false_on(expression: str, event: str) -> bool:
    text = unwrapped(expression)
    either = terms(text, "||")
    if len(either) > 1:
        return all(_is_false_on(t, event) for t in either)
    both = terms(text, "&&")
    if len(both) > 1:
        return any(_is_false_on(t, event) for t in both)
    only = _ONE_EVENT.fullmatch(text)
    if only:
        return only[1] != event
    other = _NOT_THE_EVENT.fullmatch(text)
    if other:
        return other[1] == event
    return text == "false" or (event in ("pull_request", "merge_group") and bool(_BRANCH.fullmatch(text)))
