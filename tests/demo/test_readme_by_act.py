"""The README's minimal workflow and its additions, from its own text, run by nektos/act against the embedded platform.

Two things are ours: the address of the language model (the README's addition for a gateway), and stand-ins for other
people's actions, which a machine without a network cannot load.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

from fake_github.objects import PullRequest
from fake_github.platform import EmbeddedGitHub
from github_descriptions import Checker
from ops_agent.adapters.llm.client import FEDERATION_AUDIENCE
from ops_agent_demo import cloud
from ops_agent_demo.act_run import WORKFLOW, run_with_act, why_not
from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.job import Job, JobEnd
from ops_agent_demo.llm.script import Answer, of_answers
from ops_agent_demo.llm.server import LlmServer
from ops_agent_demo.platform_setup import PERSON, TECH_LEAD, Stage, set_up
from ops_agent_demo.story import REPOSITORY, load_story
from ops_agent_demo.terraform import wheel_zips
from readme import ACTION, ROOT, with_additions

pytestmark = [
    pytest.mark.act,
    pytest.mark.terraform,
    pytest.mark.timeout(600),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.skipif(not wheel_zips(), reason="the AWS provider's wheel is not installed (extra demo)"),
]
ITEM = "billing-queue"
TOPIC = """resource "aws_sns_topic" "refunds" {
  name              = "${local.name_prefix}-refunds"
  kms_master_key_id = "alias/aws/sns"

  tags = local.tags
}
"""
FINISH = {
    "title": "Topic for refunds",
    "description": "A topic on which refunds are announced.",
    "infrastructure": "`infra/refunds.tf`: one topic.",
    "ci_cd": "None.",
    "observability": "Nothing publishes yet, so nothing is watched.",
    "criteria": [],
    "validation": "After the apply: `aws sns list-topics` names it.",
}
SHORT = of_answers(
    Answer(calls=(("edit", {"edits": [{"path": "infra/refunds.tf", "new": TOPIC}]}),)),
    *[Answer(calls=(("finish", FINISH),))] * 3,
)
STAND_INS = {
    "actions/create-github-app-token": 'echo "token=$APP_TOKEN" >> "$GITHUB_OUTPUT"',
    "hashicorp/setup-terraform": "true",
    "actions/upload-artifact": "true",
}


@pytest.fixture(scope="module")
def mirror() -> Iterator[Path]:
    """Readable by the user that Terraform runs as, which the folders of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="ops-agent-readme-") as folder:
        Path(folder).chmod(0o755)
        yield cloud.provider_mirror(Path(folder) / "providers")


class Consumer:
    """A repository whose workflow is the README's, with `additions`."""

    def __init__(self, stack: ExitStack, folder: Path, mirror: Path, *additions: str, item: str = "") -> None:
        """`item`: the folder of the story's work item that is played; without it, a change of one resource."""
        self.folder, self.stack, self.exchanges = folder, stack, list[Any]()
        self.github = stack.enter_context(EmbeddedGitHub())
        story = load_story()
        played = next((one.script for one in story.children if one.folder == item), None) or SHORT
        self.llm = stack.enter_context(LlmServer([played], exchange=self._exchange))
        self.stage: Stage = set_up(self.github, story)
        text = "## Description\n\nA topic on which refunds are announced.\n"
        self.refunds = self.stage.repository.add_issue("[ops] Topic for refunds", text, author=TECH_LEAD)
        self.workflow = with_additions(*additions, "A gateway")
        self.repository_variables = {"LLM_BASE_URL": self.llm.url, "OPS_AGENT_CLIENT_ID": "Iv1.app"}
        self.harness: dict[str, Any] = {"engine": "embedded", "provider_mirror": str(mirror)}
        self.variables: dict[str, str] = {}
        self.actions: dict[str, Path] = {}

    def label(self, item: str = "") -> dict[str, Any]:
        """A person labels the issue of the story's `item`, or of the change of one resource; returns the event."""
        issue = self.stage.issues[item] if item else self.refunds
        return self.github.label(issue, "ready", by=PERSON)

    @property
    def pulls(self) -> list[PullRequest]:
        return self.stage.repository.pull_requests

    def with_cloud(self, mirror: Path) -> EmbeddedAws:
        """The team's accounts: their roles trust this job alone, and the service is deployed to dev."""
        aws = self.stack.enter_context(cloud.open_cloud())
        cloud.deploy_service(aws, mirror, self.folder)
        self.use(aws, mirror)
        return aws

    def use(self, aws: EmbeddedAws, mirror: Path) -> None:
        self.llm.keys_of = aws.invoking
        self.harness = json.loads(cloud.harness_file(aws, mirror, self.folder / "of-the-cloud.json").read_text())
        job = next(iter(self.workflow["jobs"].values()))
        environment = job.get("environment") or job["with"]["environment"]
        self.variables = aws.runner_variables(f"repo:{REPOSITORY}:environment:{environment}")

    def _exchange(self, body: Any) -> tuple[int, dict[str, Any]]:
        self.exchanges.append(body)
        return 200, {"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 600}

    def run(self, event_name: str, event: dict[str, Any]) -> JobEnd:
        repository = self.stage.repository
        permissions = next(iter(self.workflow["jobs"].values()))["permissions"].items()
        granted = {k.replace("-", "_"): v for k, v in permissions if v != "none" and k != "id-token"}
        harness = self.folder / "harness.json"
        harness.write_text(json.dumps(self.harness))
        repository.add_run(4242)
        job = Job(
            event_name=event_name,
            event=event,
            actor=PERSON,
            files=repository.files() | {WORKFLOW: yaml.safe_dump(self.workflow).encode()},
            variables={
                "GITHUB_API_URL": self.github.base_url,
                "GITHUB_GRAPHQL_URL": f"{self.github.base_url}/graphql",
                "GITHUB_SERVER_URL": self.github.base_url,
                "GITHUB_RUN_ID": "4242",
                "GITHUB_RUN_ATTEMPT": "1",
                "GITHUB_TRIGGERING_ACTOR": PERSON,
                "OPS_AGENT_PYTHON": sys.executable,
                "OPS_AGENT_HARNESS": str(harness),
                "APP_TOKEN": self.stage.token,
                **self.variables,
            },
            secrets={
                "GITHUB_TOKEN": self.github.actions_token(repository, **granted),
                "ANTHROPIC_API_KEY": "a-key-of-the-test",
                "OPS_AGENT_PRIVATE_KEY": "a-key-of-the-app",
            },
            repository_variables=self.repository_variables,
        )
        end = run_with_act(job, self.folder, lambda line: None, self.actions or self.stand_ins(self.workflow))
        Checker().assert_all_valid(self.github.recorder)
        return end

    def stand_ins(self, workflow: dict[str, Any]) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for step in (step for job in workflow["jobs"].values() for step in job.get("steps", [])):
            name = step.get("uses", "").partition("@")[0]
            if name in STAND_INS and step["uses"] not in found:
                place = found[step["uses"]] = self.folder / name.replace("/", "-")
                place.mkdir()
                lines = [{"shell": "bash", "id": "it", "run": STAND_INS[name]}]
                outputs = {"token": {"value": "${{ steps.it.outputs.token }}"}}
                action = {"name": name, "outputs": outputs, "runs": {"using": "composite", "steps": lines}}
                (place / "action.yml").write_text(yaml.safe_dump(action))
        return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def targets(end: JobEnd) -> dict[str, dict[str, Any]]:
    return {one["environment"]: one for one in json.loads(end.outputs["plan_summary"])}


def log_of(end: JobEnd) -> str:
    return "\n".join(end.log)[-6000:]


def test_the_minimal_workflow_opens_a_pull_request_with_the_jobs_own_token_and_one_secret(
    stack: ExitStack, tmp_path: Path, mirror: Path
) -> None:
    """No role, no App, no board, no Terraform on the runner; what is left out is said."""
    consumer = Consumer(stack, tmp_path, mirror)
    end = consumer.run("issues", consumer.label())
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "published"), log_of(end)
    (pull,) = consumer.pulls
    assert f"Closes #{consumer.refunds.number}" in pull.body and pull.author.login == "github-actions[bot]"
    assert all(one["planned"] and one["offline"] for one in targets(end).values()), end.outputs["plan_summary"]
    assert int(end.outputs["to_add"]) > 0 and end.outputs["to_destroy"] == "0"
    assert re.search(r"without (the|an) account", pull.body)
    said = [line.text for line in end.annotations if line.kind in ("warning", "error")]
    assert not any("board" in text or "column" in text for text in said), said


@pytest.mark.proof
def test_a_plan_role_plans_every_environment_in_its_own_account(stack: ExitStack, tmp_path: Path, mirror: Path) -> None:
    consumer = Consumer(stack, tmp_path, mirror, "A plan role", item=ITEM)
    aws = consumer.with_cloud(mirror)
    end = consumer.run("issues", consumer.label(ITEM))
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "published"), log_of(end)
    planned = targets(end)
    assert {name: one["offline"] for name, one in planned.items()} == {"dev": False, "prod": False}
    assert planned["dev"]["add"] == 5 and int(end.outputs["to_add"]) == sum(one["add"] for one in planned.values())
    assumed = {call.form["RoleArn"] for call in aws.calls if call.operation == "AssumeRoleWithWebIdentity"}
    assert {f"arn:aws:iam::{account}:role/ops-agent-plan" for account in aws.accounts.values()} <= assumed


@pytest.mark.proof
def test_an_app_commits_workflow_files_and_moves_the_card_of_a_run_started_by_hand(
    stack: ExitStack, tmp_path: Path, mirror: Path
) -> None:
    additions = ("A GitHub App", "A board", "Start by hand, and doctor", "A version of Terraform", "The patch")
    consumer = Consumer(stack, tmp_path, mirror, *additions, item="plan-in-ci")
    issue = consumer.stage.issues["plan-in-ci"]
    inputs = {"issue_number": str(issue.number), "command": "run"}
    event = consumer.github.dispatch(consumer.stage.repository, by=PERSON, inputs=inputs)
    end = consumer.run("workflow_dispatch", event)
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "published"), log_of(end)
    (pull,) = consumer.pulls
    assert pull.author.login == "ops-agent[bot]"
    assert [one.path for one in pull.files] == [".github/workflows/terraform.yml"]
    assert consumer.stage.board.column(issue) == "In Progress"


@pytest.mark.proof
def test_the_jobs_own_token_offers_workflow_files_as_a_patch(stack: ExitStack, tmp_path: Path, mirror: Path) -> None:
    consumer = Consumer(stack, tmp_path, mirror, "The patch", item="plan-in-ci")
    end = consumer.run("issues", consumer.label("plan-in-ci"))
    assert ".github/workflows/terraform.yml" in "".join(pull.body for pull in consumer.pulls) + end.summary, log_of(end)
    assert not any(one.path.startswith(".github/") for pull in consumer.pulls for one in pull.files)


@pytest.mark.proof
def test_doctor_finds_nothing_to_fix_in_the_minimal_set_up(stack: ExitStack, tmp_path: Path, mirror: Path) -> None:
    consumer = Consumer(stack, tmp_path, mirror, "Start by hand, and doctor")
    event = consumer.github.dispatch(consumer.stage.repository, by=PERSON, inputs={"command": "doctor"})
    end = consumer.run("workflow_dispatch", event)
    assert end.exit_code == 0 and not consumer.llm.requests, log_of(end)


@pytest.mark.proof
@pytest.mark.parametrize("way", ["No stored key", "Bedrock", "bedrock.yml"])
def test_the_model_is_reached_without_a_stored_key(stack: ExitStack, tmp_path: Path, mirror: Path, way: str) -> None:
    """By the README's additions, and by the example."""
    consumer = Consumer(stack, tmp_path, mirror, *([] if way.endswith(".yml") else [way]))
    if way.endswith(".yml"):
        consumer.workflow = example(way)
        consumer.workflow["jobs"]["run"]["steps"][0]["with"]["base_url"] = "${{ vars.LLM_BASE_URL }}"
    given = {"FEDERATION_RULE_ID": "fdrl_1", "ORGANIZATION_ID": "org_1", "SERVICE_ACCOUNT_ID": "svac_1"}
    consumer.repository_variables |= {f"ANTHROPIC_{name}": value for name, value in given.items()}
    consumer.repository_variables["BEDROCK_MODEL"] = "global.anthropic.claude-opus-5-5-v1:0"
    trust = {"arn:aws:iam::125611408459:role/ops-agent-bedrock": (cloud.PLAN_SUBJECT,)}
    aws = stack.enter_context(EmbeddedAws(accounts={"dev": "125611408459"}, trust=trust))
    consumer.use(aws, mirror)
    end = consumer.run("issues", consumer.label())
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "published"), log_of(end)
    signed = [{k.lower(): v for k, v in headers.items()}["authorization"] for headers in consumer.llm.headers]
    assert signed and "a-key-of-the-test" not in str(consumer.llm.headers)
    assert all(
        one.startswith("Bearer an-access-token" if way == "No stored key" else "AWS4-HMAC-SHA256") for one in signed
    )
    assert bool(consumer.exchanges) == (way == "No stored key") and not consumer.llm.problems
    for sent in consumer.exchanges:
        jwt.decode(
            sent["assertion"], aws.issuer.public_key, ["RS256"], audience=FEDERATION_AUDIENCE, issuer=aws.issuer.name
        )
        named = {name.lower(): sent[name.lower()] for name in given}
        assert list(named.values()) == list(given.values()) and sent["grant_type"].endswith("jwt-bearer")


def example(name: str) -> dict[str, Any]:
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / "examples" / name).read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in workflow.items()}


@pytest.mark.proof
def test_the_example_for_doctor_tries_the_role_the_app_and_the_layout(
    stack: ExitStack, tmp_path: Path, mirror: Path
) -> None:
    consumer = Consumer(stack, tmp_path, mirror)
    consumer.workflow = example("doctor.yml")
    consumer.workflow["jobs"]["doctor"]["steps"][-1]["with"]["base_url"] = "${{ vars.LLM_BASE_URL }}"
    aws = consumer.with_cloud(mirror)
    end = consumer.run("workflow_dispatch", consumer.github.dispatch(consumer.stage.repository, by=PERSON, inputs={}))
    assert end.exit_code == 0 and not consumer.llm.requests, log_of(end)
    assert "AssumeRoleWithWebIdentity" in {call.operation for call in aws.calls}
    said = end.summary.replace("\\", "")
    assert "## ops-agent doctor" in said and f"read from GitHub: `main` of {REPOSITORY}" in said, (
        "no checkout is needed"
    )
    assert "account 125611408459, and may read `s3://drivven-terraform-state-dev/orders/terraform.tfstate`" in said


@pytest.mark.proof
def test_the_example_for_verify_plans_a_persons_pull_request_and_comments(
    stack: ExitStack, tmp_path: Path, mirror: Path
) -> None:
    consumer = Consumer(stack, tmp_path, mirror)
    consumer.workflow = example("verify.yml")
    consumer.with_cloud(mirror)
    repository = consumer.stage.repository
    repository.commit("refunds", {"infra/refunds.tf": TOPIC}, "Topic for refunds", by=PERSON)
    maria = consumer.github.account(PERSON)
    number = repository.next_number()
    pull = PullRequest(repository, number, "Refunds", "A topic", maria, head="refunds", base="main", draft=False)
    repository.issues[number] = pull
    end = consumer.run("pull_request_target", consumer.github.pull_request_event(pull, "opened", by=PERSON))
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "verified"), log_of(end)
    assert [comment.author.login for comment in pull.comments] == ["ops-agent[bot]"]
    planned = targets(end)
    assert (planned["dev"]["offline"], planned["prod"]["offline"], end.outputs["to_add"]) == (False, True, "2")
    assert not consumer.llm.requests


@pytest.mark.proof
def test_the_reusable_workflow_chooses_an_item_and_works_on_it(stack: ExitStack, tmp_path: Path, mirror: Path) -> None:
    """act does not know `$/.`, the repository of a reusable workflow: in its copy it is ops-agent by name."""
    consumer = Consumer(stack, tmp_path, mirror, item="plan-in-ci")
    consumer.workflow = example("reusable-workflow.yml")
    job = consumer.workflow["jobs"]["ops-agent"]
    del job["cache-mode"]  # newer than act
    job["with"]["base_url"] = "${{ vars.LLM_BASE_URL }}"
    called = (ROOT / WORKFLOW).read_text(encoding="utf-8").replace("$/.", ACTION)
    consumer.actions = consumer.stand_ins(yaml.safe_load(called))
    ours = consumer.actions[ACTION] = tmp_path / "ours"
    (ours / ".github/workflows").mkdir(parents=True)
    (ours / WORKFLOW).write_text(called)
    for part in ("requirements", "src"):
        (ours / part).symlink_to(ROOT / part)
    shutil.copy2(ROOT / "action.yml", ours)
    consumer.use(stack.enter_context(cloud.open_cloud()), mirror)
    issue = consumer.stage.issues["plan-in-ci"]
    event = consumer.github.dispatch(consumer.stage.repository, by=PERSON, inputs={"issue_number": str(issue.number)})
    end = consumer.run("workflow_dispatch", event)
    assert end.exit_code == 0, log_of(end)
    assert [one.path for pull in consumer.pulls for one in pull.files] == [".github/workflows/terraform.yml"]
    assert "1 work item selected" in end.summary


@pytest.mark.proof
def test_what_waited_starts_by_the_addition_and_its_merge_is_followed_by_the_example(
    stack: ExitStack, tmp_path: Path, mirror: Path
) -> None:
    consumer = Consumer(stack, tmp_path, mirror, "A GitHub App", "What waited")
    consumer.actions = consumer.stand_ins(consumer.workflow)
    blocker = consumer.stage.repository.add_issue("Network for refunds", "text", author=PERSON)
    consumer.refunds.block(blocker)

    def run(name: str, event: dict[str, Any]) -> JobEnd:
        consumer.folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return consumer.run(name, event)

    end = run("issues", consumer.label())
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "declined"), log_of(end)
    end = run("issues", consumer.github.close_event(blocker, by=TECH_LEAD))
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "published"), log_of(end)
    (pull,) = consumer.pulls
    pull.merge(by=PERSON)
    consumer.workflow = example("follow-up.yml")
    asked = len(consumer.llm.requests)
    end = run("pull_request_target", consumer.github.pull_request_event(pull, "closed", by=PERSON))
    assert (end.exit_code, end.outputs.get("conclusion")) == (0, "concluded"), log_of(end)
    assert len(consumer.llm.requests) == asked
    (comment,) = consumer.refunds.comments
    assert "The pull request was merged" in comment.body
