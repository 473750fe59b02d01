"""`ops-agent doctor`: is everything in place? Inputs, token, board, AWS, toolchain, layout, before anyone spends a
token of an llm.

Each check gives diagnoses; a broken one never hides the others.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TextIO

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.config.arguments import Command
from ops_agent.config.policy_file import POLICY_FILE, narrow_by_policy_file
from ops_agent.config.settings import Settings, read_inputs
from ops_agent.doctor.questions import questions
from ops_agent.guard.judge import judge
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import FilesInMemory
from ops_agent.issue.selection import parse_references
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import ConfigError, OpsAgentError
from ops_agent.model.finding import Finding
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.terraform import Layout
from ops_agent.model.verification import CheckStatus
from ops_agent.run.brief import require_environments
from ops_agent.terraform.layout import discover_layout, survey_of
from ops_agent.terraform.modules import (
    ModuleCall,
    SourceKind,
    is_configuration,
    module_calls,
    module_files,
    read_module_source,
    shown_source,
)
from ops_agent.terraform.obstacles import broken_files, denied_reads
from ops_agent.wiring import actions_world, module_credentials

# What the doctor looks at and what it says.


class Health(StrEnum):
    """FAIL means that a run cannot succeed as things are; SKIP that it could not be looked at from here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at: `what` was found, in one sentence, and the `hint` says what to do about it."""

    subject: str
    health: Health
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined. `tree` is None when there is no repository to look at, `layout` when there is no tree.

    `wrong` names the inputs that cannot be used: `settings` has their defaults, which nobody chose.
    """

    settings: Settings
    world: World
    environment: Mapping[str, str]
    tree: BaseTree | None
    layout: Layout | None
    wrong: frozenset[str] = frozenset()

    @property
    def repository(self) -> str:
        """`owner/name` of the repository that would be changed, empty when nobody names one."""
        return self.settings.target_repository or self.environment.get("GITHUB_REPOSITORY", "")

    @property
    def on_runner(self) -> bool:
        return self.environment.get("GITHUB_ACTIONS") == "true"


def from_error(subject: str, error: OpsAgentError) -> Diagnosis:
    """An error as a diagnosis: what it says, and its hint."""
    return Diagnosis(subject=subject, health=Health.FAIL, what=str(error), hint=error.hint)


# The doctor's look at modules from outside: which root calls which, whether a token for the host is given, and whether
# they come.

_MOST = 20


def check_modules(patient: Patient) -> Iterator[Diagnosis]:
    """One line for each root with remote modules, then what a fetch of them gives. Raises ToolchainError, NoSpace.

    A source that is refused is so everywhere. What this laptop cannot fetch, a job with other tokens perhaps can.
    """
    if patient.layout is None or patient.tree is None:
        return
    paths = [path for path, entry in patient.tree.entries().items() if entry.is_regular]
    for root in patient.layout.roots:
        files = module_files(root, paths, patient.tree.read)
        if not files:
            continue
        remote = [call for call in module_calls(root, files, files.__getitem__) if call.is_remote]
        named = "; ".join(_named(call, patient) for call in remote[:_MOST])
        more = f"; and {len(remote) - _MOST} more" if len(remote) > _MOST else ""
        check = patient.world.terraform.fetch_modules(root, files)
        came = check.status is CheckStatus.PASSED
        refused = any(read_module_source(call.source or "").kind is SourceKind.REFUSED for call in remote)
        health = Health.OK if came else Health.FAIL if patient.on_runner or refused else Health.WARN
        yield Diagnosis(
            subject="modules",
            health=health,
            what=f"root module `{root.path}` calls modules from outside: {named}{more}",
        )
        if came:
            yield Diagnosis(
                subject="modules", health=health, what=f"those of `{root.path}` were fetched in {check.seconds:.1f} s"
            )
        for finding in check.findings:
            yield Diagnosis(
                subject="modules", health=health, what=f"{finding.place}: {finding.what}", hint=finding.remedy
            )


def _named(call: ModuleCall, patient: Patient) -> str:
    source = read_module_source(call.source or "")
    credentials = module_credentials(patient.settings, patient.environment)
    given = (
        "refused" if source.kind is SourceKind.REFUSED else "token given" if credentials.serve(source) else "no token"
    )
    return f"`{call.key}` from `{shown_source(call.source or '')}` ({given})"


# The doctor's look at what stands on the base branch: can it be read and loaded, and does it keep to region, accounts
# and states?

STANDING_RULES: Final = frozenset(
    {
        "terraform/foreign-region",
        "terraform/foreign-account",
        "terraform/account-of-another-environment",
        "terraform/shared-state",
    }
)
"""The guard's rules about where things are. What else stands is the team's own matter until somebody changes it."""

_STANDING_MOST: Final = 20


def check_standing(layout: Layout, tree: BaseTree, settings: Settings) -> Iterator[Diagnosis]:
    """A diagnosis for each place. FAIL when no root is left that Terraform can load: nothing could be verified then."""
    paths = [path for path, entry in tree.entries().items() if entry.is_regular]
    broken = broken_files(layout, paths, tree.read)
    health = Health.FAIL if broken and not loadable_roots(layout, broken) else Health.WARN
    yield from _standing_named(broken, health, "")
    yield from _standing_named(
        standing_findings(layout, tree, settings), Health.WARN, " It stands already: no change is stopped for it."
    )


def loadable_roots(layout: Layout, broken: tuple[Finding, ...]) -> tuple[str, ...]:
    """Roots that hold none of `broken`, nor do the modules that they reach; an environment's file spoils that
    environment only.
    """
    spoilt = {f.place.path.rpartition("/")[0] or "." for f in broken if is_configuration(f.place.path)}
    return tuple(root.path for root in layout.roots if not spoilt & {root.path, *root.local_modules})


def standing_findings(layout: Layout, tree: BaseTree, settings: Settings) -> tuple[Finding, ...]:
    """What the guard's own rules say of the base branch: its roots, their modules and the files of environments."""
    reached = {directory for root in layout.roots for directory in (root.path, *root.local_modules)}
    files = {p for root in layout.roots for e in root.environments for p in (e.backend_file, *e.var_files) if p}
    paths = [path for path, entry in tree.entries().items() if entry.is_regular]
    wanted = [
        p for p in sorted(paths) if p in files or (is_configuration(p) and (p.rpartition("/")[0] or ".") in reached)
    ]
    changes = tuple(FileChange(path=p, before=content, after=content) for p in wanted for content in (tree.read(p),))
    rules = tuple(rule for rule in TABLE if rule.id in STANDING_RULES)
    return judge(
        ChangeSet(base_commit=tree.commit, changes=changes),
        FilesInMemory(paths, tree.read),
        settings.policy,
        table=rules,
    ).findings


def _standing_named(findings: tuple[Finding, ...], health: Health, more: str) -> Iterator[Diagnosis]:
    for finding in findings[:_STANDING_MOST]:
        yield Diagnosis(
            subject="sources", health=health, what=f"{finding.place}: {finding.what}", hint=finding.remedy + more
        )
    if len(findings) > _STANDING_MOST:
        yield Diagnosis(subject="sources", health=health, what=f"and {len(findings) - _MOST} more places like these")


# The doctor's checks, one function each; `CHECKS` is their order. Nothing is created, changed or published by any of
# them.

_SAMPLE_WORKFLOW = "name: sample\non:\n  workflow_dispatch:\npermissions: {}\njobs: {}\n"
_FREE_BYTES = 3_000_000_000


def _check_layout(patient: Patient) -> Iterator[Diagnosis]:
    if patient.layout is None:
        return
    tree, policy = patient.tree, patient.settings.policy
    paths = [path for path, entry in tree.entries().items() if entry.is_regular] if tree is not None else []
    open_questions, mapping = (
        questions(survey_of(paths, tree.read, policy), policy, tree.read) if tree is not None else ((), "")
    )
    said: set[Finding] = set()
    for root in patient.layout.roots:
        names = ", ".join(environment.name for environment in root.environments) or "no environment"
        yield Diagnosis(subject="layout", health=Health.OK, what=f"root module `{root.path}` with {names}")
        for why in dict.fromkeys(environment.unsettled for environment in root.environments if environment.unsettled):
            unsettled = [environment.name for environment in root.environments if environment.unsettled == why]
            repeating = [f for f in open_questions if why in f.what and _concerns(f, root.path)]
            said.update(repeating)
            names, verb = " and ".join(f"`{name}`" for name in unsettled), "are" if len(unsettled) > 1 else "is"
            words = f"{names} of `{root.path}` {verb} not planned"
            hint = repeating[0].remedy if repeating else ""
            yield Diagnosis(subject="layout", health=Health.WARN, what=f"{words}: {why}", hint=hint)
    for finding in open_questions:
        if finding not in said:
            yield Diagnosis(
                subject="layout", health=Health.WARN, what=f"{finding.place}: {finding.what}", hint=finding.remedy
            )
    if mapping:
        what = f"these lines in `{POLICY_FILE}` on the base branch answer it; correct what stands in capitals or behind `or`"
        yield Diagnosis(subject="layout", health=Health.WARN, what=what, hint=mapping)
    if tree is None:
        return
    yield from check_standing(patient.layout, tree, patient.settings)
    for finding in denied_reads(patient.layout, paths, tree.read):
        yield Diagnosis(
            subject="plans", health=Health.WARN, what=f"{finding.place}: {finding.what}", hint=finding.remedy
        )


def _concerns(finding: Finding, root: str) -> bool:
    return root == "." or finding.place.path == root or finding.place.path.startswith(f"{root}/")


def _check_llm(patient: Patient) -> Iterator[Diagnosis]:
    settings = patient.settings
    ways = {
        "an Anthropic key": bool(settings.llm.anthropic_api_key),
        "workload identity federation": bool(settings.llm.anthropic_federation_rule_id),
        "Bedrock": settings.llm.use_bedrock,
    }
    given = [name for name, is_given in ways.items() if is_given]
    if given:
        yield Diagnosis(
            subject="llm",
            health=Health.OK,
            what=f"`{settings.llm.model}` through {given[0]} (given, not tried: that would cost)",
        )
    else:
        health = Health.FAIL if patient.on_runner else Health.SKIP
        hint = "Set `anthropic_api_key`, the `anthropic_federation_*` inputs, or `use_bedrock`."
        yield Diagnosis(subject="llm", health=health, what="no way to reach the language model is given", hint=hint)


def _check_environments(patient: Patient) -> Iterable[Diagnosis]:
    """Raises ConfigError in the words in which a run would."""
    if patient.layout is not None:
        require_environments(patient.settings.environments, patient.layout)
    return ()


def _check_reserved(patient: Patient) -> Iterator[Diagnosis]:
    if patient.settings.mcp_config:
        hint = "Put the standards into the input `standards` or into the repository."
        yield Diagnosis(
            subject="inputs",
            health=Health.WARN,
            what="`mcp_config` is reserved: this version does not use it",
            hint=hint,
        )


def _check_region(patient: Patient) -> Iterator[Diagnosis]:
    """The default is silent; another region is the workflow's right (docs/decisions/0006), and never a secret."""
    region, usual = patient.settings.policy.region, Policy().region
    if region != usual:
        hint = f"If this is not meant, remove the input: the default is {usual}."
        yield Diagnosis(
            subject="inputs", health=Health.WARN, what=f"`aws_region` makes {region} the only region", hint=hint
        )


def _check_token(patient: Patient) -> Iterator[Diagnosis]:
    if not patient.settings.github_token or not patient.repository:
        missing = "`github_token`" if not patient.settings.github_token else "a repository (`target_repository`)"
        yield Diagnosis(
            subject="GitHub", health=Health.FAIL if patient.on_runner else Health.SKIP, what=f"{missing} is not given"
        )
        return
    host = patient.world.issues
    described = host.repository(patient.repository)
    yield Diagnosis(
        subject="GitHub", health=Health.OK, what=f"the token acts as {host.viewer().login} on {described.full_name}"
    )
    if described.archived or described.disabled:
        yield Diagnosis(
            subject="GitHub",
            health=Health.FAIL,
            what="the repository is archived or disabled",
            hint="Choose another one.",
        )
    abilities = host.token_abilities(patient.repository)
    hint = "docs/setup/token.md lists the permissions and who gives them."
    for name in ("contents", "pull_requests", "issues"):
        able = getattr(abilities, name)
        words = {True: "may write", False: "may not write", None: "does not tell whether it may write"}[able]
        health = {True: Health.OK, False: Health.FAIL, None: Health.WARN}[able]
        yield Diagnosis(subject="GitHub", health=health, what=f"the token {words} {name.replace('_', ' ')}", hint=hint)
    if abilities.workflows is not True:
        words = (
            "may not write workflow files"
            if abilities.workflows is False
            else "does not tell whether it may write workflow files"
        )
        remedy = f"Changes of workflows are offered as a patch then; for commits use a GitHub App token. {hint}"
        yield Diagnosis(subject="GitHub", health=Health.WARN, what=f"the token {words}", hint=remedy)


def _check_board(patient: Patient) -> Iterator[Diagnosis]:
    settings = patient.settings
    if not settings.github_token or not patient.repository or not settings.issue_number:
        what = "a board is found from an issue's side, and no issue is named"
        yield Diagnosis(
            subject="board", health=Health.SKIP, what=what, hint="Name one: `doctor --input issue_number=12`."
        )
        return
    server = (patient.environment.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    ref = parse_references(settings.issue_number, patient.repository, server)[0]
    card = patient.world.board.card(patient.world.issues.issue(ref))
    if isinstance(card, str):
        hint = "docs/setup/board.md; without the board the label `ready` stands for Ready, and the intended column is written down."
        yield Diagnosis(subject="board", health=Health.WARN, what=card, hint=hint)
        return
    yield Diagnosis(subject="board", health=Health.OK, what=f"{ref} stands in {card.status or 'no column'}")
    known = {name.casefold() for _, name in card.options}
    wanted = {"status_ready": settings.board.status_ready, "status_in_progress": settings.board.status_in_progress}
    if settings.board.status_review:
        wanted["status_review"] = settings.board.status_review
    for name, status in wanted.items():
        if status.casefold() not in known:
            hint = f"The board has {', '.join(option for _, option in card.options)}: set `{name}` to one of them."
            yield Diagnosis(
                subject="board", health=Health.FAIL, what=f"there is no column `{status}` (`{name}`)", hint=hint
            )


def _check_aws(patient: Patient) -> Iterator[Diagnosis]:
    settings, environment = patient.settings, patient.environment
    can_mint = bool(environment.get("ACTIONS_ID_TOKEN_REQUEST_URL"))
    if can_mint and not (
        settings.aws_role_arns or settings.llm.anthropic_federation_rule_id or settings.llm.use_bedrock
    ):
        hint = "Remove `id-token: write` from the job, or set `aws_role_arn`."
        yield Diagnosis(
            subject="AWS",
            health=Health.WARN,
            what="the job may ask for OIDC tokens, and nothing here needs them",
            hint=hint,
        )
    if not settings.aws_role_arns:
        hint = "Set `aws_role_arn` (docs/setup/aws-role.md); without it a pull request says that nothing was planned."
        yield Diagnosis(subject="AWS", health=Health.WARN, what="no role for plans is given", hint=hint)
        return
    if not can_mint:
        hint = "Add `id-token: write` to the job's permissions."
        health = Health.FAIL if patient.on_runner else Health.SKIP
        yield Diagnosis(
            subject="AWS",
            health=health,
            what="this process cannot ask for OIDC tokens",
            hint=hint if patient.on_runner else "",
        )
        return
    environments = {e.name: e for root in (patient.layout.roots if patient.layout else ()) for e in root.environments}
    for name in settings.aws_role_arns:
        if name not in environments:
            yield Diagnosis(
                subject="AWS",
                health=Health.WARN,
                what=f"a role is given for `{name}`, but no root has that environment",
            )
            continue
        try:
            with patient.world.cloud.lease(environments[name]) as lease:
                yield Diagnosis(
                    subject="AWS",
                    health=Health.OK,
                    what=f"the role for `{name}` gives access to account {lease.account}",
                )
        except OpsAgentError as error:
            yield from_error("AWS", error)


def _check_toolchain(patient: Patient) -> Iterator[Diagnosis]:
    terraform = patient.world.terraform
    engine = terraform.engine()
    yield Diagnosis(subject="toolchain", health=Health.OK, what=engine)
    if not engine.startswith("OpenTofu") and (unread := next(_tofu_files(patient), None)):
        hint = "Put `tofu` on PATH (opentofu/setup-opentofu) and set `terraform_binary: tofu`."
        yield Diagnosis(
            subject="toolchain",
            health=Health.FAIL,
            what=f"{unread} is for OpenTofu: Terraform does not load it",
            hint=hint,
        )
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
    yield Diagnosis(
        subject="toolchain", health=health, what=f"{free / 1e9:.0f} GB are free for temporary files", hint=hint
    )


def _tofu_files(patient: Patient) -> Iterator[str]:
    """Files of roots and their modules that only OpenTofu loads."""
    directories = {
        d for root in (patient.layout.roots if patient.layout else ()) for d in (root.path, *root.local_modules)
    }
    for path in sorted(patient.tree.entries() if patient.tree else ()):
        if path.endswith((".tofu", ".tofu.json")) and (path.rpartition("/")[0] or ".") in directories:
            yield path


def _check_job(patient: Patient) -> Iterator[Diagnosis]:
    workspace = patient.environment.get("GITHUB_WORKSPACE", "")
    configuration = Path(workspace, ".git", "config")
    if (
        workspace
        and os.access(configuration, os.R_OK)
        and "extraheader" in configuration.read_text(encoding="utf-8", errors="replace")
    ):
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

__all__ = ["CHECKS", "Diagnosis", "Health", "Patient", "diagnose", "examine", "show"]


def diagnose(command: Command, environment: Mapping[str, str]) -> list[Diagnosis]:
    """Every diagnosis, in the order of the checks. `environment` holds the runner's variables and `INPUT_*`. Never
    raises OpsAgentError.
    """
    settings, found, wrong = _read_inputs(environment)
    try:
        with actions_world(settings, environment) as world:
            settings, tree, layout = look_at_repository(command, settings, found)
            patient = Patient(
                settings=settings, world=world, environment=environment, tree=tree, layout=layout, wrong=wrong
            )
            return found + examine(patient)
    except OpsAgentError as error:
        return [*found, from_error("set-up", error)]


def examine(patient: Patient) -> list[Diagnosis]:
    """All checks over one patient; one that rests on an input that cannot be used is left out: it would judge a
    default.
    """
    found: list[Diagnosis] = []
    for subject, check in CHECKS.items():
        if unusable := sorted(patient.wrong & RESTS_ON.get(subject, frozenset())):
            what = f"not looked at, because {' and '.join(f'`{name}`' for name in unusable)} cannot be used"
            found.append(Diagnosis(subject=subject, health=Health.SKIP, what=what))
            continue
        try:
            found += check(patient)
        except OpsAgentError as error:
            found.append(from_error(subject, error))
    return found


def show(diagnoses: Iterable[Diagnosis], stream: TextIO) -> int:
    """Write the diagnoses as lines; returns the exit code: 2 when one of them is FAIL, else 0."""
    failed = warned = 0
    skipped: dict[str, None] = {}
    for one in diagnoses:
        failed += one.health is Health.FAIL
        warned += one.health is Health.WARN
        if one.health is Health.SKIP:
            skipped[one.subject] = None
        stream.write(f"{one.health:<4}  {one.subject}: {one.what}\n")
        if one.hint and one.health is not Health.OK:
            first, *more = one.hint.split("\n")
            stream.write(f"      -> {first}\n" if not more else "".join(f"      {line}\n" for line in (first, *more)))
    doubts = f" {warned} warning{'s' if warned > 1 else ''}: read them first." if warned else ""
    if failed:
        stream.write(f"{failed} to fix before a run can succeed.\n")
    elif skipped:
        stream.write(f"Nothing to fix in what could be looked at; not looked at: {', '.join(skipped)}.{doubts}\n")
    else:
        stream.write(f"Nothing stands in the way of a run.{doubts}\n")
    return 2 if failed else 0


def _read_inputs(environment: Mapping[str, str]) -> tuple[Settings, list[Diagnosis], frozenset[str]]:
    settings, problems, wrong = read_inputs(environment)
    found = [Diagnosis(subject="inputs", health=Health.FAIL, what=problem) for problem in problems]
    return settings, found or [Diagnosis(subject="inputs", health=Health.OK, what="all inputs can be read")], wrong


def look_at_repository(
    command: Command, settings: Settings, found: list[Diagnosis]
) -> tuple[Settings, BaseTree | None, Layout | None]:
    """The files of the checkout's HEAD, the settings as its policy file narrows them, and its layout; what is wrong
    goes to `found`.
    """
    named = command.names_repository
    health = Health.FAIL if named else Health.SKIP  # a runner needs no checkout; one that was named must be there
    try:
        objects = GitObjects(command.repository)
        head = objects.commit_of("HEAD")
    except OpsAgentError as error:
        what, hint = (
            (str(error), error.hint) if named else (f"no checkout to look at: {error}", "Name one with --repo PATH.")
        )
        found.append(Diagnosis(subject="layout", health=health, what=what, hint=hint))
        return settings, None, None
    if head is None:
        hint = "Commit the files that ops-agent should start from."
        found.append(Diagnosis(subject="layout", health=health, what="the checkout has no commit", hint=hint))
        return settings, None, None
    tree = GitTree(objects, head)
    paths = [path for path, entry in tree.entries().items() if entry.is_regular]
    try:
        settings = narrow_by_policy_file(settings, tree)
    except ConfigError as error:
        found += [
            Diagnosis(subject="policy file", health=Health.FAIL, what=what, hint=error.hint)
            for what in error.problems or (str(error),)
        ]
    return settings, tree, discover_layout(paths, tree.read, settings.policy)
