"""What may leave, and what a run may use. From the action's inputs; a policy file on the base branch only narrows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ops_agent.model.terraform import MappedRoot

DEV, PROD, ROOT = "dev", "prod", "root"
PUBLIC_REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")
AWS_PROVIDERS = tuple(f"{host}/hashicorp/aws" for host in PUBLIC_REGISTRIES)
UTILITY_PROVIDERS = tuple(
    f"{host}/hashicorp/{name}"
    for name in ("archive", "cloudinit", "null", "random", "time", "tls")
    for host in PUBLIC_REGISTRIES
)
"""HashiCorp's providers that neither run programs nor reach out. Exceptions (`tls_certificate`, a path outside of the
module) have rules of their own; `external`, `http` and `local` are none of these.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits that the guard and the verification hold.

    `accounts` maps an environment's name (and `root`) to a 12-digit account id. `allowed_providers` are source
    addresses with a host (`registry.terraform.io/hashicorp/aws`) that any code may use, `allowed_modules` source
    prefixes, `allowed_buckets` S3 buckets that a plan may reach besides those in use, `allowed_uses` owner/name of
    actions (`actions/checkout`), `allowed_permissions` scopes that jobs of workflows may write (`packages`),
    `allowed_runners` labels of runners besides GitHub's (`group:NAME` for a group).
    `account_files` are path globs in which account ids are allowed as literals, `closed_paths` globs that may not be
    written, `ruleset_paths` those that a ruleset on GitHub restricts, in GitHub's patterns; `layout` maps roots that
    discovery cannot find. `required_tags` are keys that every taggable resource has, `tag_values` the only values of a
    tag; without any there is no rule about them. `owner`, no input, is who owns the repository on GitHub; empty when
    that is not known.
    """

    region: str = "sa-east-1"
    accounts: dict[str, str] = field(
        default_factory=lambda: {DEV: "125611408459", PROD: "283165662494", ROOT: "813395879296"}
    )
    allowed_providers: tuple[str, ...] = (*AWS_PROVIDERS, *UTILITY_PROVIDERS)
    allowed_modules: tuple[str, ...] = ()
    allowed_buckets: tuple[str, ...] = ()
    allowed_uses: tuple[str, ...] = (
        "actions/checkout",
        "actions/setup-python",
        "actions/setup-node",
        "aws-actions/configure-aws-credentials",
        "aws-actions/amazon-ecr-login",
        "hashicorp/setup-terraform",
        "opentofu/setup-opentofu",
    )
    allowed_secrets: tuple[str, ...] = ()
    allowed_permissions: tuple[str, ...] = ()
    allowed_runners: tuple[str, ...] = ()
    allow_workflow_files: bool = True
    account_files: tuple[str, ...] = ("**/backend/**", "**/environments/**", "backend/**", "environments/**", "**/*.md")
    closed_paths: tuple[str, ...] = ()
    ruleset_paths: tuple[str, ...] = ()
    layout: tuple[MappedRoot, ...] = ()
    required_tags: tuple[str, ...] = ("environment", "service-name", "category", "feature", "channel")
    tag_values: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"environment": ("production", "staging", "development")}
    )
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use. Money in US dollars, time in seconds, sizes in bytes."""

    max_turns: int = 80
    max_cost_usd: float = 5.0
    timeout_seconds: int = 45 * 60
    max_repair_rounds: int = 3
    max_files: int = 50
    max_file_bytes: int = 1_000_000
    max_total_bytes: int = 5_000_000
    max_tool_calls_per_turn: int = 20
    max_total_tokens: int = 20_000_000

    @property
    def working_seconds(self) -> int:
        """The run's time without its last three minutes, which belong to the clean-up: comment, claim, outputs."""
        return max(60, self.timeout_seconds - 180)


REGIONS = frozenset(
    {
        "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
        "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
        "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
        "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1",
        "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
    }
)  # fmt: skip
"""AWS's commercial partition (`aws`), a closed list: `sa-east-9` has the right form and does not exist.

From the endpoint description in botocore 1.44; a test compares. A region that AWS opens later needs a line here, on
purpose: an unchecked name would go into host names, session policies and the rules.
"""
