"""What a run needs from outside: the llm, GitHub, the board, AWS, and the way to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from ops_agent.adapters.llm.client import address_of
from ops_agent.adapters.network import silence
from ops_agent.adapters.terraform.cli_config import Method
from ops_agent.config.harness import read_harness
from ops_agent.config.settings import ways_to_llm
from ops_agent.doctor.diagnosis import FAIL, OK, SKIP, WARN, Diagnosis, Health, Setup, from_error
from ops_agent.guard.tree import source_tree
from ops_agent.issue.references import parse_references
from ops_agent.model.conversation import PeopleTurn
from ops_agent.model.errors import NotPermitted, OpsAgentError, ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.model.ports import StateObject
from ops_agent.model.terraform import Environment, Scalar, TerraformRoot, TerraformSource
from ops_agent.run.branch_rules import REMEDY, branch_rules
from ops_agent.text.markdown import code
from ops_agent.wiring import installation_methods

_GIVE_OIDC: Final = "Add `id-token: write` to the `permissions` of the job; a workflow of a fork never gets it."
_JOB_TOKEN: Final = "github-actions[bot]"  # noqa: S105 - a login
LLM_WAYS: Final = {
    "anthropic_api_key": "an Anthropic key",
    "anthropic_federation_rule_id": "workload identity federation",
    "use_bedrock": "Bedrock",
    "vertex_project": "Vertex AI",
}


def check_region(setup: Setup) -> Iterator[Diagnosis]:
    """The region is that of the states. Another one than the default is said; it is the workflow's right."""
    region, usual = setup.settings.policy.region, Policy().region
    is_meant = region == usual
    for root, environment, backend in _backends(setup):
        place = backend.get("region")
        is_meant |= place == region
        if isinstance(place, str) and place != region:
            what = f"the state of `{root.path}` in `{environment.name}` is in {place}, and `aws_region` is {region}"
            hint = f"Set `aws_region: {place}`, if that is the region of this repository; a plan reaches no other."
            yield Diagnosis("region", WARN, what, hint)
            return
    if not is_meant:
        hint = f"If this is not meant, remove the input: the default is {usual}."
        yield Diagnosis("region", WARN, f"`aws_region` makes {region} the only region", hint)


def check_llm(setup: Setup) -> Iterator[Diagnosis]:
    """One way to the language model is given. With `probe_llm` it is called once, for one token, and the cost shown."""
    llm = setup.settings.llm
    given = ways_to_llm(llm)
    if not given:
        hint = "Set `anthropic_api_key`, the `anthropic_federation_*` inputs, `use_bedrock` or `vertex_project`. "
        hint += "A secret of a GitHub environment is empty unless the job names that `environment`."
        what = "no credentials for the language model are given"
        own = "A run on this machine takes ANTHROPIC_API_KEY from the environment."
        yield setup.lacking("llm", what, hint) if setup.on_runner else Diagnosis("llm", SKIP, what, own)
        return
    through = f"`{llm.model}` through {LLM_WAYS[given[0]]}"
    if given[0] != "anthropic_api_key" and not setup.gets_oidc_tokens:
        yield setup.lacking("llm", f"{through} needs an OIDC token, which this process cannot ask for", _GIVE_OIDC)
    elif not setup.settings.probe_llm:
        yield Diagnosis("llm", OK, f"{through} (not called: `probe_llm: true` calls it once)")
    elif silence(setup.network, address_of(llm, setup.settings.bedrock_region)) is not None:
        yield Diagnosis("llm", SKIP, f"{through} was not called: its host does not answer", "See `network`.")
    else:
        turns = (PeopleTurn(text="Answer with one word: ready"),)
        answer = setup.world.llm.reply(system="You are asked once.", tools=(), turns=turns, max_tokens=1)
        cost = f"{answer.usage.tokens_in_words}, ${answer.usage.cost_usd:.4f}"
        yield Diagnosis("llm", OK, f"{through} answers as `{answer.llm_id}`; this call: {cost}")


def check_token(setup: Setup) -> Iterator[Diagnosis]:
    """Who the token is, what it may write, whether rulesets let it create our branches, and the labels that start a
    run. Nothing is written.
    """
    if not setup.settings.github_token or not setup.repository:
        what = "`github_token`" if not setup.settings.github_token else "a repository (`target_repository`)"
        yield setup.lacking("GitHub", f"{what} is not given", "Set it in the workflow's `with:`.")
        return
    host, repository = setup.world.issues, setup.repository
    described, viewer = host.repository(repository), host.viewer()
    yield Diagnosis("GitHub", OK, f"the token acts as {viewer.login} on {described.full_name}")
    if described.archived or described.disabled:
        yield Diagnosis("GitHub", FAIL, "the repository is archived or disabled", "Choose another one.")
        return
    yield from _abilities(setup, is_job=viewer.login == _JOB_TOKEN)
    rules = branch_rules(setup.world, repository, f"{setup.settings.branch_prefix}1", is_new=True)
    yield from (Diagnosis("GitHub", FAIL, why, REMEDY) for why in rules.refused)
    yield from (Diagnosis("GitHub", WARN, why, REMEDY) for why in rules.doubtful)
    told = [f"rulesets restrict {code(path)}" for path in rules.paths] + list(rules.messages)
    yield from (Diagnosis("GitHub", WARN, what, "The agent is told so; nothing is to be done.") for what in told)
    issues_in = setup.environment.get("GITHUB_REPOSITORY") or repository
    wanted = setup.settings.labels.label_trigger
    try:
        known = {name.casefold() for name in host.labels(issues_in)}
    except NotPermitted:  # what the token lacks is said above
        return
    if wanted and not known & {name.casefold() for name in wanted}:
        what = f"{issues_in} has no label {' or '.join(map(code, wanted))}, so no label can start a run"
        hint = f"Create it: `gh label create {wanted[0]} --repo {issues_in}`; or set `label_trigger`."
        yield Diagnosis("GitHub", WARN, what, hint)


def _abilities(setup: Setup, *, is_job: bool) -> Iterator[Diagnosis]:
    abilities = setup.world.issues.token_abilities(setup.repository)
    words = {False: "may not write", None: "does not show whether it may write"}
    names = ("contents", "pull_requests", "issues")
    if may := [name.replace("_", " ") for name in names if getattr(abilities, name)]:
        yield Diagnosis("GitHub", OK, f"the token may write {', '.join(may)}")
    for name in (name for name in names if not getattr(abilities, name)):
        able, shown = getattr(abilities, name), name.replace("_", " ")
        job = f"Add `{name.replace('_', '-')}: write` to the `permissions` of the job"
        app = (
            f"Give the App or the token the permission {shown.capitalize()}: write, and accept it where it is installed"
        )
        hint = f"{job if is_job else app} (docs/setup/token.md)."
        yield Diagnosis("GitHub", WARN if able is None else FAIL, f"the token {words[able]} {shown}", hint)
    if is_job and abilities.pull_requests:
        what = "whether the job's own token may open pull requests is also a setting, which no token shows"
        hint = 'Look at Settings > Actions > General: "Allow GitHub Actions to create and approve pull requests".'
        yield Diagnosis("Actions setting", SKIP, what, hint)
    if abilities.workflows is not True:
        what = f"the token {words[abilities.workflows]} workflow files"
        hint = "Changes of workflows are offered as a patch then; for commits use a GitHub App's token with the "
        yield Diagnosis("GitHub", WARN, what, f"{hint}permission Workflows (docs/setup/github-app.md).")


def check_board(setup: Setup) -> Iterator[Diagnosis]:
    """The board can be read, and has the statuses that the inputs name; with `issue_number`, where that issue is."""
    settings, repository = setup.settings, setup.repository
    if not settings.board.project_number:
        yield Diagnosis("board", OK, "no board: the label decides")
        return
    if not settings.github_token or not repository:
        yield Diagnosis("board", SKIP, "the board is read with a token, and none is given", setup.elsewhere)
        return
    known = setup.world.board.statuses(repository)
    if isinstance(known, str):
        hint = "See docs/setup/board.md; with `project_number: 0` the label alone decides."
        yield Diagnosis("board", WARN, known, hint)
        return
    names = f"project {settings.board.project_number} of {settings.board.project_owner}"
    yield Diagnosis("board", OK, f"{names} has the statuses {', '.join(known)}")
    for name in ("status_ready", "status_in_progress", "status_review"):
        status = getattr(settings.board, name)
        if status and status.casefold() not in {one.casefold() for one in known}:
            hint = f"The board has {', '.join(known)}: set `{name}` to one of them."
            yield Diagnosis("board", FAIL, f"there is no column `{status}` (`{name}`)", hint)
    if settings.issue_number:
        server = (setup.environment.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
        ref = parse_references(settings.issue_number, repository, server)[0]
        card = setup.world.board.card(setup.world.issues.issue(ref))
        hint = "Add the issue to the board (docs/setup/board.md)."
        place = card if isinstance(card, str) else f"{ref} is in {card.status or 'no column'}"
        yield Diagnosis("board", WARN if isinstance(card, str) else OK, place, hint)


def check_aws(setup: Setup) -> Iterator[Diagnosis]:
    """Each role for plans is assumed as a run does it: its account is the environment's, and it reads the states."""
    settings, can_mint = setup.settings, setup.gets_oidc_tokens
    if can_mint and not settings.aws_role_arns and ways_to_llm(settings.llm) in ([], ["anthropic_api_key"]):
        hint = "Remove `id-token: write` from the job, or set `aws_role_arn`."
        yield Diagnosis("AWS", WARN, "the job has `id-token: write`, and no input needs an OIDC token", hint)
    if not settings.aws_role_arns:
        hint = "Set `aws_role_arn` (docs/setup/aws-role.md); without it plans are made without the account, and marked."
        yield Diagnosis("AWS", WARN, "no role for plans is given", hint)
        return
    if not can_mint:
        yield setup.lacking("AWS", "this process cannot ask for OIDC tokens, so no role was tried", _GIVE_OIDC)
        return
    known = {e.name for root in (setup.layout.roots if setup.layout else ()) for e in root.environments}
    for name in settings.aws_role_arns:
        yield from _check_role(setup, name)
        if setup.layout is not None and name not in known:
            hint = f"Found were: {', '.join(sorted(known)) or 'none'}. Correct the name, or map it under `layout:` in "
            what = f"`aws_role_arns` names `{name}`, but no root has that environment"
            yield Diagnosis("AWS", WARN, what, f"{hint}`.github/ops-agent.yml` (docs/setup/policy-file.md).")


def _check_role(setup: Setup, name: str) -> Iterator[Diagnosis]:
    account = setup.settings.policy.accounts.get(name)
    states = dict(_states(setup, name))
    try:
        environment = Environment(name=name, account=account, backend_file=None)
        answered, trouble = setup.world.cloud.try_role(environment, tuple(states))
    except OpsAgentError as error:
        yield from_error("AWS", error)
        return
    read = [str(state) for state in states if state not in trouble]
    reads = f", and may read {', '.join(read)}" if read else ""
    yield Diagnosis("AWS", OK, f"the role for `{name}` gives access to account {answered}{reads}")
    for state, why in trouble.items():
        what = f"the role for `{name}` cannot read the state of `{states[state]}`, {state}: {why}"
        hint = (
            "Let the role (and the bucket's policy) allow `s3:GetObject` and `s3:ListBucket` there, and `kms:Decrypt`"
        )
        yield Diagnosis("AWS", FAIL, what, f"{hint} with its key (docs/setup/aws-role.md); or correct the backend.")


def _states(setup: Setup, name: str) -> Iterator[tuple[StateObject, str]]:
    """One state of an environment for each bucket, with its root, where the backend is written out."""
    seen: set[str] = set()
    for root, environment, backend in _backends(setup):
        bucket, key = backend.get("bucket"), backend.get("key")
        if environment.name == name and isinstance(bucket, str) and isinstance(key, str) and bucket not in seen:
            seen.add(bucket)
            yield StateObject(bucket, key), root.path


def _backends(setup: Setup) -> Iterator[tuple[TerraformRoot, Environment, dict[str, Scalar]]]:
    """What backend blocks and backend files say, for each root and environment that can be planned."""
    if setup.tree is None or setup.layout is None:
        return
    tree = source_tree(setup.tree, setup.settings.policy)
    for root in (root for root in setup.layout.roots if root.has_backend):
        modules = [module for _, module in tree.module(root.path)]
        blocks = [b for m in modules for t in m.of_type("terraform") for b in t.blocks if b.kind == "backend"]
        for environment in (one for one in root.environments if not one.unsettled):
            path = environment.backend_file
            file = tree.terraform(path) if path in tree.paths and path else None
            given = [a for block in blocks for a in block.attributes]
            given += file.attributes if isinstance(file, TerraformSource) else ()
            yield root, environment, {attribute.name: attribute.expression.value for attribute in given}


def check_network(setup: Setup) -> Iterator[Diagnosis]:
    """The hosts that a run of these settings needs answer from here, through the proxy where one is set."""
    hosts = dict(_hosts(setup))
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = dict(zip(hosts, pool.map(lambda url: silence(setup.network, url), hosts), strict=True))
    proxy = f" (proxy: {setup.network.proxy})" if setup.network.proxy else ""
    if reached := [urlsplit(url).netloc for url in hosts if answers[url] is None]:
        yield Diagnosis("network", OK, f"these answer: {', '.join(reached)}{proxy}")
    for why in dict.fromkeys(why for why in answers.values() if why is not None):
        silent = [f"{hosts[url]} ({urlsplit(url).netloc})" for url in hosts if answers[url] == why]
        health: Health = FAIL if setup.on_runner else WARN
        hint = "Let this machine connect there on port 443, or set HTTPS_PROXY, NO_PROXY or `ca_certificates` "
        what = f"cannot be reached from here: {', '.join(silent)}: {why}{proxy}"
        what += "" if setup.on_runner else "; a run on this machine would end there"
        yield Diagnosis("network", health, what, f"{hint}(docs/setup/network.md).")


def _hosts(setup: Setup) -> Iterable[tuple[str, str]]:
    """Address and what it is for. On a laptop only what a run there would ask for. Raises ToolchainError."""
    settings, region = setup.settings, setup.settings.policy.region
    harness = read_harness(setup.environment)
    if settings.github_token:
        yield setup.environment.get("GITHUB_API_URL") or "https://api.github.com", "GitHub"
    if ways_to_llm(settings.llm):
        yield address_of(settings.llm, settings.bedrock_region), "the language model"
    if settings.aws_role_arns and setup.on_runner:
        for service in ("sts", "s3"):
            yield harness.aws_endpoint or f"https://{service}.{region}.amazonaws.com", f"AWS in {region}"
    methods = (installation_methods(setup.environment) or (Method(),)) if not harness.provider_mirror else ()
    yield from ((method.place, "the mirror of providers") for method in methods if method.kind == "network_mirror")
    if any(method.kind == "direct" for method in methods):
        engine = ""
        with suppress(ToolchainError):
            engine = setup.world.terraform.engine()
        names = ("opentofu.org", "github.com") if "OpenTofu" in engine else ("terraform.io", "releases.hashicorp.com")
        yield f"https://registry.{names[0]}", "the provider registry"
        yield f"https://{names[1]}", "the providers' downloads"
