"""Every rule of the guard. Only decorated functions of these modules run; the order is that of docs/rules.md."""

from __future__ import annotations

from ops_agent.guard.rule import Rule, rules_of
from ops_agent.guard.rules.path import changed_paths
from ops_agent.guard.rules.secret import secrets_in_text
from ops_agent.guard.rules.terraform import (
    backends,
    conventions,
    execution,
    files,
    inputs,
    regions_and_accounts,
    secrets,
    services,
    sources,
)
from ops_agent.guard.rules.workflow import actions, deployments, environments, names, scripts, triggers
from ops_agent.guard.rules.workflow import conventions as workflow_conventions
from ops_agent.guard.rules.workflow import regions_and_accounts as workflow_regions_and_accounts
from ops_agent.guard.rules.workflow.linters import LINTER_RULES

TABLE: tuple[Rule, ...] = (
    *rules_of(changed_paths),
    *rules_of(execution, files, sources, inputs, secrets, regions_and_accounts, backends, services, conventions),
    *rules_of(names, triggers, actions, scripts),
    *rules_of(workflow_regions_and_accounts, deployments, environments, workflow_conventions),
    *LINTER_RULES,
    *rules_of(secrets_in_text),
)
