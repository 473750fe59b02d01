"""What code tells the agent of the repository and of the work beside its item."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import issue, work_item
from doubles.tree import MemoryTree
from ops_agent.agent.facts import repository_facts, work_facts
from ops_agent.guard.tree import source_tree
from ops_agent.model.event import IssueRef, PullRequest
from ops_agent.model.policy import Policy

MAIN = b"""terraform {
  backend "s3" {}
}

variable "alarm_topic_arn" {
  type = string
}

resource "aws_sqs_queue" "dead_letters" {
  name = "${local.name_prefix}-dead"
  tags = local.tags
}

resource "aws_sns_topic" "events" {
  name = "${local.name_prefix}-order-events"
  tags = local.tags
}

module "network" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "5.1.0"
}

module "api" {
  source = "./modules/api"
}
"""
DEPLOY = b"""on:
  push:
jobs:
  deploy:
    runs-on: ubuntu-24.04
    steps:
      - name: Smoke test
        run: curl --fail https://orders.example/ping
      - run: make build
"""
FILES = {
    "infra/main.tf": MAIN,
    "infra/environments/dev/terraform.tfvars": b"a = 1\n",
    "infra/environments/prod/terraform.tfvars": b"a = 1\n",
    "infra/backend/dev/backend.hcl": b'key = "x"\n',
    "infra/backend/prod/backend.hcl": b'key = "x"\n',
    ".github/workflows/deploy.yml": DEPLOY,
}


def facts(words: str = "", files: dict[str, bytes] = FILES) -> Any:
    without = {"prod": "no role was given for the environment `prod` (`aws_role_arns`)"}
    return repository_facts(source_tree(MemoryTree(files), Policy()), words, lambda e: without.get(e.name))


def test_what_the_issue_names_and_is_there_already_is_told_with_its_place() -> None:
    words = "Alarms for `order-events` go to `var.alarm_topic_arn`; see the dead letters of billing."
    assert facts(words)["exists_already"] == [
        "var.alarm_topic_arn (infra/main.tf:5)",
        "aws_sns_topic.events (infra/main.tf:14)",
        "aws_sqs_queue.dead_letters (infra/main.tf:9)",
    ]
    assert "exists_already" not in facts("Something else entirely.")


def test_habits_modules_checks_and_where_each_environment_is_planned_are_told() -> None:
    found = facts()
    assert found["names_are_like"] == ["${local.name_prefix}-... (2)"]
    assert found["tags"] == ["tags = local.tags (2)"]
    assert found["modules_from_outside"] == ["terraform-aws-modules/vpc/aws 5.1.0"]
    assert found["checks_after_deployment"] == [".github/workflows/deploy.yml: job deploy, Smoke test"]
    assert found["plans"] == {
        "infra (dev)": "planned with its account",
        "infra (prod)": "planned offline: no role was given for the environment `prod` (`aws_role_arns`)",
    }


def test_an_empty_repository_has_no_facts() -> None:
    assert facts(files={"README.md": b"#"}) == {}


def test_the_order_of_the_parent_and_pull_requests_at_the_same_place_are_told() -> None:
    item = work_item()
    before = replace(issue(), ref=IssueRef(repository="o/r", number=3), title="[ops] \u202eFirst", is_open=False)
    this = replace(issue(), ref=item.issue.ref, title="[ops] This")
    pull = PullRequest(
        number=8,
        node_id="P",
        url="",
        title="Queue",
        body="",
        head_branch="x",
        head_commit="a" * 40,
        base_branch="main",
        is_open=True,
        merged=False,
        draft=False,
    )
    found: Any = work_facts(item, [before, this], [(pull, ["infra/main.tf"]), (replace(pull, number=9), [])])
    assert [row["state"] for row in found["order_of_the_parent"]] == ["closed", "open"]
    assert "\u202e" not in found["order_of_the_parent"][0]["title"] and found["order_of_the_parent"][1]["this"] is True
    assert found["open_pull_requests"] == [{"number": 8, "title": "Queue", "files": ["infra/main.tf"]}]
