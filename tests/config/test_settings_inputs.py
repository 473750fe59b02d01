"""The action's inputs: defaults, every shape, every problem at once."""

from __future__ import annotations

import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.config.inputs import is_branch_name
from ops_agent.config.settings import Settings
from ops_agent.model.errors import ConfigError
from ops_agent.model.policy import REGIONS, Policy

DEV_ROLE = "arn:aws:iam::125611408459:role/plan"
PROD_ROLE = "arn:aws:iam::283165662494:role/team/plan"


def problems(needs: tuple[str, ...] = (), **inputs: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        Settings.from_inputs({f"INPUT_{name.upper()}": value for name, value in inputs.items()}, needs=needs)
    return caught.value.problems


def read(**inputs: str) -> Settings:
    return Settings.from_inputs({f"INPUT_{name.upper()}": value for name, value in inputs.items()})


def test_no_input_at_all_gives_the_defaults() -> None:
    assert Settings.from_inputs({}) == Settings()


def test_empty_inputs_mean_the_same_as_missing_ones() -> None:
    assert read(max_turns="", draft=" ", aws_accounts="", label_trigger="\n") == Settings()


def test_other_variables_of_the_environment_do_not_count() -> None:
    """Only inputs are honoured."""
    assert (
        Settings.from_inputs({"ANTHROPIC_BASE_URL": "http://evil.example", "AWS_REGION": "us-east-1", "MODEL": "x"})
        == Settings()
    )


def test_every_shape_of_input_is_read() -> None:
    settings = read(
        issue_number="12, 14",
        label_trigger="go,\n ship it ",
        title_prefix="[infra]",
        project_number="7",
        allowed_bots="41898282, 7, Renovate, 3d[bot]",
        draft="True".lower(),
        draft_on_failure="TRUE",
        max_turns="5",
        max_cost_usd="0.25",
        timeout_minutes="10",
        aws_accounts="dev=111111111111\nlive=222222222222",
        aws_role_arn="arn:aws:iam::111111111111:role/dev",
        aws_role_arns="live=arn:aws:iam::222222222222:role/live",
        allowed_providers="hashicorp/aws, registry.example.com/acme/dns",
        aws_region="eu-central-1",
        base_url="http://127.0.0.1:8080/v1/",
        environments="dev,live",
        terraform_binary="/opt/terraform",
    )
    assert settings.labels.label_trigger == ("go", "ship it")
    assert (settings.board.project_number, settings.labels.allowed_bots, settings.draft, settings.draft_on_failure) == (
        7,
        (41898282, 7, "renovate[bot]", "3d[bot]"),
        "true",
        True,
    )
    assert (settings.limits.max_turns, settings.limits.max_cost_usd, settings.limits.timeout_seconds) == (5, 0.25, 600)
    assert settings.aws_role_arns == {
        "dev": "arn:aws:iam::111111111111:role/dev",
        "live": "arn:aws:iam::222222222222:role/live",
    }
    assert settings.policy.accounts == {"dev": "111111111111", "live": "222222222222"}
    assert settings.policy.allowed_providers == (*Policy().allowed_providers, "registry.example.com/acme/dns")
    assert (settings.policy.region, settings.llm.base_url, settings.environments) == (
        "eu-central-1",
        "http://127.0.0.1:8080/v1",
        ("dev", "live"),
    )
    assert settings.terraform_binary == "/opt/terraform"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("draft_on_failure", "yes"),
        ("draft", "maybe"),
        ("max_turns", "0"),
        ("max_turns", "1e3"),
        ("max_turns", "８"),
        ("max_cost_usd", "nan"),
        ("max_cost_usd", "inf"),
        ("max_cost_usd", "-1"),
        ("timeout_minutes", "100000"),
        ("project_number", "#6"),
        ("allowed_bots", "bots/renovate"),
        ("allowed_bots", "[bot]"),
        ("allowed_bots", "1e3"),
        ("aws_region", "us-gov-west-1"),
        ("aws_region", "cn-north-1"),
        ("aws_region", "everywhere"),
        ("aws_region", "sa-east-9"),
        ("aws_region", "SA-EAST-1"),
        ("aws_accounts", "dev=12561140845"),
        ("aws_accounts", "125611408459"),
        ("aws_accounts", " , "),
        ("aws_accounts", "dev=125611408459,dev=283165662494"),
        ("base_url", "http://gateway.example.com"),
        ("base_url", "https://user:secret@gateway.example.com"),
        ("base_url", "file:///etc/passwd"),
        ("base_url", "https://[::1"),
        ("target_repository", "orders"),
        ("target_repository", "DrivvenConsulting/.."),
        ("base_branch", "a..b"),
        ("base_branch", "-f"),
        ("base_branch", "refs/heads/main"),
        ("base_branch", "ops-agent/issue-12"),
        ("branch_prefix", "bad prefix/"),
        ("title_prefix", "[o\u200bps]"),
        ("title_prefix", "[ops]\nx"),
        ("effort", "extreme"),
        ("model", "two words"),
        ("terraform_binary", "./terraform"),
        ("environments", "../dev"),
        ("allowed_providers", "*"),
        ("allowed_modules", "*"),
        ("allowed_buckets", "team-*"),
        ("allowed_uses", "actions/cache@v4"),
        ("allowed_uses", "./.github/actions/x"),
        ("allowed_secrets", "secrets.TOKEN"),
        ("allowed_permissions", "write-all"),
        ("allowed_runners", "*"),
        ("allowed_runners", "${{ inputs.runner }}"),
        ("required_tags", "aws:createdBy"),
        ("required_tags", "a tag of `mine`"),
        ("tag_values", "environment"),
        ("tag_values", "environment=a|"),
        ("status_in_progress", "ready"),
        ("github_token", "two words"),
        ("use_bedrock", "true"),
        ("vertex_project", "my-project"),
        ("vertex_region", "US"),
        ("vertex_identity_provider", "github"),
        ("anthropic_organization_id", "org-1"),
        ("anthropic_federation_rule_id", "rule-1"),
    ],
)
def test_what_cannot_be_used_is_a_problem_with_what_to_do(name: str, value: str) -> None:
    found = problems(**{name: value})
    assert len(found) == 1
    assert found[0].startswith("input `") and "; " in found[0]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"aws_role_arn": "arn:aws:iam::999999999999:role/x"}, "not one of the configured accounts"),
        ({"aws_role_arn": PROD_ROLE}, "not in its own (125611408459)"),
        ({"aws_role_arn": "arn:aws-cn:iam::125611408459:role/x"}, "partition `aws`"),
        ({"aws_role_arn": "arn:aws:iam::125611408459:user/x"}, "not a role ARN"),
        ({"aws_role_arns": f"prod={DEV_ROLE}"}, "not in its own (283165662494)"),
        ({"aws_role_arns": f"qa={DEV_ROLE}"}, "environment `qa` has no account"),
        ({"aws_role_arn": DEV_ROLE, "aws_role_arns": f"dev={DEV_ROLE}2"}, "keep one of them"),
        ({"aws_role_arn": DEV_ROLE, "bedrock_role_arn": DEV_ROLE}, "a role for plans as well"),
        ({"bedrock_role_arn": "arn:aws:iam::999999999999:role/x"}, "not one of the configured accounts"),
    ],
)
def test_a_role_outside_its_account_stops_before_any_request(inputs: dict[str, str], words: str) -> None:
    found = problems(**inputs)
    assert len(found) == 1 and words in found[0]


def test_tags_are_required_as_the_inputs_say_and_none_means_that_there_is_no_rule() -> None:
    usual, other = Settings.from_inputs({}).policy, "Team, Cost Center"
    assert usual.required_tags[0] == "environment" and usual.tag_values == Policy().tag_values
    given = {"INPUT_REQUIRED_TAGS": other, "INPUT_TAG_VALUES": "Team=orders | billing, Stage=live"}
    policy = Settings.from_inputs(given).policy
    assert policy.required_tags == ("Team", "Cost Center")
    assert policy.tag_values == {"Team": ("orders", "billing"), "Stage": ("live",)}
    bare = Settings.from_inputs({"INPUT_REQUIRED_TAGS": "none", "INPUT_TAG_VALUES": "none"}).policy
    assert bare.required_tags == () and bare.tag_values == {}


def test_a_region_that_aws_does_not_have_is_refused_with_the_nearest_one() -> None:
    """docs/decisions/0006: the input may name another region, but none that does not exist."""
    (said,) = problems(aws_region="sa-east-9")
    assert said == "input `aws_region`: 'sa-east-9' is not a region of the AWS partition `aws`; did you mean sa-east-1?"
    assert read().policy.region == "sa-east-1" and read(aws_region="eu-central-1").policy.region == "eu-central-1"


def test_the_list_of_regions_is_that_of_awss_own_description() -> None:
    botocore = pytest.importorskip("botocore.session")
    assert set(REGIONS) == set(botocore.Session().get_available_regions("ec2"))


@pytest.mark.parametrize(
    "name",
    ["bad..name", "a b", "a~1", "-x", "/x", "x/", "x.lock", "x.lock/y", "@", "HEAD", "refs/heads/x", "a@{1}", "", "x."],
)
def test_a_name_that_git_refuses_is_no_branch_name(name: str) -> None:
    assert not is_branch_name(name)


@given(st.text(alphabet="ab/.@{~^: \\-[]*?l", max_size=12))
def test_what_we_call_a_branch_name_git_does_too(name: str) -> None:
    if is_branch_name(name):
        assert subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"]).returncode == 0


@pytest.mark.parametrize("name", ["github_token", "anthropic_api_key"])
@pytest.mark.parametrize("value", ["x", "abc", "*****"])
def test_a_secret_too_short_to_mask_is_refused(name: str, value: str) -> None:
    (said,) = problems(**{name: value})
    assert (
        said.startswith(f"input `{name}`: a secret of {len(value)} character")
        and "check how the secret was stored" in said
    )
    assert value not in said.removeprefix(f"input `{name}`: a")


def test_all_problems_come_at_once() -> None:
    found = problems(max_turns="x", draft="x", aws_region="x", modle="x", title_prefix="\x07", needs=("github", "llm"))
    assert len(found) == 7


def test_an_unknown_input_gets_the_nearest_name() -> None:
    assert problems(**{"max-turn": "3"}) == ("input `max-turn`: there is no such input; did you mean `max_turns`?",)


def test_one_way_to_reach_the_llm_is_enough_and_two_are_a_problem() -> None:
    assert problems(needs=("llm",)) and read(anthropic_api_key="sk-ant-1")
    assert problems(anthropic_api_key="sk-ant-1", use_bedrock="true", bedrock_role_arn=DEV_ROLE, model="x")[
        0
    ].startswith("input `anthropic_api_key`")


BEDROCK = {"use_bedrock": "true", "bedrock_role_arn": "arn:aws:iam::125611408459:role/llm"}


def test_bedrock_is_asked_in_the_region_of_everything_else_or_in_one_of_its_own() -> None:
    model = "global.anthropic.claude-opus-5-5-v1:0"
    assert read(**BEDROCK, model=model, aws_region="eu-west-1").bedrock_region == "eu-west-1"
    settings = read(**BEDROCK, model=model, bedrock_region="us-east-1")
    assert (settings.bedrock_region, settings.policy.region) == ("us-east-1", "sa-east-1")
    assert read(**BEDROCK, base_url="https://gateway.example").llm.model == "claude-opus-5-5", (
        "a gateway has its own ids"
    )


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "`claude-opus-5-5` is an id of Anthropic's API"),
        ({"model": "claude-sonnet-5-5"}, "aws bedrock list-inference-profiles --region sa-east-1"),
        ({"model": "arn:aws:bedrock:us-east-1:999999999999:inference-profile/us.anthropic.x"}, "`bedrock_region`"),
        ({"model": "us.anthropic.x", "bedrock_region": "us-east-11"}, "did you mean us-east-1?"),
    ],
)
def test_what_bedrock_would_refuse_is_said_before_any_request(inputs: dict[str, str], words: str) -> None:
    (said,) = problems(**BEDROCK, **inputs)
    assert words in said


@given(st.text(alphabet=string.ascii_letters + " \t\né\x1b", min_size=1, max_size=40))
def test_no_secret_gets_into_a_message_or_a_repr(tail: str) -> None:
    secret = "ghs_Se" + tail
    environment = {"INPUT_GITHUB_TOKEN": secret, "INPUT_ANTHROPIC_API_KEY": secret, "INPUT_DRAFT": "x"}
    with pytest.raises(ConfigError) as caught:
        Settings.from_inputs(environment)
    assert "ghs_Se" not in str(caught.value) + "".join(caught.value.problems)
    assert "ghs_Se" not in repr(read(github_token="ghs_Secret", anthropic_api_key="ghs_Secret2"))


@given(
    st.dictionaries(
        st.sampled_from(["max_turns", "aws_accounts", "aws_role_arns", "base_url", "base_branch", "label_trigger"]),
        st.text(),
    )
)
def test_any_text_in_an_input_gives_settings_or_problems(inputs: dict[str, str]) -> None:
    try:
        read(**inputs)
    except ConfigError as error:
        assert error.problems


def test_actions_are_added_to_the_built_in_list_and_secrets_and_permissions_to_none() -> None:
    given = {
        "INPUT_ALLOWED_USES": "actions/cache, actions/checkout",
        "INPUT_ALLOWED_SECRETS": "DEPLOY_KEY",
        "INPUT_ALLOWED_PERMISSIONS": "packages,pull-requests",
    }
    policy = Settings.from_inputs(given).policy
    assert policy.allowed_uses == (*Policy().allowed_uses, "actions/cache")
    assert policy.allowed_secrets == ("DEPLOY_KEY",) and policy.allowed_permissions == ("packages", "pull-requests")
