"""What the tool `check` runs and reports, and what stays away from the llm; source rules come before init."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.agent_doubles import SMALL, call, content_of, reply, wrote
from agent.converse_doubles import DONE, WRITE, Engine, Here, check
from golden import assert_golden
from ops_agent.model.conversation import PeopleTurn
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.plan import OfflinePlan, ResourceAction, ResourceChange
from ops_agent.model.policy import AWS_PROVIDERS, Policy
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.model.work_item import ALLOW_DESTROY
from ops_agent.run.target import BasePlans
from plan.plan_samples import change, plan_document

GOLDEN = Path(__file__).parent / "golden"


OPEN, VALID = ["open", "open", "init", "init"], ["open", "init", "validate"]
BASE = ["base open", "base init", "base open", "base init", "base side of dev, prod", "base close", "base close"]
FIRST = [*OPEN, *BASE, "plan of dev, prod", *VALID]
AGAIN = ["refresh", "refresh", "plan of dev, prod", "refresh", "validate"]
"""What runs over a root in a first check, and in one after an edit of it."""


def results_of(here: Here, tool: str) -> list[Any]:
    """What the llm was answered by `tool`, in order; the last conversation has all of it."""
    turns = [t for t in here.llm.heard[-1] if isinstance(t, PeopleTurn)]
    found = [content_of(result) for turn in turns for result in turn.tool_results]
    return [one["result"] for one in found if one["tool"] == tool]


def offline(*changes: dict[str, Any], untold: tuple[ResourceChange, ...] = ()) -> OfflinePlan:
    return OfflinePlan(document=json.dumps(plan_document(*changes)).encode(), untold=untold)


def created(address: str, **values: object) -> OfflinePlan:
    return offline(change(address, "create", after=values))


def commands(here: Here) -> list[str]:
    return [ran for ran in here.engine.ran if ran not in ("self_test", "format", "fmt")]


def test_check_runs_format_and_validation_after_the_rules(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, reply(call("check")), DONE)
    result = check(here)
    assert result["passed"] is True, result
    assert here.engine.ran == ["self_test", "format", "self_test", *FIRST, "fmt"]
    assert [c["check"] for c in result["checks"]] == ["fmt", "init", "validate", "offline plan"]


MODULE = 'module "queue" {\n  source = "./queue"\n}\n'


def test_a_second_check_initialises_again_only_when_something_that_init_reads_has_changed(tmp_path: Path) -> None:
    argument = reply(wrote(path="infra/queue.tf", content='variable "b" {\n  type = string\n}\n'))
    module = reply(wrote(path="infra/queue/main.tf", content="locals {\n  a = 1\n}\n"))
    called = reply(wrote(path="infra/called.tf", content=MODULE))
    asks = [reply(call("check")) for _ in range(3)]
    here = Here(tmp_path, WRITE, asks[0], argument, asks[1], module, called, asks[2], DONE)
    here.go_on()
    anew = ["close", "close", *OPEN, "plan of dev, prod", "close", *VALID]
    assert commands(here) == [*FIRST, *AGAIN, *anew], "the base is planned once"
    here.conversation.close()
    assert here.engine.ran[-1] == "close"


def test_a_cell_whose_init_failed_is_not_kept(tmp_path: Path) -> None:
    def on_head(here: Here) -> list[str]:
        return [ran for ran in commands(here) if not ran.startswith("base ")]

    here = Here(
        tmp_path,
        WRITE,
        reply(call("check")),
        reply(call("check")),
        DONE,
        engine=Engine(CheckStatus.FAILED, failing="init"),
    )
    here.go_on()
    tried = [*OPEN, "close", "close", "open", "init", "close"]
    assert on_head(here) == tried, "and the result is"
    failing = Engine(CheckStatus.FAILED, failing="init")
    again = Here(tmp_path, WRITE, reply(call("check")), MORE, reply(call("check")), DONE, engine=failing)
    again.go_on()
    assert on_head(again) == tried * 2
    assert "base init" in commands(again), "the base may fail too"


def test_check_installs_from_the_providers_of_the_narrowed_policy(tmp_path: Path) -> None:
    """The same list as in verification."""
    here = Here(tmp_path, WRITE, reply(call("check")), DONE, policy=Policy(allowed_providers=()))
    here.go_on()
    assert {frozenset(providers) for providers in here.engine.providers} == {frozenset(AWS_PROVIDERS)}


def test_check_executes_nothing_while_a_rule_blocks(tmp_path: Path) -> None:
    """Source rules run before init: init and validate execute what the llm wrote."""
    hostile = reply(wrote(path="infra/x.tf", content='output "x" {\n  value = file("/proc/self/environ")\n}\n'))
    here = Here(tmp_path, hostile, reply(call("check")), DONE)
    result = check(here)
    assert result["passed"] is False and result["findings"]
    assert here.engine.ran == ["self_test", "format"], "formatting parses, and runs nothing"


def test_a_workflow_that_blocks_does_not_keep_terraform_from_being_checked(tmp_path: Path) -> None:
    workflow = "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ls\n"
    write = reply(wrote(path=".github/workflows/ci.yml", content=workflow))
    here = Here(tmp_path, WRITE, write, reply(call("check")), DONE)
    here.go_on()
    [result] = results_of(here, "check")
    assert result["passed"] is False
    assert {one["where"].partition(":")[0] for one in result["findings"] if one["blocks"]} == {
        ".github/workflows/ci.yml"
    }
    assert commands(here) == FIRST


def test_check_says_when_a_check_fails_or_cannot_run(tmp_path: Path) -> None:
    failing = check(Here(tmp_path, WRITE, reply(call("check")), DONE, engine=Engine(CheckStatus.FAILED)))
    assert failing["passed"] is False
    missing = check(Here(tmp_path, WRITE, reply(call("check")), DONE, engine=Engine(broken=True)))
    assert missing["checks"][-1] == {
        "check": "validate",
        "subject": "infra",
        "status": "not run",
        "output": "terraform was not found",
    }


def test_a_secret_of_the_job_in_a_file_does_not_reach_the_llm(tmp_path: Path) -> None:
    files = {**SMALL, "infra/leak.tf": b'token = "s3cr3t"\n'}
    here = Here(tmp_path, reply(call("read", paths=["infra/leak.tf"])), DONE, files=files)
    here.go_on()
    text = here.llm.heard[1][-1].tool_results[0].text  # type: ignore[union-attr]
    assert "s3cr3t" not in text and "***" in text


def test_check_before_any_edit_says_so(tmp_path: Path) -> None:
    here = Here(tmp_path, reply(call("list")), reply(call("check")), DONE)
    here.go_on()
    results = here.llm.heard[-1][-1].tool_results  # type: ignore[union-attr]
    assert content_of(results[0])["result"] == {"passed": False, "note": "nothing is changed yet"}


def test_the_policy_of_the_run_narrows_what_may_be_written(tmp_path: Path) -> None:
    write = reply(wrote(path=".github/workflows/x.yml", content="on: push\n"))
    here = Here(tmp_path, write, DONE, policy=Policy(allow_workflow_files=False))
    stopped = here.go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.BLOCKED_BY_POLICY
    assert "refused" in here.llm.heard[1][-1].tool_results[0].text  # type: ignore[union-attr]


MORE = reply(wrote(path="infra/more.tf", content='variable "more" {\n  type = string\n}\n'))
PAGES = (
    reply(wrote(path="infra/README.md", content="# orders\n")),
    reply(wrote(path=".github/workflows/ci.yml", content="on: pull_request\n")),
)


def test_a_check_after_an_edit_of_a_page_or_a_workflow_starts_nothing_of_terraform_and_answers_the_same(
    tmp_path: Path,
) -> None:
    here = Here(tmp_path, WRITE, reply(call("check")), *PAGES, reply(call("check")), MORE, reply(call("check")), DONE)
    here.engine.plans = dict.fromkeys(("dev", "prod"), created("aws_sqs_queue.billing", name="billing"))
    here.go_on()
    first, second, third = results_of(here, "check")
    assert first["plans"] == second["plans"] == third["plans"] and first["plans"]
    assert first["checks"] == second["checks"] and len(second["changed"]) == 3
    assert commands(here) == [*FIRST, *AGAIN]
    assert here.engine.ran.count("fmt") == here.engine.ran.count("format") == 2, (
        "an edit formats, and `check` not again"
    )


def test_an_edit_gives_the_pitfalls_of_the_types_that_the_change_touches_once(tmp_path: Path) -> None:
    queue, bucket = (f'resource "{one}" "x" {{\n  name = "x"\n}}\n' for one in ("aws_sqs_queue", "aws_s3_bucket"))
    early, again, late = wrote(path="infra/queue.tf", content=queue), MORE, wrote(path="infra/b.tf", content=bucket)
    here = Here(tmp_path, reply(early), reply(call("check")), again, reply(late), DONE)
    here.go_on()
    first, second, third = results_of(here, "edit")
    assert any("visibility_timeout_seconds" in line for line in first["pitfalls"])
    assert "pitfalls" not in second and "pitfalls" not in results_of(here, "check")[0]
    assert not any("visibility" in line for line in third["pitfalls"]) and third["pitfalls"]


def test_a_base_that_cannot_be_planned_offline_is_tried_once_and_said(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, reply(call("check")), MORE, reply(call("check")), DONE)
    here.engine.cannot = "its `provisioner` would run"
    here.go_on()
    first, second = results_of(here, "check")
    assert first["passed"] is True and "plans" not in first
    assert first["checks"][-1] == {
        "check": "offline plan",
        "subject": "infra (dev), infra (prod)",
        "status": "not run",
        "output": "No offline plan: on the base branch its `provisioner` would run",
    }
    assert second["checks"][-1] == first["checks"][-1]
    assert commands(here).count("base side of dev, prod") == 1


def renamed(environment: str) -> OfflinePlan:
    """A table that is renamed; passwords in clear text, also inside of a document; a policy that only the account
    knows.
    """
    before = {"name": f"orders-{environment}", "billing_mode": "PAY_PER_REQUEST"}
    after = {**before, "name": f"orders-{environment}-v2"}
    table = change(
        "aws_dynamodb_table.orders",
        *("delete", "create"),
        before={**before, "arn": "arn:aws:dynamodb:sa-east-1:125611408459:table/x"},
        after=after,
        change={"replace_paths": [["name"]], "after_unknown": {"arn": True}},
    )
    secret = {"identifier": "orders", "password": "xK9!mQ2z_Vb7Lp4w", "username": "admin", "tags": None, "port": 5432}
    database = change(
        "aws_db_instance.orders",
        "create",
        after=secret,
        change={"after_sensitive": {"username": True}, "after_unknown": {"id": True}},
    )
    containers = [{"name": "api", "environment": [{"name": "DB_PASSWORD", "value": "Zt7#pQ9w_Lm2Xc5v"}]}]
    task = change(
        "aws_ecs_task_definition.api",
        "create",
        after={"family": "api", "container_definitions": json.dumps(containers)},
    )
    documented = change("aws_sqs_queue.text", "create", after={"name": "q", "policy": "x" * 2_000})
    untold = ResourceChange(
        address="aws_sqs_queue.orders",
        type="aws_sqs_queue",
        action=ResourceAction.CANNOT_TELL,
        changed_attributes=("policy",),
        why="its `policy` is decided by a data source",
    )
    only = [change("aws_sns_topic.alarms", "create", after={"name": "alarms"})] if environment == "prod" else []
    return offline(table, database, task, documented, *only, untold=(untold,))


def test_check_shows_every_environment_once_and_a_forbidden_danger_fails_it(tmp_path: Path) -> None:
    """The golden file is what the llm reads; of secrets it reads that they are there."""
    here = Here(tmp_path, WRITE, reply(call("check")), DONE)
    here.engine.plans = {name: renamed(name) for name in ("dev", "prod")}
    result = check(here)
    assert result["passed"] is False
    assert_golden(GOLDEN / "check.json", json.dumps(result, indent=1) + "\n")
    assert "xK9!mQ2z" not in str(result) and "Zt7#pQ9w" not in str(result) and '"admin"' not in str(result)


def test_a_label_of_a_writer_lifts_the_danger_and_a_decision_is_advice(tmp_path: Path) -> None:
    table = {"name": "orders", "billing_mode": "PAY_PER_REQUEST"}
    gone = offline(change("aws_dynamodb_table.orders", "delete", before=table))
    listener = {"protocol": "HTTP", "port": 80}
    for plan, labels, passed in (
        (gone, (), False),
        (gone, (ALLOW_DESTROY,), True),
        (offline(change("aws_lb_listener.web", "create", after=listener)), (), True),
    ):
        here = Here(tmp_path, WRITE, reply(call("check")), DONE, labels=labels)
        here.engine.plans = dict.fromkeys(("dev", "prod"), plan)
        result = check(here)
        [danger] = result["plans"][0]["dangers"]
        assert (result["passed"], danger["blocks"]) == (passed, not passed)
        assert danger.get("lifted_by") == (ALLOW_DESTROY if plan is gone else None)
        assert danger["severity"] == ("blocks" if plan is gone else "decision")


def known_base(tmp_path: Path, *names: str, stopped: Stopped | None = None) -> Any:
    """A base that fails `names`, each time with the same words."""
    plans = BasePlans()
    for name in names:
        plans.failures.note(CheckResult(name=name, subject="infra", status=CheckStatus.FAILED), tmp_path)
    return SimpleNamespace(before_call=lambda: stopped, plans=plans)


def test_what_the_base_fails_is_said_once_and_does_not_fail_the_check(tmp_path: Path) -> None:
    base = known_base(tmp_path, "validate")
    here = Here(tmp_path, WRITE, reply(call("check")), DONE, engine=Engine(CheckStatus.FAILED), base_first=base)
    result = check(here)
    assert result["passed"] is True
    assert [c["status"] for c in result["checks"] if c["check"] == "validate"] == ["already failing on the base"]
    told = [t.text for t in here.llm.heard[-1] if isinstance(t, PeopleTurn) and "fail on the base branch" in t.text]
    assert len(told) == 1 and '"check": "validate"' in told[0]


def test_many_failures_of_the_base_are_told_by_name(tmp_path: Path) -> None:
    base = known_base(tmp_path, *(f"validate{n}" for n in range(60)))
    here = Here(tmp_path, WRITE, reply(call("check")), DONE, base_first=base)
    check(here)
    (told,) = [t.text for t in here.llm.heard[-1] if isinstance(t, PeopleTurn) and "fail on the base branch" in t.text]
    assert told.count('"status"') == 8
    assert '"validate8 of infra"' in told and '"not_listed": 12' in told


def test_another_failure_than_the_base_s_fails_the_check(tmp_path: Path) -> None:
    base = known_base(tmp_path, "init")
    here = Here(tmp_path, WRITE, reply(call("check")), DONE, engine=Engine(CheckStatus.FAILED), base_first=base)
    assert check(here)["passed"] is False


def test_no_call_is_paid_for_when_no_change_could_be_planned(tmp_path: Path) -> None:
    stopped = Stopped(Conclusion.TOOLCHAIN_FAILED, "no init", "allow the provider")
    here = Here(tmp_path, WRITE, DONE, base_first=known_base(tmp_path, stopped=stopped))
    assert here.go_on() is stopped and here.llm.heard == []
