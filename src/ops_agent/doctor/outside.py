"""What a run needs from outside: the llm, GitHub, the board, AWS, and the way there."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.config.settings import ways_to_llm
from ops_agent.doctor.diagnosis import FAIL, OK, SKIP, WARN, Diagnosis, Setup, from_error
from ops_agent.issue.references import parse_references
from ops_agent.model.errors import OpsAgentError
from ops_agent.model.terraform import Environment
from ops_agent.run.branch_rules import REMEDY, branch_rules
from ops_agent.text.markdown import code


def check_llm(setup: Setup) -> Iterator[Diagnosis]:
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


def check_token(setup: Setup) -> Iterator[Diagnosis]:
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


def check_board(setup: Setup) -> Iterator[Diagnosis]:
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


def check_aws(setup: Setup) -> Iterator[Diagnosis]:
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
