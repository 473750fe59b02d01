"""What fmt and validate say of a file, and whose bytes a provider must have."""

from __future__ import annotations

import pytest

from adapters.terraform.worlds import bare_target, environment, service, target, write
from ops_agent.model.verification import CheckStatus
from ops_agent_demo.terraform import wheel_zips

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize(
    ("content", "status", "places"),
    [
        ("locals {\n  a = 1\n}\n", CheckStatus.PASSED, []),
        ("locals {\na=1\n}\n", CheckStatus.FAILED, [("infra/main.tf", 0)]),
        ("locals {\n", CheckStatus.FAILED, [("infra/main.tf", 1)]),
    ],
    ids=["formatted", "exit code 3", "exit code 2"],
)
def test_fmt_names_each_file_and_the_line_of_a_syntax_error(content, status, places, bare_terraform, tmp_path):
    result = bare_terraform.fmt(
        write(tmp_path, {"infra/main.tf": content, "elsewhere/x.tf": "locals{a=1}"}), bare_target("infra").root
    )
    assert result.status is status
    assert [(f.place.path, f.place.line) for f in result.findings] == places


def test_validate_names_file_and_line(bare_terraform, tmp_path):
    tree = write(tmp_path, {"infra/main.tf": 'output "x" {\n  value = var.nope\n}\n'})
    with bare_terraform.workspace(tree, bare_target("infra"), None) as workspace:
        workspace.init()
        result = workspace.validate()
    assert result.status is CheckStatus.FAILED
    assert [(str(f.place), f.rule) for f in result.findings] == [("infra/main.tf:2", "check/validate")]


def test_a_provider_whose_bytes_differ_from_the_lock_file_is_refused(terraform, tmp_path):
    lock = (
        'provider "registry.terraform.io/hashicorp/aws" {\n  version = "3.39.0"\n  hashes = [\n    "h1:%s=",\n  ]\n}\n'
        % ("A" * 43)
    )
    tree = write(tmp_path, {**service("locked"), "infra/.terraform.lock.hcl": lock})
    with terraform.workspace(tree, target(environment("dev")), None) as workspace:
        result = workspace.init()
    assert result.status is CheckStatus.FAILED
    assert "checksum" in result.findings[0].what


def test_a_lock_file_that_lacks_an_allow_listed_provider_is_completed_by_our_code(terraform, tmp_path):
    """The llm never writes it; the bytes are offered for the change set."""
    tree = write(tmp_path, {**service("unlocked"), "infra/.terraform.lock.hcl": "# empty\n"})
    with terraform.workspace(tree, target(environment("dev")), None) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        assert b'provider "registry.terraform.io/hashicorp/aws"' in workspace.lock_file_update
    assert (tree / "infra/.terraform.lock.hcl").read_text() == "# empty\n"


def test_a_provider_that_is_not_on_the_list_is_not_even_looked_for(terraform, tmp_path):
    main = 'terraform {\n  required_providers {\n    evil = {\n      source = "evil.example/x/evil"\n    }\n  }\n}\n'
    with terraform.workspace(write(tmp_path, {"main.tf": main}), bare_target(), None) as workspace:
        result = workspace.init()
    assert result.status is CheckStatus.FAILED
    assert result.seconds < 10


def test_the_wheel_holds_what_the_mirror_needs():
    assert all(path.suffix == ".zip" for path in wheel_zips())
