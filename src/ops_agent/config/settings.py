"""Settings: the action's inputs, parsed once. Every problem is reported at once, each with what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ops_agent.config.inputs import ENVIRONMENT_NAME, InputReader
from ops_agent.model.briefing import Limits
from ops_agent.model.errors import ConfigError
from ops_agent.model.policy import DEV, Policy

COMMANDS = ("run", "select", "draft", "verify", "publish", "doctor")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_ACCOUNT = re.compile(r"[0-9]{12}")
_LABEL = re.compile(r"[^,]{1,50}")
_PROVIDER = re.compile(r"(?:[a-z0-9.-]+\.[a-z]{2,}(?::[0-9]+)?/)?[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*")
_MODULE = re.compile(r"[A-Za-z0-9][\w.:/@+-]{2,}")
_REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field per input of action.yml (the source of names and defaults; a contract test compares them).

    Secrets (`github_token`, `anthropic_api_key`, `module_credentials`) are kept out of `repr`.
    """

    # what
    issue_number: str = ""
    target_repository: str = ""
    base_branch: str = ""
    infra_context: str = ""
    standards: str = ""
    label_trigger: tuple[str, ...] = ("ready", "[ops]")
    title_prefix: str = "[ops]"
    role_label: str = ""
    # board
    project_owner: str = "DrivvenConsulting"
    project_number: int = 6
    status_ready: str = "Ready"
    status_in_progress: str = "In Progress"
    status_review: str = ""
    # GitHub
    github_token: str = field(default="", repr=False)
    allowed_bots: tuple[int, ...] = ()
    branch_prefix: str = "ops-agent/issue-"
    draft: str = "auto"
    draft_on_failure: bool = False
    pr_labels: tuple[str, ...] = ()
    include_comments: bool = False
    # LLM
    anthropic_api_key: str = field(default="", repr=False)
    anthropic_federation_rule_id: str = ""
    anthropic_organization_id: str = ""
    anthropic_service_account_id: str = ""
    anthropic_workspace_id: str = ""
    use_bedrock: bool = False
    bedrock_role_arn: str = ""
    model: str = "claude-opus-5-5"
    effort: str = "high"
    base_url: str = ""
    mcp_config: str = ""
    limits: Limits = Limits()
    # AWS
    aws_role_arns: dict[str, str] = field(default_factory=dict)
    # Terraform
    terraform_binary: str = "auto"
    environments: tuple[str, ...] = ()
    module_credentials: dict[str, str] = field(default_factory=dict, repr=False)
    policy: Policy = Policy()
    # run
    dry_run: bool = False
    upload_transcript: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        of_modules = (
            secret for token in self.module_credentials.values() for secret in (token, token.partition(":")[2])
        )
        return tuple(secret for secret in (self.github_token, self.anthropic_api_key, *of_modules) if secret)

    @classmethod
    def from_inputs(cls, environment: Mapping[str, str], *, needs: Collection[str] = ()) -> Settings:
        """Settings from `INPUT_*` variables (composite and container form alike).

        `needs` names what the command cannot do without: `github`, `llm`.
        Raises ConfigError whose `problems` hold every problem, each with what to do; no secret stands in them.
        """
        settings, reader = cls.read_inputs(environment, needs=needs)
        if reader.problems:
            count = len(reader.problems)
            raise ConfigError(
                f"{count} input{'s' if count > 1 else ''} cannot be used", problems=tuple(reader.problems)
            )
        return settings

    @classmethod
    def read_inputs(
        cls, environment: Mapping[str, str], *, needs: Collection[str] = ()
    ) -> tuple[Settings, InputReader]:
        """As `from_inputs`, for whoever looks on: what could be read, defaults for the rest, and the reader with
        `problems` and `wrong`.
        """
        reader, default = InputReader(environment), cls()
        policy = _policy(reader)
        settings = cls(
            issue_number=reader.line("issue_number", longest=10_000),
            target_repository=reader.repository("target_repository"),
            base_branch=reader.ref("base_branch"),
            infra_context=reader.text("infra_context"),
            standards=reader.text("standards"),
            label_trigger=reader.words("label_trigger", default.label_trigger, _LABEL, "a label"),
            title_prefix=reader.line("title_prefix", default.title_prefix, longest=40),
            role_label=reader.line("role_label", longest=50),
            project_owner=reader.line("project_owner", default.project_owner, longest=39),
            project_number=reader.integer("project_number", default.project_number, 1, 1_000_000),
            status_ready=reader.line("status_ready", default.status_ready, longest=60),
            status_in_progress=reader.line("status_in_progress", default.status_in_progress, longest=60),
            status_review=reader.line("status_review", longest=60),
            github_token=reader.secret("github_token"),
            allowed_bots=_bot_ids(reader),
            branch_prefix=reader.ref("branch_prefix", default.branch_prefix, is_prefix=True),
            draft=reader.choice("draft", default.draft, ("auto", "true", "false")),
            draft_on_failure=reader.boolean("draft_on_failure", default.draft_on_failure),
            pr_labels=reader.words("pr_labels", (), _LABEL, "a label"),
            include_comments=reader.boolean("include_comments", default.include_comments),
            anthropic_api_key=reader.secret("anthropic_api_key"),
            anthropic_federation_rule_id=reader.line("anthropic_federation_rule_id"),
            anthropic_organization_id=reader.line("anthropic_organization_id"),
            anthropic_service_account_id=reader.line("anthropic_service_account_id"),
            anthropic_workspace_id=reader.line("anthropic_workspace_id"),
            use_bedrock=reader.boolean("use_bedrock", default.use_bedrock),
            bedrock_role_arn=_bedrock_role(reader, policy),
            model=_llm_id(reader, default.model),
            effort=reader.choice("effort", default.effort, EFFORTS),
            base_url=reader.base_url("base_url"),
            mcp_config=reader.text("mcp_config"),
            limits=Limits(
                max_turns=reader.integer("max_turns", default.limits.max_turns, 1, 1_000),
                max_cost_usd=reader.number("max_cost_usd", default.limits.max_cost_usd, 1_000),
                timeout_seconds=60 * reader.integer("timeout_minutes", default.limits.timeout_seconds // 60, 1, 360),
            ),
            aws_role_arns=_role_arns(reader, policy),
            terraform_binary=reader.choice(
                "terraform_binary",
                default.terraform_binary,
                ("auto", "terraform", "tofu", "embedded"),
                also=lambda path: path.startswith("/"),
            ),
            environments=_environments(reader),
            module_credentials=reader.host_tokens("module_credentials"),
            policy=policy,
            dry_run=reader.boolean("dry_run", default.dry_run),
            upload_transcript=reader.boolean("upload_transcript", default.upload_transcript),
        )
        reader.choice(
            "command", "run", COMMANDS
        )  # the container form gets it as a variable too; the command line decides
        reader.refuse_unknown()
        settings._compare_inputs(reader, needs)
        return settings, reader

    def _compare_inputs(self, reader: InputReader, needs: Collection[str]) -> None:
        """What one input alone does not show."""
        if self.base_branch.startswith(self.branch_prefix):
            reader.problem(
                "base_branch",
                "it lies under `branch_prefix`, where ops-agent makes its own branches",
                "name the branch to merge into",
            )
        statuses = [
            status.casefold() for status in (self.status_ready, self.status_in_progress, self.status_review) if status
        ]
        if len(set(statuses[:2])) < 2 or self.status_review.casefold() == self.status_ready.casefold():
            reader.problem(
                "status_in_progress", "two statuses of the board are the same", "give `status_ready` a name of its own"
            )
        siblings = (self.anthropic_organization_id, self.anthropic_service_account_id, self.anthropic_workspace_id)
        federation = self.anthropic_federation_rule_id
        if any(siblings) and not federation:
            reader.problem(
                "anthropic_federation_rule_id",
                "it is missing beside its siblings",
                "give the rule's id, or remove the siblings",
            )
        if federation and not self.anthropic_organization_id:
            reader.problem("anthropic_organization_id", "federation needs it", "give the organization's id")
        ways = [
            name
            for name, given in (
                ("anthropic_api_key", self.anthropic_api_key),
                ("anthropic_federation_rule_id", federation),
                ("use_bedrock", self.use_bedrock),
            )
            if given
        ]
        if len(ways) > 1:
            reader.problem(
                ways[0],
                f"it stands beside {' and '.join(f'`{way}`' for way in ways[1:])}",
                "keep one way to reach the llm",
            )
        if self.use_bedrock and not self.bedrock_role_arn:
            reader.problem(
                "bedrock_role_arn", "`use_bedrock` needs a role that may only invoke the llm", "give its ARN"
            )
        if (
            "llm" in needs
            and not ways
            and not any(problem.startswith("input `anthropic_api_key`") for problem in reader.problems)
        ):
            remedy = "give it, or `anthropic_federation_rule_id`, or `use_bedrock`"
            reader.problem("anthropic_api_key", "it is empty and no other way to reach the llm is given", remedy)
        if (
            "github" in needs
            and not self.github_token
            and not any(p.startswith("input `github_token`") for p in reader.problems)
        ):
            reader.problem("github_token", "it is empty", "give a GitHub App token or ${{ github.token }}")


def _policy(reader: InputReader) -> Policy:
    default = Policy()
    accounts = reader.pairs("aws_accounts", _ACCOUNT, "<12 digits>") or default.accounts
    modules = reader.words(
        "allowed_modules", default.allowed_modules, _MODULE, "the beginning of a module source (`git::https://...`)"
    )
    named = reader.words("allowed_providers", (), _PROVIDER, "a provider (`hashicorp/aws`)")
    providers: list[str] = []
    for provider in named:
        providers += [provider] if provider.count("/") == 2 else [f"{host}/{provider}" for host in _REGISTRIES]
    return Policy(
        region=reader.region("aws_region", default.region),
        accounts=accounts,
        allowed_providers=tuple(providers) or default.allowed_providers,
        allowed_modules=modules,
    )


def _bot_ids(reader: InputReader) -> tuple[int, ...]:
    ids = reader.words(
        "allowed_bots",
        (),
        re.compile(r"[1-9][0-9]{0,11}"),
        "the numeric id of an account (a name can be taken by others)",
    )
    return tuple(int(one) for one in ids if one.isascii() and one.isdigit())


def _llm_id(reader: InputReader, default: str) -> str:
    value = reader.line("model", default, longest=200)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*", value):
        reader.problem("model", "it is not the id of an llm", f"write it like {default}")
    return value


def _bedrock_role(reader: InputReader, policy: Policy) -> str:
    arn = reader.line("bedrock_role_arn", longest=600)
    return arn if arn and reader.role_arn("bedrock_role_arn", arn, policy.accounts) else ""


def _role_arns(reader: InputReader, policy: Policy) -> dict[str, str]:
    """`aws_role_arn` is the role of `dev`; `aws_role_arns` names others as `environment=arn`."""
    arns = reader.pairs("aws_role_arns", re.compile(r".+"), "<role ARN>")
    checked = {e: arn for e, arn in arns.items() if reader.role_arn("aws_role_arns", arn, policy.accounts, e)}
    own = reader.line("aws_role_arn", longest=600)
    if own and reader.role_arn("aws_role_arn", own, policy.accounts, DEV) and checked.setdefault(DEV, own) != own:
        reader.problem(
            "aws_role_arns", f"`{DEV}` stands here and in `aws_role_arn` with another role", "keep one of them"
        )
    return checked


def _environments(reader: InputReader) -> tuple[str, ...]:
    names = reader.words("environments", (), ENVIRONMENT_NAME, "the name of an environment")
    return () if names == ("auto",) else names
