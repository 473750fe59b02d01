"""The doctor's checks, one function each, in the order of `CHECKS`. None changes anything, and none calls the llm."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ops_agent.config.policy_file import POLICY_FILE
from ops_agent.config.settings import Settings, ways_to_llm
from ops_agent.doctor.questions import questions
from ops_agent.guard.judge import judge
from ops_agent.guard.needs import by_words
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import FilesInMemory
from ops_agent.issue.references import parse_references
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.errors import OpsAgentError, ToolchainError
from ops_agent.model.finding import Finding
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.terraform import Environment, Layout
from ops_agent.model.verification import CheckStatus
from ops_agent.run.branch_rules import REMEDY, branch_rules
from ops_agent.run.brief import require_environments
from ops_agent.run.needs import find_needs, named, stopped_by
from ops_agent.terraform.layout import survey_of
from ops_agent.terraform.module_sources import (
    ModuleCall,
    SourceKind,
    module_calls,
    module_files,
    read_module_source,
    shown_source,
)
from ops_agent.terraform.modules import directory_of, is_configuration
from ops_agent.terraform.obstacles import broken_files, denied_reads
from ops_agent.text.markdown import code
from ops_agent.wiring import module_credentials

EXISTING_RULES: Final = frozenset(
    {
        "terraform/foreign-region",
        "terraform/foreign-account",
        "terraform/account-of-another-environment",
        "terraform/shared-state",
    }
)
"""The guard's rules about where things are. Other existing code is the team's own matter until somebody changes it."""
_MOST: Final = 20
_SAMPLE_WORKFLOW: Final = b"""on: pull_request
permissions: {}
jobs:
  sample:
    runs-on: ubuntu-24.04
    steps:
      - run: echo ${{ github.head_ref }}
"""
_FREE_BYTES = 3_000_000_000


class Health(StrEnum):
    """FAIL means that a run cannot succeed as things are; SKIP that it could not be checked from here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


OK, WARN, FAIL, SKIP = Health


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was checked: `what` was found, in one sentence, and the `hint` says what to do about it."""

    subject: str
    health: Health
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is examined. `tree` is None when there is no repository to read, `layout` when there is no tree.

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

    @property
    def needed(self) -> Health:
        """The health of a check when something is missing that only a job has."""
        return FAIL if self.on_runner else SKIP


def from_error(subject: str, error: OpsAgentError) -> Diagnosis:
    """An error as a diagnosis: its words, and its hint."""
    return Diagnosis(subject, FAIL, str(error), error.hint)


def _from_finding(subject: str, health: Health, finding: Finding, more: str = "") -> Diagnosis:
    return Diagnosis(subject, health, f"{finding.place}: {finding.what}", finding.remedy + more)


def _check_reserved(setup: Setup) -> Iterator[Diagnosis]:
    if setup.settings.mcp_config:
        hint = "Put the standards into the input `standards` or into the repository."
        yield Diagnosis("inputs", WARN, "`mcp_config` is reserved: this version does not use it", hint)


def _check_environments(setup: Setup) -> Iterable[Diagnosis]:
    """Raises ConfigError with the same text as a run."""
    if setup.layout is not None:
        require_environments(setup.settings.environments, setup.layout)
    return ()


def _check_region(setup: Setup) -> Iterator[Diagnosis]:
    """The default is silent; another region is the workflow's right (docs/decisions/0006), and never a secret."""
    region, usual = setup.settings.policy.region, Policy().region
    if region != usual:
        hint = f"If this is not meant, remove the input: the default is {usual}."
        yield Diagnosis("inputs", WARN, f"`aws_region` makes {region} the only region", hint)


def _check_layout(setup: Setup) -> Iterator[Diagnosis]:
    layout = setup.layout
    if layout is None:
        return
    tree, policy = setup.tree, setup.settings.policy
    paths = regular_paths(tree) if tree is not None else []
    asked, mapping = questions(survey_of(paths, tree.read, policy), policy, tree.read) if tree is not None else ((), "")
    shown: set[Finding] = set()
    for root in layout.roots:
        names = ", ".join(environment.name for environment in root.environments) or "no environment"
        yield Diagnosis("layout", OK, f"root module `{root.path}` with {names}")
        for why in dict.fromkeys(environment.unsettled for environment in root.environments if environment.unsettled):
            unsettled = [f"`{environment.name}`" for environment in root.environments if environment.unsettled == why]
            repeating = [f for f in asked if why in f.what and _concerns(f, root.path)]
            shown.update(repeating)
            words = f"{' and '.join(unsettled)} of `{root.path}` {'are' if len(unsettled) > 1 else 'is'} not planned"
            yield Diagnosis("layout", WARN, f"{words}: {why}", repeating[0].remedy if repeating else "")
    for finding in asked:
        if finding not in shown:
            yield _from_finding("layout", WARN, finding)
    if mapping:
        what = f"add these lines to `{POLICY_FILE}` on the base branch, and correct what is in capitals or behind `or`"
        yield Diagnosis("layout", WARN, what, mapping)
    if tree is not None:
        yield from check_existing(layout, tree, policy)
        for finding in denied_reads(layout, paths, tree.read):
            yield _from_finding("plans", WARN, finding)


def _concerns(finding: Finding, root: str) -> bool:
    return root == "." or finding.place.path == root or finding.place.path.startswith(f"{root}/")


def regular_paths(tree: BaseTree) -> list[str]:
    return [path for path, entry in tree.entries().items() if entry.is_regular]


def check_existing(layout: Layout, tree: BaseTree, policy: Policy) -> Iterator[Diagnosis]:
    """The base branch: can its files be read and loaded, and do they keep to region, accounts and states? FAIL when
    Terraform can load no root: nothing could be verified then.
    """
    broken = broken_files(layout, regular_paths(tree), tree.read)
    health = FAIL if broken and not loadable_roots(layout, broken) else WARN
    yield from _places(broken, health, "")
    yield from _places(existing_findings(layout, tree, policy), WARN, " Already on the base branch; does not block.")


def _places(findings: tuple[Finding, ...], health: Health, more: str) -> Iterator[Diagnosis]:
    for finding in findings[:_MOST]:
        yield _from_finding("sources", health, finding, more)
    if len(findings) > _MOST:
        yield Diagnosis("sources", health, f"and {len(findings) - _MOST} more places like these")


def loadable_roots(layout: Layout, broken: tuple[Finding, ...]) -> tuple[str, ...]:
    """Roots that hold none of `broken`, nor do their modules. A broken file of an environment does not count."""
    spoilt = {directory_of(f.place.path) for f in broken if is_configuration(f.place.path)}
    return tuple(root.path for root in layout.roots if not spoilt & {root.path, *root.local_modules})


def existing_findings(layout: Layout, tree: BaseTree, policy: Policy) -> tuple[Finding, ...]:
    """What EXISTING_RULES find on the base branch: in its roots, their modules and the files of environments."""
    reached = {directory for root in layout.roots for directory in (root.path, *root.local_modules)}
    files = {p for root in layout.roots for e in root.environments for p in (e.backend_file, *e.var_files) if p}
    paths = regular_paths(tree)
    wanted = [p for p in sorted(paths) if p in files or (is_configuration(p) and directory_of(p) in reached)]
    changes = tuple(FileChange(path=p, before=content, after=content) for p in wanted for content in (tree.read(p),))
    rules = tuple(rule for rule in TABLE if rule.id in EXISTING_RULES)
    change_set = ChangeSet(base_commit=tree.commit, changes=changes)
    return judge(change_set, FilesInMemory(paths, tree.read), policy, table=rules).findings


def _check_llm(setup: Setup) -> Iterator[Diagnosis]:
    names = {
        "anthropic_api_key": "an Anthropic key",
        "anthropic_federation_rule_id": "workload identity federation",
        "use_bedrock": "Bedrock",
    }
    given = [names[way] for way in ways_to_llm(setup.settings.llm)]
    if given:
        yield Diagnosis("llm", OK, f"`{setup.settings.llm.model}` through {given[0]} (not called: a call costs money)")
    else:
        hint = "Set `anthropic_api_key`, the `anthropic_federation_*` inputs, or `use_bedrock`."
        yield Diagnosis("llm", setup.needed, "no credentials for the language model are given", hint)


def _check_token(setup: Setup) -> Iterator[Diagnosis]:
    if not setup.settings.github_token or not setup.repository:
        missing = "`github_token`" if not setup.settings.github_token else "a repository (`target_repository`)"
        yield Diagnosis("GitHub", setup.needed, f"{missing} is not given")
        return
    host = setup.world.issues
    described = host.repository(setup.repository)
    yield Diagnosis("GitHub", OK, f"the token acts as {host.viewer().login} on {described.full_name}")
    if described.archived or described.disabled:
        yield Diagnosis("GitHub", FAIL, "the repository is archived or disabled", "Choose another one.")
    abilities = host.token_abilities(setup.repository)
    hint = "docs/setup/token.md lists the permissions and who gives them."
    words = {True: "may write", False: "may not write", None: "does not show whether it may write"}
    for name in ("contents", "pull_requests", "issues"):
        able = getattr(abilities, name)
        health = {True: OK, False: FAIL, None: WARN}[able]
        yield Diagnosis("GitHub", health, f"the token {words[able]} {name.replace('_', ' ')}", hint)
    if abilities.workflows is not True:
        remedy = f"Changes of workflows are offered as a patch then; for commits use a GitHub App token. {hint}"
        yield Diagnosis("GitHub", WARN, f"the token {words[abilities.workflows]} workflow files", remedy)
    rules = branch_rules(setup.world, setup.repository, f"{setup.settings.branch_prefix}1", is_new=True)
    yield from (Diagnosis("GitHub", FAIL, why, REMEDY) for why in rules.refused)
    yield from (Diagnosis("GitHub", WARN, why, REMEDY) for why in rules.doubtful)
    told = [f"rulesets restrict {code(path)}" for path in rules.paths] + list(rules.messages)
    yield from (Diagnosis("GitHub", WARN, what, "The agent is told so; nothing is to be done.") for what in told)


def _check_board(setup: Setup) -> Iterator[Diagnosis]:
    settings = setup.settings
    if not settings.github_token or not setup.repository or not settings.issue_number:
        what = "the board is found through an issue, and no issue is named"
        yield Diagnosis("board", SKIP, what, "Name one: `doctor --input issue_number=12`.")
        return
    server = (setup.environment.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    ref = parse_references(settings.issue_number, setup.repository, server)[0]
    card = setup.world.board.card(setup.world.issues.issue(ref))
    if isinstance(card, str):
        hint = "See docs/setup/board.md. Without the board the label `ready` counts as Ready."
        yield Diagnosis("board", WARN if card else OK, card or "no board: the label `ready` decides", card and hint)
        return
    yield Diagnosis("board", OK, f"{ref} is in {card.status or 'no column'}")
    known = {name.casefold() for _, name in card.options}
    for name in ("status_ready", "status_in_progress", "status_review"):
        status = getattr(settings.board, name)
        if status and status.casefold() not in known:
            hint = f"The board has {', '.join(option for _, option in card.options)}: set `{name}` to one of them."
            yield Diagnosis("board", FAIL, f"there is no column `{status}` (`{name}`)", hint)


def _check_aws(setup: Setup) -> Iterator[Diagnosis]:
    settings = setup.settings
    can_mint = bool(setup.environment.get("ACTIONS_ID_TOKEN_REQUEST_URL"))
    if can_mint and not (
        settings.aws_role_arns or settings.llm.anthropic_federation_rule_id or settings.llm.use_bedrock
    ):
        hint = "Remove `id-token: write` from the job, or set `aws_role_arn`."
        yield Diagnosis("AWS", WARN, "the job has `id-token: write`, and no input needs an OIDC token", hint)
    if not settings.aws_role_arns:
        hint = "Set `aws_role_arn` (docs/setup/aws-role.md); without it plans are made without the account, and marked."
        yield Diagnosis("AWS", WARN, "no role for plans is given", hint)
        return
    if not can_mint:
        hint = "Add `id-token: write` to the job's permissions." if setup.on_runner else ""
        yield Diagnosis("AWS", setup.needed, "this process cannot ask for OIDC tokens", hint)
        return
    known = {e.name: e for root in (setup.layout.roots if setup.layout else ()) for e in root.environments}
    for name in settings.aws_role_arns:
        if name in known:
            yield _check_role(setup, known[name])
        else:
            yield Diagnosis("AWS", WARN, f"`aws_role_arns` names `{name}`, but no root has that environment")


def _check_role(setup: Setup, environment: Environment) -> Diagnosis:
    try:
        with setup.world.cloud.lease(environment) as lease:
            return Diagnosis("AWS", OK, f"the role for `{environment.name}` gives access to account {lease.account}")
    except OpsAgentError as error:
        return from_error("AWS", error)


def _check_toolchain(setup: Setup) -> Iterator[Diagnosis]:
    terraform = setup.world.terraform
    if setup.tree is not None and setup.layout is not None:
        yield from _of_needs(setup, setup.tree, setup.layout)
    yield Diagnosis("toolchain", OK, terraform.engine())
    guarantees = terraform.self_test()
    what = f"a hostile configuration cannot read this process (tried with a canary); Terraform's children: {guarantees}"
    yield Diagnosis("toolchain", OK, what)
    try:
        entries = setup.world.linters.check({"sample.yml": _SAMPLE_WORKFLOW})["sample.yml"]
    except ToolchainError as error:
        yield from_error("toolchain", error)
    else:
        for tool in ("actionlint", "zizmor"):
            found = any(entry.tool == tool for entry in entries)
            what = f"{tool} runs" if found else f"{tool} does not find the injection in a sample workflow"
            yield Diagnosis("toolchain", OK if found else FAIL, what)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    hint = "The AWS provider alone takes several hundred MB."
    health = OK if free >= _FREE_BYTES else WARN
    yield Diagnosis("toolchain", health, f"{free / 1e9:.0f} GB are free for temporary files", hint)


def _of_needs(setup: Setup, tree: BaseTree, layout: Layout) -> Iterator[Diagnosis]:
    """What the roots need of engine, providers, lock files and credentials, each thing once for all roots. FAIL when no
    root can be planned.
    """
    needs = find_needs(setup.world, setup.settings, tree, layout)
    hopeless = stopped_by(needs, setup.settings, layout) is not None
    for (what, remedy, stops), places in by_words(needs).items():
        yield Diagnosis("roots", FAIL if stops and hopeless else WARN, f"{named(places)}: {what}", remedy)


def check_modules(setup: Setup) -> Iterator[Diagnosis]:
    """For each root with remote modules: which it calls, whether a token for the host is given, and whether they come.
    Raises ToolchainError, NoSpace.

    A source that is refused fails everywhere. What this laptop cannot fetch, a job with other tokens perhaps can.
    """
    if setup.layout is None or setup.tree is None:
        return
    paths = regular_paths(setup.tree)
    for root in setup.layout.roots:
        files = module_files(root, paths, setup.tree.read)
        if not files:
            continue
        remote = [call for call in module_calls(root, files, files.__getitem__) if call.is_remote]
        named = "; ".join(_named(call, setup) for call in remote[:_MOST])
        more = f"; and {len(remote) - _MOST} more" if len(remote) > _MOST else ""
        check = setup.world.terraform.fetch_modules(root, files)
        came = check.status is CheckStatus.PASSED
        refused = any(read_module_source(call.source or "").kind is SourceKind.REFUSED for call in remote)
        health = OK if came else FAIL if setup.on_runner or refused else WARN
        yield Diagnosis("modules", health, f"root module `{root.path}` calls modules from outside: {named}{more}")
        if came:
            yield Diagnosis("modules", OK, f"the modules of `{root.path}` were fetched in {check.seconds:.1f} s")
        for finding in check.findings:
            yield _from_finding("modules", health, finding)


def _named(call: ModuleCall, setup: Setup) -> str:
    source = read_module_source(call.source or "")
    serves = module_credentials(setup.settings, setup.environment).serve(source)
    token = "refused" if source.kind is SourceKind.REFUSED else "token given" if serves else "no token"
    return f"`{call.key}` from `{shown_source(call.source or '')}` ({token})"


def _check_job(setup: Setup) -> Iterator[Diagnosis]:
    configuration = Path(setup.environment.get("GITHUB_WORKSPACE", ""), ".git", "config")
    if (
        setup.environment.get("GITHUB_WORKSPACE")
        and os.access(configuration, os.R_OK)
        and "extraheader" in configuration.read_text(encoding="utf-8", errors="replace")
    ):
        hint = "Give actions/checkout `persist-credentials: false`, or leave it out: ops-agent needs no checkout."
        yield Diagnosis("job", WARN, "the checkout's .git/config holds a token", hint)


CHECKS: dict[str, Callable[[Setup], Iterable[Diagnosis]]] = {
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
NEEDS: dict[str, frozenset[str]] = {
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
