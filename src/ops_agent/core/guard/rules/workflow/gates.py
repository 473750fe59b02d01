"""Whether a job is really bound to a GitHub environment: an empty name is no environment."""

from __future__ import annotations

import re

from ops_agent.domain.workflow_source import Job, Workflow

_EXPRESSION = re.compile(r"\s*\$\{\{(.*)\}\}\s*", re.DOTALL)
_ENDS_IN_A_NAME = re.compile(r".*\|\|\s*'[A-Za-z0-9_-]+'[\s)]*", re.DOTALL)
_INPUT = re.compile(r"\s*(github\.event\.)?inputs\.([A-Za-z0-9_-]+)\s*")
_CALL = re.compile(r"[A-Za-z]\s*\(")


def is_gated(job: Job, workflow: Workflow) -> bool:
    """True when `environment` cannot be empty: a name, an expression that falls back to a name, or an input that is never empty."""
    expression = _EXPRESSION.fullmatch(job.environment)
    if expression is None:
        return bool(job.environment) and "${{" not in job.environment
    named = _INPUT.fullmatch(expression[1])
    if named:
        asked = [t for t in workflow.triggers if t.event in ("workflow_dispatch", "workflow_call")]
        return len(asked) == len(workflow.triggers) and all(named[2] in t.filled_inputs for t in asked)
    if _CALL.search(expression[1]):
        return False  # `format('', 'x' || 'y')` ends in a name and is empty
    return bool(_ENDS_IN_A_NAME.fullmatch(expression[1])) and "&&" not in expression[1].rpartition("||")[2]
