"""Every rule of the guard. Only decorated functions of these modules run; the order is that of docs/rules.md."""

from __future__ import annotations

from ops_agent.guard.rule import Rule, rules_of
from ops_agent.guard.rules import path, secret
from ops_agent.guard.rules.terraform import (
    backends,
    conventions,
    execution,
    files,
    inputs,
    places,
    secrets,
    services,
    sources,
)
from ops_agent.guard.rules.workflow import actions, deployments, names, scripts, triggers
from ops_agent.guard.rules.workflow.linters import LINTER_RULES

TABLE: tuple[Rule, ...] = (
    *rules_of(path),
    *rules_of(execution, files, sources, inputs, secrets, places, backends, services, conventions),
    *rules_of(names, triggers, actions, scripts, deployments),
    *LINTER_RULES,
    *rules_of(secret),
)
