"""What the base fails by itself: found out beside the conversation, never blamed on the change, and a reason to end the
run before money is spent when nothing could ever be planned. Terraform is a recorder here.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from adapters.terraform.worlds import changes, service, world
from doubles.tree import MemoryTree
from ops_agent.config.settings import Settings
from ops_agent.model.errors import AwsError
from ops_agent.model.finding import Finding, Place
from ops_agent.model.outcome import Conclusion
from ops_agent.model.policy import Policy
from ops_agent.model.ports import TokenAbilities
from ops_agent.model.verification import CheckStatus
from ops_agent.run.base_first import BaseFirst
from ops_agent.run.brief import token_trouble
from ops_agent.run.verify import verify
from ops_agent.terraform.layout import discover_layout
from run.recorders import FAILED, Cloud, Recorder, check

BEFORE = service("s")
AFTER = {**BEFORE, "infra/new.tf": "locals {}\n"}
NO_PROVIDER = (
    "Failed to query available provider packages: Could not retrieve the list of available versions for provider "
    "hashicorp/google: provider registry.terraform.io/hashicorp/google was not found in any of the search locations"
)


def failed(name, what, path="infra", line=0):
    found = Finding(rule=f"check/{name}", place=Place(path=path, line=line), what=what, remedy="r")
    return check(name, FAILED, findings=(found,))


def base_first(terraform, cloud=None, files=BEFORE):
    base = MemoryTree(files)
    layout = discover_layout(base.files, base.read, Policy())
    made = SimpleNamespace(**vars(world(terraform, cloud or Cloud())))
    return BaseFirst(made, Settings(), base, layout)


def proof(terraform, tmp_path, before=BEFORE, after=AFTER):
    """The verification of a change, with what the base fails."""
    (tmp_path / "HEAD").write_text("")
    for path, content in after.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    with base_first(terraform, files=before) as first:
        first.settle()
        made = world(terraform, Cloud())
        return verify(made, Settings(), MemoryTree(before), changes(before, after), tmp_path, first.plans), first


def test_a_base_that_can_never_be_initialised_ends_the_run_before_the_first_call():
    with base_first(Recorder(base_results={"init": failed("init", NO_PROVIDER)})) as first:
        stopped = first.before_call()
    assert stopped.conclusion is Conclusion.TOOLCHAIN_FAILED
    assert "`infra`" in stopped.reason and "hashicorp/google" in stopped.reason
    assert "give the provider mirror this version" in stopped.remedy


def test_the_first_call_waits_for_an_init_that_downloads_for_long():
    slow = Recorder(
        on=lambda name, _: time.sleep(3) if name.startswith("init base") else None,
        base_results={"init": failed("init", NO_PROVIDER)},
    )
    with base_first(slow) as first:
        stopped = first.before_call()
    assert stopped is not None and stopped.conclusion is Conclusion.TOOLCHAIN_FAILED


def test_one_environment_that_can_be_initialised_is_worth_the_run():
    def only_dev_fails(name, terraform):
        fails = replace(failed("init", NO_PROVIDER), subject="infra (dev)")
        terraform.base_results = {"init": fails} if name == "init base infra (dev)" else {}

    with base_first(Recorder(on=only_dev_fails)) as first:
        assert first.before_call() is None
        first.settle()
    assert [c.name for c in first.plans.failures.checks] == ["init"]


def test_an_error_in_the_configuration_may_be_what_the_issue_is_about():
    with base_first(Recorder(base_results={"init": failed("init", "Duplicate provider configuration")})) as first:
        assert first.before_call() is None


def test_a_role_that_cannot_be_had_is_reported_before_the_first_call():
    with base_first(Recorder(), Cloud(AwsError("no role"))) as first, pytest.raises(AwsError, match="no role"):
        first.before_call()


def test_a_call_waits_once_and_never_for_a_plan():
    go_on = threading.Event()
    waits = Recorder(on=lambda name, _: go_on.wait(20) if name.startswith("plan base") else None)
    with base_first(waits) as first:
        assert first.before_call() is None
        assert "offline base infra (prod)" not in waits.log
        go_on.set()


def test_the_verification_plans_what_was_not_begun(tmp_path):
    """`settle` lets the running target end and begins no other."""
    go_on, begun = threading.Event(), threading.Event()

    def plans(name, _):
        if name == "plan base infra (dev)":
            begun.set()
            go_on.wait(20)

    terraform = Recorder(on=plans)
    with base_first(terraform) as first:
        begun.wait(20)
        threading.Timer(0.1, go_on.set).start()
        first.settle()
        assert not [line for line in terraform.log if "(prod)" in line]


def test_an_interrupt_ends_the_children_at_once():
    terraform = Recorder(on=lambda name, it: it.cancelled.wait(20) if name.startswith("init") else None)
    with pytest.raises(KeyboardInterrupt), base_first(terraform):
        raise KeyboardInterrupt
    assert terraform.cancelled.is_set()


def test_the_same_failure_is_not_the_changes(tmp_path):
    same = failed("plan", "Invalid index (RequestID: abc123) in /tmp/cell-1/main.tf", "infra/main.tf", 3)
    again = failed("plan", "Invalid index (RequestID: xyz789) in /tmp/cell-9/main.tf", "infra/main.tf", 4)
    after = {**AFTER, "infra/main.tf": "# a new line above\n" + BEFORE["infra/main.tf"]}
    result, _ = proof(Recorder(results={"plan": again}, base_results={"plan": same}), tmp_path, after=after)
    dev = next(t for t in result.targets if t.target.environment.name == "dev")
    assert result.passed and [c.name for c in result.failing_on_base] == ["plan"]
    assert dev.unplanned == "`plan` fails on the base branch already"
    assert all(f.pre_existing for c in result.failing_on_base for f in c.findings)


@pytest.mark.parametrize(
    "other",
    [
        failed("plan", "Invalid function argument", "infra/main.tf", 3),
        failed("plan", "Invalid index", "infra/new.tf", 1),
        failed("plan", "Invalid index", "infra/main.tf", 2),
        failed("validate", "Invalid index", "infra/main.tf", 3),
    ],
    ids=["another message", "another file", "another line", "another check"],
)
def test_any_other_failure_is_the_changes(other, tmp_path):
    base = failed("plan", "Invalid index", "infra/main.tf", 3)
    result, _ = proof(Recorder(results={other.name: other}, base_results={"plan": base}), tmp_path)
    assert [c.name for c in result.failed] == [other.name]


def test_a_new_error_beside_an_old_one_fails_and_says_which_is_new(tmp_path):
    old = failed("plan", "Invalid index", "infra/main.tf", 3).findings[0]
    new = failed("plan", "Unsupported attribute", "infra/new.tf", 1).findings[0]
    head, base = check("plan", FAILED, findings=(old, new)), check("plan", FAILED, findings=(old,))
    result, _ = proof(Recorder(results={"plan": head}, base_results={"plan": base}), tmp_path)
    assert [(f.what, f.pre_existing) for c in result.failed for f in c.findings] == [
        ("Invalid index", True),
        ("Unsupported attribute", False),
    ]


def test_what_the_base_fails_at_validate_is_known_although_its_plan_is_asked_first(tmp_path):
    wrong = failed("validate", "Unsupported argument", "infra/main.tf", 2)
    broken = {"plan": failed("plan", "Unsupported argument", "infra/main.tf", 2), "validate": wrong}
    result, _ = proof(Recorder(results={"validate": wrong}, base_results=broken), tmp_path)
    assert result.passed and {c.status for c in result.failing_on_base} == {CheckStatus.ON_BASE}


def test_a_change_whose_targets_cannot_be_initialised_either_has_no_proof(tmp_path):
    fails = failed("init", NO_PROVIDER)
    result, first = proof(Recorder(results={"init": fails}, base_results={"init": fails}), tmp_path)
    assert first.no_proof(result).conclusion is Conclusion.TOOLCHAIN_FAILED
    healed, first = proof(Recorder(base_results={"init": fails}), tmp_path)
    assert first.no_proof(healed) is None


def roots(*names):
    return {f"{name}/{path.removeprefix('infra/')}": text for name in names for path, text in BEFORE.items()}


def test_the_base_of_a_root_that_was_not_tried_ahead_is_tried_when_the_change_fails_there(tmp_path):
    before = roots(*"abcdef")
    result, _ = proof(
        Recorder(results={"init": failed("init", NO_PROVIDER)}, base_results={"init": failed("init", NO_PROVIDER)}),
        tmp_path,
        before=before,
        after={**before, "f/new.tf": "locals {}\n"},
    )
    assert result.passed and {c.name for c in result.failing_on_base} == {"init"}


def test_a_root_without_environments_is_compared_with_its_base(tmp_path):
    before = {"tool/main.tf": 'provider "aws" {}\n'}
    terraform = Recorder()
    result, _ = proof(terraform, tmp_path, before=before, after={**before, "tool/new.tf": "locals {}\n"})
    assert result.passed and "offline base tool (default)" in terraform.log


def test_a_root_that_the_issue_names_is_planned_ahead():
    terraform, base = Recorder(), MemoryTree(roots(*"abcde", "orders"))
    layout = discover_layout(base.files, base.read, Policy())
    made = SimpleNamespace(**vars(world(terraform, Cloud())))
    with BaseFirst(made, Settings(), base, layout, "A queue in `orders`") as first:
        first.before_call()
        first.settle()
    assert terraform.log[1] == "init base orders (dev)"


@pytest.mark.parametrize(
    ("request_text", "stops"),
    [
        ("A queue in `c`", True),
        ("A queue in `./c/`.", True),
        ("A queue in `d`", False),
        ("The c service needs a queue.", False),
        ("", False),
    ],
)
def test_the_roots_that_the_issue_names_decide_alone_whether_anything_can_be_planned(request_text, stops):
    def only_c_fails(name, terraform):
        terraform.base_results = {"init": failed("init", NO_PROVIDER)} if name.startswith("init base c ") else {}

    terraform, base = Recorder(on=only_c_fails), MemoryTree(roots(*"abcd"))
    layout = discover_layout(base.files, base.read, Policy())
    made = SimpleNamespace(**vars(world(terraform, Cloud())))
    with BaseFirst(made, Settings(), base, layout, request_text) as first:
        stopped = first.before_call()
        assert (stopped is not None) is stops
        assert stopped is None or stopped.reason.startswith("`init` of `c` fails on the base branch")


def test_many_roots_that_cannot_be_initialised_are_counted():
    with base_first(Recorder(base_results={"init": failed("init", NO_PROVIDER)}), files=roots(*"abcdefg")) as first:
        assert "`d` and 3 other roots fails" in first.before_call().reason


@pytest.mark.parametrize(
    ("abilities", "dry_run", "says"),
    [
        ({"pull_requests": False}, False, "`pull-requests: write`"),
        ({"contents": False}, False, "`contents: write`"),
        ({"pull_requests": False}, True, None),
        ({"pull_requests": None, "workflows": False, "issues": False}, False, None),
    ],
)
def test_a_token_that_could_never_publish_ends_the_run(abilities, dry_run, says):
    every = {"contents": True, "pull_requests": True, "issues": True, "workflows": True}
    stopped = token_trouble(Settings(dry_run=dry_run), TokenAbilities(**(every | abilities)))
    assert (stopped and stopped.conclusion) == (says and Conclusion.NOT_PERMITTED)
    assert says is None or says in stopped.reason
