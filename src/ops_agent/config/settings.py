"""The options of a run: one field for each input of action.yml, with its bounds and its default.

`action.yml` says what each input means to a caller; a test holds names and defaults equal. `read_inputs` turns the
runner's `INPUT_*` variables (always text, empty for "not given") into `Settings` and reports every problem at once. The
shapes of the texts are in `inputs.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, SkipValidation, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ops_agent.config import inputs, mcp
from ops_agent.config.inputs import shown
from ops_agent.config.renamed import accepted, with_new_names
from ops_agent.model.errors import ConfigError
from ops_agent.model.policy import DEV, Limits, Policy
from ops_agent.model.wiki import McpServer
from ops_agent.model.workflow import SCOPES

_MAX_TEXT = 200_000
_REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")
_PROVIDER = r"(?:[a-z0-9.-]+\.[a-z]{2,}(?::[0-9]+)?/)?[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*"
_GOOGLES = r"projects/\d+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}"
_GOOGLES_LIKE = "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
_LLM_ID = r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}"


def _like(pattern: str, what: str, remedy: str = "correct or remove this entry") -> BeforeValidator:
    return BeforeValidator(inputs.matching(pattern, what, remedy))


_list = BeforeValidator(inputs.entries)
_lower = BeforeValidator(str.lower)
_Line = Annotated[str, BeforeValidator(inputs.require_one_line)]
_Id = Annotated[_Line, Field(max_length=256)]
_Status = Annotated[_Line, Field(max_length=60)]
_Secret = Annotated[str, BeforeValidator(inputs.secret)]
_Boolean = Annotated[bool, BeforeValidator(inputs.boolean)]
_Labels = Annotated[tuple[Annotated[str, _like(r"[^,]{1,50}", "a label")], ...], _list]
_Bot = Annotated[int | str, BeforeValidator(inputs.bot)]
_RoleArn = Annotated[str, BeforeValidator(inputs.role_arn)]
_RoleArns = Annotated[dict[str, str], BeforeValidator(inputs.by_environment(r".+", "<role ARN>"))]
_Accounts = Annotated[dict[str, str], BeforeValidator(inputs.by_environment(r"[0-9]{12}", "<12 digits>"))]
_Tags = Annotated[tuple[str, ...], BeforeValidator(inputs.tags)]
_TagValues = Annotated[dict[str, tuple[str, ...]], BeforeValidator(inputs.tag_values)]
_Environment = Annotated[str, _like(inputs.ENVIRONMENT, "the name of an environment")]
_Provider = Annotated[str, _like(_PROVIDER, "a provider (`hashicorp/aws`)")]
_Module = Annotated[str, _like(r"[A-Za-z0-9][\w.:/@+-]{2,}", "the beginning of a module source (`git::https://...`)")]
_Uses = Annotated[
    str, _like(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", "an action without its version (`actions/cache`)")
]
_SecretName = Annotated[str, _like(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a secret, without `*`")]
_Scope = Annotated[str, _like("|".join(sorted(SCOPES)), "a scope of `permissions` (`pull-requests`)")]
_Runner = Annotated[str, _like(r"(group:)?[A-Za-z0-9][\w.-]*", "the label of a runner, or `group:NAME`, without `*`")]
_Space = Annotated[str, _like(r"~?[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", "the key of a space (`OPS`)")]
_Bucket = Annotated[str, _like(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of an S3 bucket, without `*`")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """Which issues are work items, and which labels and bots start a run."""

    label_trigger: _Labels = ("ready", "[ops]")
    title_prefix: Annotated[_Line, Field(max_length=40)] = "[ops]"
    role_label: Annotated[_Line, Field(max_length=50)] = ""
    """Marks a work item in place of the prefix; empty: only the prefix counts."""
    allowed_bots: Annotated[tuple[_Bot, ...], _list] = ()
    """Bots whose label counts as an approval: account ids, and logins as GitHub writes them (`renovate[bot]`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSettings:
    """The project board, and its statuses (compared without case)."""

    project_owner: Annotated[_Line, Field(max_length=39)] = "DrivvenConsulting"
    project_number: Annotated[int, Field(ge=0, le=1_000_000)] = 6
    """0: no board."""
    status_field: _Status = "Status"
    status_ready: _Status = "Ready"
    status_in_progress: _Status = "In Progress"
    status_review: _Status = ""
    """Status of an item with an open pull request; empty: it stays in progress."""
    status_done: _Status = "Done"
    """After its merge; empty: the card stays."""
    status_not_merged: _Status = "Ready"
    """After its pull request was closed without a merge; empty: the card stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSettings:
    """Which llm is asked, and the one way to reach it: a key, workload identity federation, Bedrock, or Vertex AI."""

    anthropic_api_key: _Secret = field(default="", repr=False)
    anthropic_federation_rule_id: _Id = ""
    anthropic_organization_id: _Id = ""
    anthropic_service_account_id: _Id = ""
    anthropic_workspace_id: _Id = ""
    use_bedrock: _Boolean = False
    bedrock_role_arn: _RoleArn = ""
    """May do nothing but invoke the llm."""
    bedrock_region: Annotated[str, BeforeValidator(inputs.region)] = ""
    """Where Bedrock is asked; empty: in the region of everything else (`Settings.bedrock_region`)."""
    vertex_project: Annotated[
        str, _like(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "a project id", "write it like my-project")
    ] = ""
    """The project that pays for Vertex AI; empty: another way."""
    vertex_region: Annotated[str, _like(r"[a-z]+(-[a-z]+[0-9]+)?", "a region", "write it like us-east5")] = "global"
    vertex_identity_provider: Annotated[str, _like(_GOOGLES, "a provider", f"write it like {_GOOGLES_LIKE}")] = ""
    model: Annotated[str, _like(_LLM_ID, "the id of an llm", "write it like claude-opus-5-5")] = "claude-opus-5-5"
    model_fallbacks: Annotated[
        tuple[Annotated[str, _like(_LLM_ID, "the id of an llm", "write it like claude-opus-5-5")], ...], _list
    ] = ()
    """Asked in this order when `model` is overloaded or not available; the run stays with the one that answers."""
    thinking: Annotated[Literal["adaptive", "off"], _lower] = "adaptive"
    effort: Annotated[Literal["low", "medium", "high", "xhigh", "max"], _lower] = "high"
    base_url: Annotated[str, BeforeValidator(inputs.base_url)] = ""
    """Address of a gateway, without a slash at its end; empty: Anthropic's own, or Bedrock's in the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the inputs say, grouped for those who need a part of it. Secrets are kept out of `repr`."""

    # what
    issue_number: Annotated[_Line, Field(max_length=10_000)] = ""
    """As written: a number, several, a URL (issue.references.parse_references)."""
    target_repository: Annotated[str, BeforeValidator(inputs.repository_name)] = ""
    base_branch: Annotated[str, BeforeValidator(inputs.valid_branch_name)] = ""
    infra_context: str = ""
    standards: str = ""
    """Paths of files on the base branch, one a line, or the text itself."""
    labels: LabelSettings = LabelSettings()
    board: BoardSettings = BoardSettings()
    # GitHub
    github_token: _Secret = field(default="", repr=False)
    branch_prefix: Annotated[str, BeforeValidator(inputs.branch_prefix)] = "ops-agent/issue-"
    draft: Annotated[Literal["auto", "true", "false"], _lower] = "auto"
    draft_on_failure: _Boolean = False
    """Open a draft also when checks still fail after the last repair round."""
    pr_labels: _Labels = ()
    include_comments: _Boolean = False
    # LLM
    llm: LlmSettings = LlmSettings()
    mcp_config: Annotated[tuple[McpServer, ...], BeforeValidator(mcp.servers)] = field(default=(), repr=False)
    """MCP servers for the team's Confluence, their references resolved."""
    confluence_spaces: Annotated[tuple[_Space, ...], _list] = ()
    """Keys of the spaces whose pages may be read."""
    limits: SkipValidation[Limits] = Limits()
    # AWS and Terraform
    policy: SkipValidation[Policy] = Policy()
    aws_role_arns: _RoleArns = field(default_factory=dict)
    """Read-only roles for plans by environment, that of `dev` (`aws_role_arn`) included."""
    terraform_binary: Annotated[str, BeforeValidator(inputs.terraform_binary)] = "auto"
    environments: Annotated[tuple[_Environment, ...], _list] = ()
    """Environments to plan; empty: every one that has a role."""
    module_credentials: Annotated[dict[str, str], BeforeValidator(inputs.host_tokens)] = field(
        default_factory=dict, repr=False
    )
    """Tokens for private modules by host."""
    # network
    ca_certificates: Annotated[str, BeforeValidator(inputs.certificates)] = ""
    """PEM text, or the absolute path of a file with it."""
    # run
    notices: SkipValidation[tuple[str, ...]] = ()
    """What to tell people about names that they write and that have changed."""
    dry_run: _Boolean = False
    upload_transcript: _Boolean = False
    probe_llm: _Boolean = False
    """The doctor calls the llm once."""
    doctor_issue: _Boolean = False
    """The doctor writes its result into one issue."""

    @property
    def bedrock_region(self) -> str:
        return self.llm.bedrock_region or self.policy.region

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        of_modules = (
            secret for token in self.module_credentials.values() for secret in (token, token.partition(":")[2])
        )
        of_servers = (secret for server in self.mcp_config for secret in server.secrets)
        own = (self.github_token, self.llm.anthropic_api_key)
        return tuple(secret for secret in (*own, *of_modules, *of_servers) if secret)

    @classmethod
    def from_inputs(cls, environment: Mapping[str, str], *, needs: Collection[str] = ()) -> Settings:
        """Settings from the `INPUT_*` variables of `environment` (composite and container form alike).

        `needs` names what the command cannot do without: `github`, `llm`.
        Raises ConfigError whose `problems` hold every problem, each with what to do; none of them shows a secret.
        """
        read = read_inputs(environment, needs=needs)
        if read.problems:
            raise read.error()
        return read.settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Converted:
    """Inputs that `Settings` keeps under another name or in another unit: in `limits`, `policy` and `aws_role_arns`."""

    max_turns: Annotated[int, Field(ge=1, le=1_000)] = Limits().max_turns
    max_cost_usd: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = Limits().max_cost_usd
    timeout_minutes: Annotated[int, Field(ge=1, le=360)] = Limits().timeout_seconds // 60
    aws_region: Annotated[str, BeforeValidator(inputs.region)] = Policy().region
    aws_accounts: _Accounts = field(default_factory=lambda: Policy().accounts)
    aws_role_arn: _RoleArn = ""
    allowed_providers: Annotated[tuple[_Provider, ...], _list] = ()
    allowed_modules: Annotated[tuple[_Module, ...], _list] = ()
    allowed_buckets: Annotated[tuple[_Bucket, ...], _list] = ()
    allowed_uses: Annotated[tuple[_Uses, ...], _list] = ()
    allowed_secrets: Annotated[tuple[_SecretName, ...], _list] = ()
    allowed_permissions: Annotated[tuple[_Scope, ...], _list] = ()
    allowed_runners: Annotated[tuple[_Runner, ...], _list] = ()
    required_tags: _Tags = Policy().required_tags
    tag_values: _TagValues = field(default_factory=lambda: {**Policy().tag_values})


class InputsRead(NamedTuple):
    """What could be read, with defaults for the inputs in `wrong`, and a sentence for each problem."""

    settings: Settings
    problems: tuple[str, ...]
    wrong: frozenset[str]

    def error(self) -> ConfigError:
        count = len(self.problems)
        return ConfigError(f"{count} input{'s' if count > 1 else ''} cannot be used", problems=self.problems)


_GROUPS = {"labels": LabelSettings, "board": BoardSettings, "llm": LlmSettings}
_SHAPES: dict[type[Any], tuple[str, ...]] = {
    shape: tuple(f.name for f in fields(shape) if f.name not in (*_GROUPS, "limits", "policy", "notices"))
    for shape in (Settings, *_GROUPS.values(), _Converted)
}
"""Class -> the inputs that are its fields."""

INPUT_NAMES = frozenset(name for names in _SHAPES.values() for name in names) | {"command"}
"""The container form hands `command` over as a variable too; the command line is what counts."""


def read_inputs(environment: Mapping[str, str], *, needs: Collection[str] = ()) -> InputsRead:
    """As `Settings.from_inputs`, for callers who go on when something is wrong. Raises nothing."""
    given = {name[6:].lower(): text.strip() for name, text in environment.items() if name.startswith("INPUT_")}
    unset = INPUT_NAMES | accepted("input").keys()
    given = {name: text for name, text in given.items() if text or name not in unset}
    given, notices, both = with_new_names("input", given)
    found: list[tuple[str, str]] = [(name, _unknown(name)) for name in sorted(set(given) - INPUT_NAMES)]
    found += both
    texts = {name: text for name, text in given.items() if text and name in INPUT_NAMES}
    for name, text in list(texts.items()):
        if len(text) > _MAX_TEXT or "\x00" in text:
            what = "it holds a NUL character" if "\x00" in text else f"{len(text):,} characters are too many"
            found.append((name, f"{what}; shorten or correct it"))
            del texts[name]
    read: dict[type[Any], Any] = {}
    for shape, names in _SHAPES.items():
        own = {name: texts[name] for name in names if name in texts}
        try:
            read[shape] = _adapters()[shape].validate_python(own)
        except ValidationError as error:
            wrong = [(str(one["loc"][0]), why) for one in error.errors(include_url=False) for why in _sentences(one)]
            found += wrong
            usable = {name: text for name, text in own.items() if name not in dict(wrong)}
            read[shape] = _adapters()[shape].validate_python(usable)
    converted: _Converted = read[_Converted]
    groups = {group: read[shape] for group, shape in _GROUPS.items()}
    settings = _settings(replace(read[Settings], notices=notices, **groups), converted)
    servers, unresolved = mcp.resolved(settings.mcp_config, environment, settings.secrets)
    settings = replace(settings, mcp_config=servers)
    found += [("mcp_config", sentence) for sentence in unresolved]
    found += _contradictions(settings, converted, frozenset(dict(found)))
    wrong_names = frozenset(name for name, _ in found)
    found += [need for need in _missing(settings.llm, settings.github_token, needs) if need[0] not in wrong_names]
    return InputsRead(
        settings=settings,
        problems=tuple(f"input `{re.sub(r'[^a-z0-9_-]', '?', name)[:60]}`: {sentence}" for name, sentence in found),
        wrong=frozenset(name for name, _ in found),
    )


@cache
def _adapters() -> dict[type[Any], TypeAdapter[Any]]:
    return {shape: TypeAdapter(shape) for shape in _SHAPES}


def _settings(read: Settings, converted: _Converted) -> Settings:
    policy = Policy()
    providers: list[str] = []
    for provider in converted.allowed_providers:
        providers += [provider] if provider.count("/") == 2 else [f"{host}/{provider}" for host in _REGISTRIES]
    roles = read.aws_role_arns
    return replace(
        read,
        aws_role_arns={DEV: converted.aws_role_arn} | roles if converted.aws_role_arn else roles,
        limits=Limits(
            max_turns=converted.max_turns,
            max_cost_usd=converted.max_cost_usd,
            timeout_seconds=60 * converted.timeout_minutes,
        ),
        policy=replace(
            policy,
            region=converted.aws_region,
            accounts=converted.aws_accounts,
            allowed_providers=tuple(dict.fromkeys((*policy.allowed_providers, *providers))),
            allowed_modules=converted.allowed_modules,
            allowed_buckets=converted.allowed_buckets,
            allowed_uses=tuple(dict.fromkeys((*policy.allowed_uses, *converted.allowed_uses))),
            allowed_secrets=converted.allowed_secrets,
            allowed_permissions=converted.allowed_permissions,
            allowed_runners=converted.allowed_runners,
            required_tags=converted.required_tags,
            tag_values=converted.tag_values,
        ),
    )


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.replace("-", "_"), INPUT_NAMES, n=1, cutoff=0.6)
    remedy = f"did you mean `{near[0]}`?" if near else "remove it (docs/inputs.md lists the inputs)"
    return f"there is no such input; {remedy}"


def _sentences(error: ErrorDetails) -> tuple[str, ...]:
    """What is wrong and what to do, in our words."""
    kind, context, text = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":  # raised by a shape
        return tuple(context["error"].args)
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ")
        return (f"{shown(text)} is not a choice; write one of {choices}",)
    if kind == "string_too_long":
        return (f"{len(text)} characters are too many; stay under {context['max_length']}",)
    bounds = {"greater_than": "is not above", "greater_than_equal": "is less than", "less_than_equal": "is more than"}
    limit = next((value for name, value in context.items() if name in ("gt", "ge", "le")), 0)
    what = f"{bounds[kind]} {limit:g}" if kind in bounds else "is not a number"
    return (f"{shown(text)} {what}; correct it, or remove it for the default",)


def _contradictions(settings: Settings, converted: _Converted, wrong: Collection[str]) -> Iterator[tuple[str, str]]:
    """What one input alone does not show: pairs of an input's name and a sentence."""
    board, llm = settings.board, settings.llm
    if settings.base_branch.startswith(settings.branch_prefix):
        what = "it lies under `branch_prefix`, where ops-agent makes its own branches"
        yield "base_branch", f"{what}; name the branch to merge into"
    ready = board.status_ready.casefold()
    if ready in (board.status_in_progress.casefold(), board.status_review.casefold()):
        what = "two statuses of the board are the same"
        yield "status_in_progress", f"{what}; give `status_ready` a name of its own"

    if bool(settings.mcp_config) != bool(settings.confluence_spaces):
        lacking = "confluence_spaces" if settings.mcp_config else "mcp_config"
        what = "name the spaces whose pages may be read" if settings.mcp_config else "name the server that reads them"
        if lacking not in wrong:
            yield lacking, f"it is missing beside the other one of the two; {what} (docs/setup/confluence.md)"

    federation = llm.anthropic_federation_rule_id
    siblings = (llm.anthropic_organization_id, llm.anthropic_service_account_id, llm.anthropic_workspace_id)
    if any(siblings) and not federation:
        what = "it is missing, but other inputs of the federation are given"
        yield "anthropic_federation_rule_id", f"{what}; give the rule's id, or remove them"
    if federation and not llm.anthropic_organization_id:
        yield "anthropic_organization_id", "federation needs it; give the organization's id"
    first, *others = ways_to_llm(llm) or [""]
    if others:
        yield first, f"{' and '.join(f'`{way}`' for way in others)} is given as well; keep one way to reach the llm"
    if llm.use_bedrock and not llm.bedrock_role_arn and "bedrock_role_arn" not in wrong:
        what = "`use_bedrock` needs a role that may only invoke the llm"
        yield "bedrock_role_arn", f"{what}; give its ARN, and one of Bedrock's ids as `model` (docs/setup/bedrock.md)"
    elif llm.use_bedrock and not llm.base_url and (sentence := _not_on_bedrock(llm.model, settings.bedrock_region)):
        yield "model", sentence
    if bool(llm.vertex_project) != bool(llm.vertex_identity_provider) and "vertex_project" not in wrong:
        lacking = "vertex_identity_provider" if llm.vertex_project else "vertex_project"
        if lacking not in wrong:
            yield lacking, "Vertex AI needs it beside the other one; give both (docs/setup/vertex.md)"
    if llm.bedrock_role_arn and llm.bedrock_role_arn in settings.aws_role_arns.values():
        what = "it is a role for plans as well, and what reads an account may not also spend its money"
        yield "bedrock_role_arn", f"{what}; give a role that may only invoke the llm (docs/setup/bedrock.md)"

    own, accounts = converted.aws_role_arn, settings.policy.accounts
    bedrock = llm.bedrock_role_arn if "aws_accounts" not in wrong else ""
    if bedrock and (sentence := _unknown_account(bedrock, accounts)):
        yield "bedrock_role_arn", sentence
    if own and settings.aws_role_arns[DEV] != own:
        yield "aws_role_arns", f"`{DEV}` has another role in `aws_role_arn`; keep one of them"
    roles = [("aws_role_arn", DEV, own)]
    roles += [("aws_role_arns", name, arn) for name, arn in settings.aws_role_arns.items() if arn != own]
    for name, environment, arn in roles:
        if arn and "aws_accounts" not in wrong and (sentence := _wrong_account(arn, environment, accounts)):
            yield name, sentence


def _not_on_bedrock(model: str, region: str) -> str | None:
    """Why Bedrock in `region` would refuse the id before it asks any llm."""
    if model.startswith("claude-"):
        remedy = (
            f"give that of an inference profile, which `aws bedrock list-inference-profiles --region {region}` lists"
        )
        return f"`{model}` is an id of Anthropic's API, not of Bedrock's; {remedy}"
    if model.startswith("arn:") and model.split(":")[3:4] not in ([region], [""]):
        return f"the ARN is not one of {region}; give one of that region, or set `bedrock_region` to its own"
    return None


def _wrong_account(arn: str, environment: str, accounts: Mapping[str, str]) -> str | None:
    """Why the role may not be used: it is in none of the accounts, or not in the one of its environment."""
    try:
        account = inputs.account_of(inputs.role_arn(arn))
    except ValueError as error:
        return str(error)
    if sentence := _unknown_account(arn, accounts):
        return sentence
    if environment not in accounts:
        return f"environment `{environment}` has no account; add `{environment}=<account>` to `aws_accounts`"
    if accounts[environment] != account:
        what = f"the role of `{environment}` is in account {account}, not in its own ({accounts[environment]})"
        return f"{what}; give the role of that account"
    return None


def _unknown_account(arn: str, accounts: Mapping[str, str]) -> str | None:
    if (account := inputs.account_of(arn)) in accounts.values():
        return None
    what = f"account {account} is not one of the configured accounts"
    return f"{what}; correct the ARN, or add the account to `aws_accounts`"


def ways_to_llm(llm: LlmSettings) -> list[str]:
    """The inputs that name a way to reach the llm."""
    names = ("anthropic_api_key", "anthropic_federation_rule_id", "use_bedrock", "vertex_project")
    return [name for name in names if getattr(llm, name)]


def _missing(llm: LlmSettings, github_token: str, needs: Collection[str]) -> Iterator[tuple[str, str]]:
    if "llm" in needs and not ways_to_llm(llm):
        remedy = "give it, or `anthropic_federation_rule_id`, or `use_bedrock`, or `vertex_project`"
        yield "anthropic_api_key", f"it is empty and no other way to reach the llm is given; {remedy}"
    if "github" in needs and not github_token:
        yield "github_token", "it is empty; give a GitHub App token or ${{ github.token }}"
