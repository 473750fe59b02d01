"""Settings: the action's inputs, parsed once. Every problem is reported at once, each with what to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from ops_agent.domain.briefing import Limits
from ops_agent.domain.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field per input of action.yml (the source of names and defaults; a contract test compares them).

    Secrets (`github_token`, `anthropic_api_key`) are kept out of `repr`.
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
    policy: Policy = Policy()
    # run
    dry_run: bool = False
    upload_transcript: bool = False
