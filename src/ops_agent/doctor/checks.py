"""The doctor's checks, one function each; `CHECKS` is their order. Nothing is created, changed or published by any of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ops_agent.core.intake.selection_references import parse_references
from ops_agent.core.sources.reading_policy import POLICY_FILE
from ops_agent.core.sources.run_obstacles import denied_reads
from ops_agent.doctor.diagnosis import Diagnosis, Health, Patient, from_error
from ops_agent.doctor.modules import check_modules
from ops_agent.doctor.standing import check_standing
from ops_agent.domain.policy import Policy
from ops_agent.domain.verdict import Finding
from ops_agent.domain.verification import CheckStatus
from ops_agent.errors import OpsAgentError
from ops_agent.stages.narrow import require_environments

_SAMPLE_WORKFLOW = "name: sample\non:\n  workflow_dispatch:\npermissions: {}\njobs: {}\n"
_FREE_BYTES = 3_000_000_000


def _check_layout(patient: Patient) -> Iterator[Diagnosis]:
    if patient.layout is None:
        return
    said: set[Finding] = set()
    for root in patient.layout.roots:
        names = ", ".join(environment.name for environment in root.environments) or "no environment"
        yield Diagnosis(subject="layout", health=Health.OK, what=f"root module `{root.path}` with {names}")
        for why in dict.fromkeys(environment.unsettled for environment in root.environments if environment.unsettled):
            unsettled = [environment.name for environment in root.environments if environment.unsettled == why]
            repeating = [f for f in patient.layout.findings if why in f.what and _concerns(f, root.path)]
            said.update(repeating)
            words = (
                f"{' and '.join(f'`{name}`' for name in unsettled)} of `{root.path}` {'are' if len(unsettled) > 1 else 'is'} not planned"
            )
            hint = repeating[0].remedy if repeating else ""
            yield Diagnosis(subject="layout", health=Health.WARN, what=f"{words}: {why}", hint=hint)
    for finding in patient.layout.findings:
        if finding not in said:
            yield Diagnosis(subject="layout", health=Health.WARN, what=f"{finding.place}: {finding.what}", hint=finding.remedy)
    if patient.layout.suggestion:
        what = f"these lines in `{POLICY_FILE}` on the base branch answer it; correct what stands in capitals or behind `or`"
        yield Diagnosis(subject="layout", health=Health.WARN, what=what, hint=patient.layout.suggestion)
    if patient.tree is not None:
        paths = [path for path, entry in patient.tree.entries().items() if entry.is_regular]
        yield from check_standing(patient.layout, patient.tree, patient.settings)
        for finding in denied_reads(patient.layout, paths, patient.tree.read):
            yield Diagnosis(subject="plans", health=Health.WARN, what=f"{finding.place}: {finding.what}", hint=finding.remedy)


def _concerns(finding: Finding, root: str) -> bool:
    return root == "." or finding.place.path == root or finding.place.path.startswith(f"{root}/")


def _check_llm(patient: Patient) -> Iterator[Diagnosis]:
    settings = patient.settings
    ways = {
        "an Anthropic key": bool(settings.anthropic_api_key),
        "workload identity federation": bool(settings.anthropic_federation_rule_id),
        "Bedrock": settings.use_bedrock,
    }
    given = [name for name, is_given in ways.items() if is_given]
    if given:
        yield Diagnosis(subject="llm", health=Health.OK, what=f"`{settings.model}` through {given[0]} (given, not tried: that would cost)")
    else:
        health = Health.FAIL if patient.on_runner else Health.SKIP
        hint = "Set `anthropic_api_key`, the `anthropic_federation_*` inputs, or `use_bedrock`."
        yield Diagnosis(subject="llm", health=health, what="no way to reach the language model is given", hint=hint)


def _check_environments(patient: Patient) -> Iterable[Diagnosis]:
    """Raises ConfigError in the words in which a run would."""
    if patient.layout is not None:
        require_environments(patient.settings, patient.layout)
    return ()


def _check_reserved(patient: Patient) -> Iterator[Diagnosis]:
    if patient.settings.mcp_config:
        hint = "Put the standards into the input `standards` or into the repository."
        yield Diagnosis(subject="inputs", health=Health.WARN, what="`mcp_config` is reserved: this version does not use it", hint=hint)


def _check_region(patient: Patient) -> Iterator[Diagnosis]:
    """The default is silent; another region is the workflow's right (docs/decisions/0006), and never a secret."""
    region, usual = patient.settings.policy.region, Policy().region
    if region != usual:
        hint = f"If this is not meant, remove the input: the default is {usual}."
        yield Diagnosis(subject="inputs", health=Health.WARN, what=f"`aws_region` makes {region} the only region", hint=hint)


def _check_token(patient: Patient) -> Iterator[Diagnosis]:
    if not patient.settings.github_token or not patient.repository:
        missing = "`github_token`" if not patient.settings.github_token else "a repository (`target_repository`)"
        yield Diagnosis(subject="GitHub", health=Health.FAIL if patient.on_runner else Health.SKIP, what=f"{missing} is not given")
        return
    host = patient.world.code_host
    described = host.repository(patient.repository)
    yield Diagnosis(subject="GitHub", health=Health.OK, what=f"the token acts as {host.viewer().login} on {described.full_name}")
    if described.archived or described.disabled:
        yield Diagnosis(subject="GitHub", health=Health.FAIL, what="the repository is archived or disabled", hint="Choose another one.")
    abilities = host.token_abilities(patient.repository)
    hint = "docs/setup/token.md lists the permissions and who gives them."
    for name in ("contents", "pull_requests", "issues"):
        able = getattr(abilities, name)
        words = {True: "may write", False: "may not write", None: "does not tell whether it may write"}[able]
        health = {True: Health.OK, False: Health.FAIL, None: Health.WARN}[able]
        yield Diagnosis(subject="GitHub", health=health, what=f"the token {words} {name.replace('_', ' ')}", hint=hint)
    if abilities.workflows is not True:
        words = "may not write workflow files" if abilities.workflows is False else "does not tell whether it may write workflow files"
        remedy = f"Changes of workflows are offered as a patch then; for commits use a GitHub App token. {hint}"
        yield Diagnosis(subject="GitHub", health=Health.WARN, what=f"the token {words}", hint=remedy)


def _check_board(patient: Patient) -> Iterator[Diagnosis]:
    settings = patient.settings
    if not settings.github_token or not patient.repository or not settings.issue_number:
        what = "a board is found from an issue's side, and no issue is named"
        yield Diagnosis(subject="board", health=Health.SKIP, what=what, hint="Name one: `doctor --input issue_number=12`.")
        return
    server = (patient.environment.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    ref = parse_references(settings.issue_number, patient.repository, server)[0]
    card = patient.world.board.card(patient.world.code_host.issue(ref))
    if isinstance(card, str):
        hint = "docs/setup/board.md; without the board the label `ready` stands for Ready, and the intended column is written down."
        yield Diagnosis(subject="board", health=Health.WARN, what=card, hint=hint)
        return
    yield Diagnosis(subject="board", health=Health.OK, what=f"{ref} stands in {card.status or 'no column'}")
    known = {name.casefold() for _, name in card.options}
    wanted = {"status_ready": settings.status_ready, "status_in_progress": settings.status_in_progress}
    if settings.status_review:
        wanted["status_review"] = settings.status_review
    for name, status in wanted.items():
        if status.casefold() not in known:
            hint = f"The board has {', '.join(option for _, option in card.options)}: set `{name}` to one of them."
            yield Diagnosis(subject="board", health=Health.FAIL, what=f"there is no column `{status}` (`{name}`)", hint=hint)


def _check_aws(patient: Patient) -> Iterator[Diagnosis]:
    settings, environment = patient.settings, patient.environment
    can_mint = bool(environment.get("ACTIONS_ID_TOKEN_REQUEST_URL"))
    if can_mint and not (settings.aws_role_arns or settings.anthropic_federation_rule_id or settings.use_bedrock):
        hint = "Remove `id-token: write` from the job, or set `aws_role_arn`."
        yield Diagnosis(subject="AWS", health=Health.WARN, what="the job may ask for OIDC tokens, and nothing here needs them", hint=hint)
    if not settings.aws_role_arns:
        hint = "Set `aws_role_arn` (docs/setup/aws-role.md); without it a pull request says that nothing was planned."
        yield Diagnosis(subject="AWS", health=Health.WARN, what="no role for plans is given", hint=hint)
        return
    if not can_mint:
        hint = "Add `id-token: write` to the job's permissions."
        health = Health.FAIL if patient.on_runner else Health.SKIP
        yield Diagnosis(
            subject="AWS", health=health, what="this process cannot ask for OIDC tokens", hint=hint if patient.on_runner else ""
        )
        return
    environments = {e.name: e for root in (patient.layout.roots if patient.layout else ()) for e in root.environments}
    for name in settings.aws_role_arns:
        if name not in environments:
            yield Diagnosis(subject="AWS", health=Health.WARN, what=f"a role is given for `{name}`, but no root has that environment")
            continue
        try:
            with patient.world.cloud.lease(environments[name]) as lease:
                yield Diagnosis(subject="AWS", health=Health.OK, what=f"the role for `{name}` gives access to account {lease.account}")
        except OpsAgentError as error:
            yield from_error("AWS", error)


def _check_toolchain(patient: Patient) -> Iterator[Diagnosis]:
    terraform = patient.world.terraform
    engine = terraform.engine()
    yield Diagnosis(subject="toolchain", health=Health.OK, what=engine)
    if not engine.startswith("OpenTofu") and (unread := next(_tofu_files(patient), None)):
        hint = "Put `tofu` on PATH (opentofu/setup-opentofu) and set `terraform_binary: tofu`."
        yield Diagnosis(subject="toolchain", health=Health.FAIL, what=f"{unread} is for OpenTofu: Terraform does not load it", hint=hint)
    held = terraform.self_test()
    what = f"a hostile configuration cannot read this process (tried with a canary); Terraform's children: {held}"
    yield Diagnosis(subject="toolchain", health=Health.OK, what=what)
    with tempfile.TemporaryDirectory() as folder:
        path = ".github/workflows/sample.yml"
        place = Path(folder, path)
        place.parent.mkdir(parents=True)
        place.write_text(_SAMPLE_WORKFLOW, encoding="utf-8")
        for result in patient.world.linters.check(Path(folder), (path,)):
            started = result.status is not CheckStatus.NOT_RUN
            yield Diagnosis(
                subject="toolchain",
                health=Health.OK if started else Health.FAIL,
                what=f"{result.name} {'runs' if started else 'does not run: ' + result.output}",
            )
    free = shutil.disk_usage(tempfile.gettempdir()).free
    health = Health.OK if free >= _FREE_BYTES else Health.WARN
    hint = "The AWS provider alone takes several hundred MB." if health is Health.WARN else ""
    yield Diagnosis(subject="toolchain", health=health, what=f"{free / 1e9:.0f} GB are free for temporary files", hint=hint)


def _tofu_files(patient: Patient) -> Iterator[str]:
    """Files of roots and their modules that only OpenTofu loads."""
    directories = {d for root in (patient.layout.roots if patient.layout else ()) for d in (root.path, *root.local_modules)}
    for path in sorted(patient.tree.entries() if patient.tree else ()):
        if path.endswith((".tofu", ".tofu.json")) and (path.rpartition("/")[0] or ".") in directories:
            yield path


def _check_job(patient: Patient) -> Iterator[Diagnosis]:
    workspace = patient.environment.get("GITHUB_WORKSPACE", "")
    configuration = Path(workspace, ".git", "config")
    if workspace and os.access(configuration, os.R_OK) and "extraheader" in configuration.read_text(encoding="utf-8", errors="replace"):
        hint = "Give actions/checkout `persist-credentials: false`, or leave it out: ops-agent needs no checkout."
        yield Diagnosis(subject="job", health=Health.WARN, what="a token lies in the checkout's .git/config", hint=hint)


CHECKS: dict[str, Callable[[Patient], Iterable[Diagnosis]]] = {
    "inputs": _check_reserved,
    "environments": _check_environments,
    "region": _check_region,
    "layout": _check_layout,
    "llm": _check_llm,
    "GitHub": _check_token,
    "board": _check_board,
    "AWS": _check_aws,
    "toolchain": _check_toolchain,
    "modules": check_modules,
    "job": _check_job,
}
RESTS_ON: dict[str, frozenset[str]] = {
    "environments": frozenset({"environments", "aws_accounts"}),
    "region": frozenset({"aws_region"}),
    "layout": frozenset({"aws_accounts", "aws_region"}),
    "llm": frozenset({"anthropic_api_key", "anthropic_federation_rule_id", "use_bedrock", "bedrock_role_arn", "model"}),
    "GitHub": frozenset({"github_token", "target_repository"}),
    "board": frozenset({"github_token", "target_repository", "issue_number"}),
    "AWS": frozenset({"aws_role_arn", "aws_role_arns", "aws_accounts", "aws_region"}),
    "toolchain": frozenset({"terraform_binary"}),
    "modules": frozenset({"terraform_binary", "module_credentials", "allowed_modules"}),
}
"""Check -> inputs without which it would judge what nobody chose."""
