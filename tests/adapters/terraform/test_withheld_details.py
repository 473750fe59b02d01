"""What a plan reports over a real state: Terraform's errors quote values, and none of them leaves the check."""

from __future__ import annotations

import json

import pytest

from adapters.terraform.worlds import DEV, changes, environment, service, target, world, write
from doubles.tree import MemoryTree
from ops_agent.adapters.terraform import workspace as workspace_module
from ops_agent.adapters.terraform.diagnostics import from_json
from ops_agent.agent.material import checks_material
from ops_agent.config.settings import Settings
from ops_agent.model.verification import CheckStatus
from ops_agent.run.verify import verify
from ops_agent.terraform.obstacles import DENIED_REMEDY

SECRET = "hunter-two-of-the-state"
KEEP = """
resource "terraform_data" "keep" {
  lifecycle {
    ignore_changes = all
  }
}

locals {
  word = sensitive(terraform_data.keep.output)
}
"""
QUOTING = {
    "cidrhost": "cidrhost(local.word, 1)",
    "regex": 'regex(local.word, "a") + tonumber(local.word)',
    "formatdate": 'formatdate("YYYY", local.word)',
    "yamldecode": 'yamldecode("{ ${local.word}")',
    "timeadd": 'timeadd(local.word, "1h")',
    "parseint": "parseint(local.word, 10)",
    "an index": "{ a = 1 }[local.word]",
    "base64decode": "base64decode(local.word)",
}


def state() -> bytes:
    attributes = {"id": "1", "input": None, "output": {"value": SECRET, "type": "string"}, "triggers_replace": None}
    instance = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}
    provider = 'provider["terraform.io/builtin/terraform"]'
    keep = {"mode": "managed", "type": "terraform_data", "name": "keep", "provider": provider, "instances": [instance]}
    document = {"version": 4, "terraform_version": "1.8.0", "serial": 1, "lineage": "0", "outputs": {}}
    return json.dumps({**document, "resources": [keep]}).encode()


@pytest.mark.terraform
def test_no_error_of_a_plan_quotes_a_value_of_the_state(any_terraform, cloud, tmp_path, aws, monkeypatch):
    seen = []

    def reading(check, root, diagnostics, **more):
        seen.extend(diagnostics)
        return from_json(check, root, diagnostics, **more)

    monkeypatch.setattr(workspace_module, "from_json", reading)
    aws.account(DEV).put(aws.state_bucket(DEV), "quoting/terraform.tfstate", state())
    outputs = "".join(
        f'output "o{number}" {{\n  value     = {expression}\n  sensitive = true\n}}\n'
        for number, expression in enumerate(QUOTING.values())
    )
    tree = write(tmp_path, service("quoting", KEEP + outputs))
    with cloud.lease(environment("dev")) as lease, any_terraform.workspace(tree, target(), lease) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        check, left = workspace.plan()
    assert SECRET in str(seen), "the engine quotes it: there is something to withhold"
    assert (check.status, left) == (CheckStatus.FAILED, None)
    assert SECRET not in str(check) and SECRET not in json.dumps(checks_material([check]))
    first = KEEP.count("\n") + 2
    assert {found.place.line for found in check.findings} == set(range(first, first + 4 * len(QUOTING), 4))
    for found in check.findings:
        assert found.place.path == "infra/main.tf"
        assert found.what.endswith("; the detail may quote values of the state or of AWS, and is withheld")
        assert "`terraform plan` of this target" in found.remedy
    assert any(found.what.startswith("Error in function call;") for found in check.findings)


@pytest.mark.terraform
def test_a_verification_over_a_state_reports_place_and_summary_alone(terraform, cloud, tmp_path, aws):
    aws.account(DEV).put(aws.state_bucket(DEV), "whole/terraform.tfstate", state())
    before = service("whole", KEEP)
    after = {**before, "infra/x.tf": f'output "x" {{\n  value     = {QUOTING["cidrhost"]}\n  sensitive = true\n}}\n'}
    made = world(terraform, cloud)
    tree = write(tmp_path, after)
    proof = verify(made, Settings(environments=("dev",)), MemoryTree(before), changes(before, after), tree)
    (failed,) = proof.failed
    assert [str(found.place) for found in failed.findings] == ["infra/x.tf:2"]
    assert SECRET not in str(proof)


@pytest.mark.terraform
def test_errors_of_init_and_validate_keep_their_detail_with_a_role(terraform, cloud, tmp_path):
    """They evaluate nothing over a state: what they quote is source."""
    tree = write(tmp_path, service("source", 'output "x" {\n  value = cidrhost("a-word-of-the-source", 1)\n}\n'))
    with cloud.lease(environment("dev")) as lease, terraform.workspace(tree, target(), lease) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        check = workspace.validate()
    assert "a-word-of-the-source" in check.findings[0].what


@pytest.mark.parametrize(
    "summary",
    ['expected length of "x" to be 8, got hunter', "invalid value (hunter)", "hunter2", "", "a: b", "x" * 200],
)
def test_a_summary_that_may_hold_a_value_is_withheld_too(summary):
    (found,) = from_json("plan", ".", [{"severity": "error", "summary": summary, "detail": "hunter"}], withhold=True)
    assert found.what.startswith("Terraform reports a problem here; ")


def test_a_denied_call_is_explained_in_fixed_words():
    said = "User: arn:aws:sts::1:x is not authorized to perform: {}"
    known, other = (
        from_json("plan", ".", [{"severity": "error", "summary": said.format(action)}], withhold=True)[0]
        for action in ("ssm:GetParameter", "hunter:two")
    )
    assert known.remedy == DENIED_REMEDY
    assert "CloudTrail" in other.remedy and "hunter" not in str(other)


def test_a_denial_behind_a_long_text_is_withheld_too():
    summary = f"{'x ' * 2_000}is not authorized to perform: hunter:two"
    (found,) = from_json("plan", ".", [{"severity": "error", "summary": summary}], withhold=True)
    assert "hunter" not in str(found)
