"""A job uses the files, the role and the name of one environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice, product

from ops_agent.guard.rule import WorkflowFile, rule
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import ROOT
from ops_agent.model.workflow import Job, Step
from ops_agent.terraform.environments import canonical, environment_of_path
from ops_agent.workflows.shell import COMPUTED, Line, forms

_NAMES_IT = frozenset({"environment", "env", "stage", "tf_var_environment", "tf_var_env"})
_COMMAND = re.compile(
    r"\b(?:terraform|tofu)\s+(?P<before>(?:-\S+\s+)*)(?P<name>init|plan|apply|destroy|refresh)\b(?P<after>[^\n;&|]*)"
)
_FILE = re.compile(r"(?<!\S)--?(chdir|backend-config|var-file)[= ](\S+)")
_SETTING = re.compile(r"\$\{\{\s*(?:vars|secrets)\.(\w+)\s*\}\}")
_MAX_VARIANTS = 16
_Values = Mapping[str, tuple[str, ...]]
_Used = dict[str, str]
"""Environment -> by what it is used."""


@rule(Severity.BLOCKS)
def mixed_environments(file: WorkflowFile) -> Iterator[Finding]:
    """A job names one environment and uses another one's files, role or account, or one command uses those of two.

    With dev's state and prod's values a plan shows what no apply should do, and an apply changes the other environment.
    Only names of `aws_accounts` and of the repository's own environments count. One job may serve several environments,
    each with its own files, and a matrix is judged value by value.

    Remedy: Use the backend file, the variable file and the role of the environment that the job names; write a job for
    each environment, or a matrix.
    """
    known = {canonical(n) for n in (*file.policy.accounts, *file.tree.layout.environment_names)} - {ROOT}
    lines: dict[int, list[Line]] = {}
    for _, step, _, line in file.commands:
        lines.setdefault(id(step), []).append(line)
    for job in file.workflow.jobs:
        axes = {f"matrix.{a}": vs for a, vs in job.matrix.items() if {canonical(v) for v in vs} <= known}
        found: dict[str, Job | Step] = {}
        under: dict[tuple[str, str], _Used] = {}
        for chosen in islice(product(*axes.values()), _MAX_VARIANTS):
            values = {axis: (value,) for axis, value in zip(axes, chosen, strict=True)}
            found |= dict(_mixed(file, job, values, lines, frozenset(known), under))
        for (key, name), used in under.items():
            if used and name not in used:
                found[f"the job `{job.id}` has `{key}: {name}` and uses {_listed(used)}"] = job
        for what, part in found.items():
            yield file.hit(part, what, at=f"{job.id} {what}")


def _mixed(
    file: WorkflowFile,
    job: Job,
    matrix: _Values,
    lines: Mapping[int, list[Line]],
    known: frozenset[str],
    under: dict[tuple[str, str], _Used],
) -> Iterator[tuple[str, Step]]:
    """The commands of the job that mix environments up, with these values of its matrix; adds to `under` what is used
    under each name that the job gives itself (`ENVIRONMENT`, `prod`).
    """
    values: dict[str, tuple[str, ...]] = {}

    def named(text: str) -> frozenset[str]:
        """The environment that a path or a setting's name means, and those of the accounts in it."""
        plain = forms(_SETTING.sub(r"\1", text), values)[0]
        found = {canonical(n) for n, account in file.policy.accounts.items() if account and account in plain}
        one = None if COMPUTED in plain else environment_of_path(plain, file.policy)
        return known & {*found, *([one] if one else [])}

    values |= matrix
    names = [("environment", name) for name in named(job.environment)]
    backends: dict[str, frozenset[str]] = {}
    role = frozenset[str]()
    for step in job.steps:
        variables = {**file.workflow.env, **job.env, **step.env}
        plain = ((name, forms(text, matrix)[0] if "$" in text else text) for name, text in variables.items())
        values = {**matrix, **{name: (text,) for name, text in plain if COMPUTED not in text}}
        used: _Used = {}
        if step.uses.casefold().startswith("aws-actions/configure-aws-credentials@"):
            role = named(step.with_.get("role-to-assume", ""))
            used = dict.fromkeys(role, "the role")
        for line in lines.get(id(step), ()):
            for command in _COMMAND.finditer(forms(line.plain, values)[0]):
                files = [(kind, path) for kind, path in _FILE.findall(command["before"] + command["after"])]
                where = next((path for kind, path in files if kind == "chdir"), step.directory)
                if command["name"] == "init":
                    of_init = (named(path.rpartition("=")[2]) for kind, path in files if kind == "backend-config")
                    backends[where] = frozenset().union(*of_init)
                of_command = dict.fromkeys(role, "the role") | dict.fromkeys(named(where), "the folder")
                of_command |= dict.fromkeys(backends.get(where, ()), "the backend")
                of_command |= {name: "the values" for kind, path in files if kind == "var-file" for name in named(path)}
                if len(of_command) > 1:
                    yield f"the job `{job.id}` runs `terraform {command['name']}` with {_listed(of_command)}", step
                used |= of_command
        declared = {
            (key, name) for key, text in variables.items() if key.casefold() in _NAMES_IT for name in named(text)
        }
        by_variable = {name: f"`{key}`" for key, name in declared}
        for name_given, of_name in (*((n, by_variable | used) for n in names), *((d, used) for d in sorted(declared))):
            under.setdefault(name_given, {}).update(of_name)


def _listed(used: _Used) -> str:
    return " and ".join(f"{by} of `{name}`" for name, by in sorted(used.items()))
