"""What the tool `check` runs and reports, and what stays away from the llm; source rules come before init."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.agent_doubles import SMALL, call, content_of, reply
from agent.converse_doubles import DONE, WRITE, Engine, Here, check
from ops_agent.model.conversation import PeopleTurn
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.run.base_failures import BaseFailures


def test_check_runs_format_and_validation_after_the_rules(tmp_path: Path) -> None:
    here = Here(tmp_path, WRITE, reply(call("check")), DONE)
    result = check(here)
    assert result["passed"] is True, result
    assert here.engine.ran == ["self_test", "self_test", "open", "init", "validate", "fmt"]
    assert [c["check"] for c in result["checks"]] == ["fmt", "init", "validate"]


MODULE = 'module "queue" {\n  source = "./queue"\n}\n'


def test_a_second_check_initialises_again_only_when_something_that_init_reads_has_changed(tmp_path: Path) -> None:
    argument = reply(call("write_file", path="infra/queue.tf", content='variable "b" {\n  type = string\n}\n'))
    module = reply(call("write_file", path="infra/queue/main.tf", content="locals {\n  a = 1\n}\n"))
    called = reply(call("write_file", path="infra/called.tf", content=MODULE))
    asks = [reply(call("check")) for _ in range(3)]
    here = Here(tmp_path, WRITE, asks[0], argument, asks[1], module, called, asks[2], DONE)
    here.go_on()
    first, second, third = ["open", "init", "validate"], ["refresh", "validate"], ["close", "open", "init", "validate"]
    assert [ran for ran in here.engine.ran if ran not in ("self_test", "fmt")] == [*first, *second, *third]
    here.conversation.close()
    assert here.engine.ran[-1] == "close"


def test_a_cell_whose_init_failed_is_not_kept(tmp_path: Path) -> None:
    here = Here(
        tmp_path,
        WRITE,
        reply(call("check")),
        reply(call("check")),
        DONE,
        engine=Engine(CheckStatus.FAILED, failing="init"),
    )
    here.go_on()
    assert [ran for ran in here.engine.ran if ran not in ("self_test", "fmt")] == ["open", "init", "close"] * 2


def test_check_installs_from_the_providers_of_the_narrowed_policy(tmp_path: Path) -> None:
    """The same list as in verification."""
    here = Here(tmp_path, WRITE, reply(call("check")), DONE, policy=Policy(allowed_providers=()))
    here.go_on()
    assert here.engine.providers == {()}


def test_check_executes_nothing_while_a_rule_blocks(tmp_path: Path) -> None:
    """Source rules run before init: init and validate execute what the llm wrote."""
    hostile = reply(
        call("write_file", path="infra/x.tf", content='output "x" {\n  value = file("/proc/self/environ")\n}\n')
    )
    here = Here(tmp_path, hostile, reply(call("check")), DONE)
    result = check(here)
    assert result["passed"] is False and result["findings"]
    assert here.engine.ran == ["self_test"], "formatting parses, and runs nothing"


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
    here = Here(tmp_path, reply(call("read_file", path="infra/leak.tf")), DONE, files=files)
    here.go_on()
    text = here.llm.heard[1][-1].tool_results[0].text  # type: ignore[union-attr]
    assert "s3cr3t" not in text and "***" in text


def test_check_before_any_edit_says_so(tmp_path: Path) -> None:
    here = Here(tmp_path, reply(call("list_files")), reply(call("check")), DONE)
    here.go_on()
    results = here.llm.heard[-1][-1].tool_results  # type: ignore[union-attr]
    assert content_of(results[0])["result"] == {"passed": False, "note": "nothing is changed yet"}


def test_the_policy_of_the_run_narrows_what_may_be_written(tmp_path: Path) -> None:
    write = reply(call("write_file", path=".github/workflows/x.yml", content="on: push\n"))
    here = Here(tmp_path, write, DONE, policy=Policy(allow_workflow_files=False))
    stopped = here.go_on()
    assert stopped is not None and stopped.conclusion is Conclusion.NO_CHANGES
    assert "refused" in here.llm.heard[1][-1].tool_results[0].text  # type: ignore[union-attr]


def known_base(tmp_path: Path, *names: str, stopped: Stopped | None = None) -> Any:
    """A base that fails `names`, each time with the same words."""
    failures = BaseFailures()
    for name in names:
        failures.note(CheckResult(name=name, subject="infra", status=CheckStatus.FAILED), tmp_path)
    return SimpleNamespace(before_call=lambda: stopped, plans=SimpleNamespace(failures=failures))


def test_what_the_base_fails_is_said_once_and_does_not_fail_the_check(tmp_path: Path) -> None:
    base = known_base(tmp_path, "validate")
    here = Here(tmp_path, WRITE, reply(call("check")), DONE, engine=Engine(CheckStatus.FAILED), base_first=base)
    result = check(here)
    assert result["passed"] is True
    assert [c["status"] for c in result["checks"] if c["check"] == "validate"] == ["already failing on the base"]
    told = [t.text for t in here.llm.heard[-1] if isinstance(t, PeopleTurn) and "fail on the base branch" in t.text]
    assert len(told) == 1 and '"check": "validate"' in told[0]


def test_another_failure_than_the_base_s_fails_the_check(tmp_path: Path) -> None:
    base = known_base(tmp_path, "init")
    here = Here(tmp_path, WRITE, reply(call("check")), DONE, engine=Engine(CheckStatus.FAILED), base_first=base)
    assert check(here)["passed"] is False


def test_no_call_is_paid_for_when_no_change_could_be_planned(tmp_path: Path) -> None:
    stopped = Stopped(Conclusion.TOOLCHAIN_FAILED, "no init", "allow the provider")
    here = Here(tmp_path, WRITE, DONE, base_first=known_base(tmp_path, stopped=stopped))
    assert here.go_on() is stopped and here.llm.heard == []
