"""The stage by itself: what is run for which change, what counts as whose, and how it ends. Terraform is a recorder
here.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from adapters.terraform.worlds import DEV, PROD, changes, environment, service, target, world
from doubles.tree import MemoryTree
from ops_agent.config.settings import Settings
from ops_agent.guard.providers import BESIDE_A_ROLE
from ops_agent.model.errors import AwsError, ToolchainError
from ops_agent.model.plan import TerraformPlan
from ops_agent.model.policy import AWS_PROVIDERS, Policy
from ops_agent.run.verify import BasePlans, verify
from run.recorders import FAILED, Cloud, Recorder, check, finding


def proof(before, after, tmp_path, terraform=None, cloud=None, settings=None, **fields):
    (tmp_path / "HEAD").write_text("")
    terraform = terraform or Recorder()
    made = world(terraform, cloud or Cloud())
    for name, value in fields.items():
        setattr(made, name, value)
    return verify(made, settings or Settings(), MemoryTree(before), changes(before, after), tmp_path), terraform


ORDER = ("init", "validate", "plan")
BEFORE = service("s")
AFTER = {**BEFORE, "infra/new.tf": "locals {}\n"}


def test_a_change_of_documents_runs_no_terraform_but_the_self_test(tmp_path):
    result, terraform = proof(BEFORE, {**BEFORE, "docs/a.md": "x"}, tmp_path)
    assert terraform.log == ["self test"]
    assert result.targets == ()
    assert result.passed


def test_head_and_base_are_planned_with_a_role_and_offline_without_one(tmp_path):
    result, terraform = proof(BEFORE, AFTER, tmp_path)
    assert sorted(terraform.log) == sorted(
        [
            "self test",
            "fmt infra",
            *(f"{name} head infra (dev)" for name in ("init", "validate", "plan")),
            *(f"{name} head infra (prod)" for name in ("init", "offline plan")),
            *(f"{name} base infra (dev)" for name in ("init", "plan", "validate")),  # recorded plans are none
            *(f"{name} base infra (prod)" for name in ("init", "offline")),
        ]
    )
    assert [t.unplanned for t in result.targets] == [None, "no role"]
    assert [t.placeholders for t in result.targets] == [("image",), ("image",)]


def test_only_roots_that_the_change_touches_through_modules_are_verified(tmp_path):
    main = 'module "q" {\n  source = "../../modules/q"\n}\n'
    files = {"modules/q/main.tf": "", "modules/other/main.tf": ""}
    for root, call in (("one", main), ("two", main), ("three", "")):
        files[f"roots/{root}/main.tf"] = 'terraform {\n  backend "s3" {}\n}\nprovider "aws" {}\n' + call
        files[f"roots/{root}/backend/dev/backend.hcl"] = 'bucket = "b"\n'
        files[f"roots/{root}/environments/dev/terraform.tfvars"] = ""
    result, _ = proof(files, {**files, "modules/q/main.tf": "locals {}\n"}, tmp_path)
    assert [str(t.target) for t in result.targets] == ["roots/one (dev)", "roots/two (dev)"]


def test_each_environment_gets_one_lease_before_anything_runs(tmp_path):
    cloud = Cloud()
    seen = []
    proof(BEFORE, AFTER, tmp_path, Recorder(on=lambda name, _: seen.append((name, list(cloud.leases)))), cloud)
    assert cloud.leases == ["dev"]
    assert all(leases == ["dev"] for _, leases in seen)


def test_a_lease_that_cannot_be_had_ends_the_run_before_terraform(tmp_path):
    terraform = Recorder()
    with pytest.raises(AwsError):
        proof(BEFORE, AFTER, tmp_path, terraform, Cloud(AwsError("no")))
    assert terraform.log == ["self test"]


PROFILE = 'provider "aws" {\n  alias   = "mine"\n  profile = "mine"\n}\n'


@pytest.mark.parametrize("on_base", [True, False])
def test_a_root_that_takes_other_credentials_or_providers_is_planned_without_the_role(tmp_path, on_base):
    """Also when only the base, or only the change, does."""
    for number, (text, why) in enumerate(
        {PROFILE: "`profile`", 'provider "datadog" {}\n': "`hashicorp/datadog`"}.items()
    ):
        mine, cloud = {**BEFORE, "infra/mine.tf": text}, Cloud()
        before, after = (mine, AFTER) if on_base else (BEFORE, mine)
        (tmp_path / str(number)).mkdir()
        result, terraform = proof(before, after, tmp_path / str(number), cloud=cloud)
        dev = next(t for t in result.targets if t.target.environment.name == "dev")
        assert cloud.leases == [] and why in (dev.unplanned or "") and "plan head infra (dev)" not in terraform.log


def test_beside_a_role_nothing_but_aws_and_the_utility_providers_is_installed(tmp_path):
    """Whatever a lock file names that nothing uses any more."""
    lock = 'provider "registry.terraform.io/datadog/datadog" {\n  version = "1.0.0"\n  hashes  = ["h1:x="]\n}\n'
    before = {**BEFORE, "infra/.terraform.lock.hcl": lock}
    _, terraform = proof(before, {**before, "infra/new.tf": "locals {}\n"}, tmp_path)
    assert {name for name, of in terraform.installs.items() if {*of} - BESIDE_A_ROLE} == {
        "base infra (prod)",
        "head infra (prod)",
    }
    assert {*terraform.installs["head infra (dev)"]} == BESIDE_A_ROLE


def test_an_environment_without_its_backend_file_is_named_and_not_planned(tmp_path):
    before = {p: c for p, c in BEFORE.items() if p != "infra/backend/dev/backend.hcl"}
    result, terraform = proof(before, {**before, "infra/new.tf": "locals {}\n"}, tmp_path)
    dev = next(t for t in result.targets if t.target.environment.name == "dev")
    assert dev.unplanned == "no backend file was found for the environment `dev` of `infra`"
    assert not [line for line in terraform.log if line.startswith("plan")]


def test_the_environments_input_leaves_out_the_others(tmp_path):
    result, _ = proof(BEFORE, AFTER, tmp_path, settings=Settings(environments=("prod",)))
    assert [t.target.environment.name for t in result.targets] == ["prod"]


def test_head_and_base_are_initialised_with_the_providers_of_the_narrowed_policy(tmp_path):
    """What the policy file of the base branch took away is not served, although the engine was built before it was
    read.
    """
    narrowed = Settings(policy=Policy(allowed_providers=()))
    _, terraform = proof(BEFORE, AFTER, tmp_path, settings=narrowed)
    assert {frozenset(of) for of in terraform.installs.values()} == {frozenset(AWS_PROVIDERS)}, "what the base has"


@pytest.mark.parametrize(
    ("failing", "left"),
    [("init", ["init"]), ("validate", ["init", "validate"]), ("plan", ["init", "validate", "plan"])],
)
def test_a_failed_check_stops_the_ones_after_it_and_the_verification_fails(failing, left, tmp_path):
    result, _ = proof(BEFORE, AFTER, tmp_path, Recorder(results={failing: check(failing, FAILED)}))
    dev = next(t for t in result.targets if t.target.environment.name == "dev")
    assert [c.name for c in dev.checks] == left
    assert not result.passed
    assert dev.plan is None
    assert dev.evidence is None


def test_files_that_were_unformatted_before_are_named_and_do_not_fail_the_change(tmp_path):
    both = check("fmt", FAILED, findings=(finding("infra/main.tf"), finding("infra/new.tf")))
    result, _ = proof(BEFORE, AFTER, tmp_path, Recorder(results={"fmt": both}))
    assert [(f.place.path, f.pre_existing, f.blocks) for f in result.checks[0].findings] == [
        ("infra/main.tf", True, False),
        ("infra/new.tf", False, True),
    ]
    assert not result.passed
    old = check("fmt", FAILED, findings=(finding("infra/main.tf"),))
    assert proof(BEFORE, AFTER, tmp_path, Recorder(results={"fmt": old}))[0].passed


def test_secrets_are_taken_out_of_every_text_of_a_check(tmp_path):
    leaky = check("validate", FAILED, output="a secret", findings=(finding("infra/main.tf"),))
    result, _ = proof(
        BEFORE,
        AFTER,
        tmp_path,
        Recorder(results={"validate": leaky}),
        redact=lambda text: text.replace("secret", "***"),
    )
    for one in result.targets:
        assert "secret" not in str(one.checks)


def test_a_broken_engine_ends_the_verification_with_its_error(tmp_path):
    def broken(name, _):
        if name == "validate head infra (dev)":
            raise ToolchainError("terraform was ended by signal 9")

    with pytest.raises(ToolchainError, match="signal 9"):
        proof(BEFORE, AFTER, tmp_path, Recorder(on=broken))


def test_an_interrupt_cancels_every_running_child(tmp_path):
    """The stage cancels the engine, and does not wait for its deadline."""

    def wait(name, terraform):
        if name.startswith("init"):
            if not interrupted.is_set():
                interrupted.set()
                os.kill(os.getpid(), signal.SIGINT)
            terraform.cancelled.wait(20)

    terraform, interrupted = Recorder(on=wait), threading.Event()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        proof(BEFORE, AFTER, tmp_path, terraform)
    assert terraform.cancelled.is_set()
    assert time.monotonic() - begun < 10


def test_a_plan_of_the_base_is_known_for_its_commit_target_and_account_only():
    kept = TerraformPlan(changes=(), outputs=(), drift=(), text="", canonical_hash="")
    plans = BasePlans({("a" * 40, target(), DEV): kept})
    assert plans["a" * 40, target(), DEV] is kept
    moved = target(environment("dev", backend_file="infra/backend/other.hcl"))
    others = [
        ("b" * 40, target(), DEV),
        ("a" * 40, moved, DEV),
        ("a" * 40, target(), PROD),
        ("a" * 40, target(), None),
    ]
    assert [plans.get(other) for other in others] == [None] * 4


def test_a_base_that_could_not_be_planned_is_asked_again_in_the_next_round(tmp_path):
    """What failed in passing must not cost every later round its comparison."""
    terraform, plans = Recorder(), BasePlans()
    (tmp_path / "HEAD").write_text("")
    for _ in range(2):
        verify(world(terraform, Cloud()), Settings(), MemoryTree(BEFORE), changes(BEFORE, AFTER), tmp_path, plans)
    assert terraform.log.count("plan base infra (dev)") == terraform.log.count("plan head infra (dev)") == 2
