"""Hostile repositories and configurations, on real engines, with every rule of the guard switched off."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from adapters.terraform.worlds import IS_ROOT, VERSIONS, bare_target, write
from ops_agent.adapters.terraform.confinement import landlock_abi
from ops_agent.model.verification import CheckStatus

pytestmark = pytest.mark.terraform


REACH = 'output "{name}" {{\n  value = try(filebase64("{path}"), "closed")\n}}\n'


def outputs(terraform, tree: Path) -> dict[str, str]:
    """Values of the outputs of a plan of `tree`, which has no provider."""
    with terraform.workspace(tree, bare_target(), None) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        check, left = workspace.plan()
        assert check.status is CheckStatus.PASSED, check.findings
        import json

        document = json.loads(left.json_path.read_bytes())
        return {name: output["value"] for name, output in document["planned_values"]["outputs"].items()}


def test_a_configuration_reads_only_what_the_sandbox_gives_it(bare_terraform, tmp_path, monkeypatch):
    """No secret of ours is in the child; our environment, memory, files and descriptors are closed to
    it.
    """
    for number in range(20):
        monkeypatch.setenv(f"CANARY_{number}", f"canary-secret-{number}")
    secret = tmp_path / "private"
    secret.write_text("canary-secret-file")
    secret.chmod(0o600)
    paths = {
        "own": "/proc/self/environ",
        "parent": f"/proc/{os.getpid()}/environ",
        "memory": f"/proc/{os.getpid()}/maps",
        "file": str(secret),
    }
    main = "".join(REACH.format(name=name, path=path) for name, path in paths.items())
    seen = outputs(bare_terraform, write(tmp_path / "tree", {"main.tf": main}))
    import base64

    assert seen["parent"] == seen["memory"] == "closed"
    if IS_ROOT or landlock_abi():
        assert seen["file"] == "closed"
    own = b"" if seen["own"] == "closed" else base64.b64decode(seen["own"])
    assert b"canary" not in own
    names = {entry.split(b"=")[0].decode() for entry in own.split(b"\0") if entry}
    assert names <= {
        *(
            "PATH",
            "HOME",
            "TMPDIR",
            "LANG",
            "TF_DATA_DIR",
            "TF_CLI_CONFIG_FILE",
            "TF_IN_AUTOMATION",
            "TF_INPUT",
            "CHECKPOINT_DISABLE",
        ),
        *(
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_EC2_METADATA_DISABLED",
            "AWS_STS_REGIONAL_ENDPOINTS",
            "AWS_MAX_ATTEMPTS",
        ),
        *("OPS_AGENT_CHILD", "LC_CTYPE", "GIT_CONFIG_NOSYSTEM", "HTTP_PROXY", "HTTPS_PROXY"),
    }


def test_variables_of_the_outside_that_steer_terraform_have_no_effect(bare_terraform, tmp_path, monkeypatch):
    """TF_CLI_ARGS, TF_LOG, TF_DATA_DIR, TF_VAR, TF_WORKSPACE, reattached providers, ambient AWS keys."""
    for name, value in {
        "TF_CLI_ARGS_plan": "-destroy",
        "TF_CLI_ARGS": "-nonsense",
        "TF_REATTACH_PROVIDERS": '{"x":{}}',
        "TF_LOG": "trace",
        "TF_LOG_PATH": str(tmp_path / "log"),
        "TF_DATA_DIR": str(tmp_path / "data"),
        "TF_VAR_x": "outside",
        "TF_WORKSPACE": "other",
        "AWS_ACCESS_KEY_ID": "AKIAOUTSIDE",
    }.items():
        monkeypatch.setenv(name, value)
    main = 'variable "x" {\n  default = "inside"\n}\noutput "x" {\n  value = "${var.x} ${terraform.workspace}"\n}\n'
    assert outputs(bare_terraform, write(tmp_path / "tree", {"main.tf": main})) == {"x": "inside default"}
    assert not (tmp_path / "log").exists()
    assert not (tmp_path / "data").exists()


EVIL = "#!/bin/sh\ntouch {canary}\nexit 1\n"
PLACE = "registry.terraform.io/hashicorp/aws/3.39.0/linux_amd64/terraform-provider-aws_v3.39.0_x5"


@pytest.fixture
def canary():
    """A file that any user could make."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o777)
    yield directory / "canary"
    (directory / "canary").unlink(missing_ok=True)
    directory.rmdir()


@pytest.mark.parametrize("place", [f".terraform/providers/{PLACE}", f"terraform.d/plugins/{PLACE}"])
def test_a_provider_that_the_repository_brings_along_never_runs(place, terraform, tmp_path, canary):
    script = EVIL.format(canary=canary)
    files = {
        "main.tf": VERSIONS.replace('  backend "s3" {}\n', ""),
        place: script,
        "terraform.tfvars": 'region = "sa-east-1"\n',
    }
    tree = write(tmp_path, files)
    (tree / place).chmod(0o755)
    with terraform.workspace(tree, bare_target(), None) as workspace:
        assert not list(workspace.cell.work.rglob("terraform-provider-*"))
        assert workspace.init().status is CheckStatus.PASSED
        assert workspace.validate().status is CheckStatus.PASSED
    assert not canary.exists()


def test_a_plan_without_our_init_does_not_fall_back_to_the_repositorys_data_directory(bare_terraform, tmp_path, canary):
    """TF_DATA_DIR is fresh, so plan before init has no provider at all."""
    tree = write(tmp_path, {"main.tf": VERSIONS, f".terraform/providers/{PLACE}": EVIL.format(canary=canary)})
    with bare_terraform.workspace(tree, bare_target(), None) as workspace:
        check, left = workspace.plan()
    assert check.status is CheckStatus.FAILED
    assert left is None
    assert not canary.exists()


def test_configuration_files_of_the_command_line_in_the_tree_are_not_copied(bare_terraform, tmp_path):
    """Dev_overrides and credential helpers, modules.json with a directory outside."""
    files = {
        "main.tf": "",
        ".terraformrc": 'provider_installation { dev_overrides { "hashicorp/aws" = "/tmp" } }',
        "terraform.rc": "nonsense",
        "x.tfrc": "nonsense",
        ".terraform/modules/modules.json": '{"Modules":[{"Key":"x","Source":"./x","Dir":"/etc"}]}',
        "a.tfplan": "x",
        "terraform.tfstate": "{}",
        "terraform.tfstate.backup": "{}",
        ".git/config": "[core]",
        "kept.json": "{}",
    }
    with bare_terraform.workspace(write(tmp_path, files), bare_target(), None) as workspace:
        copied = {
            str(path.relative_to(workspace.cell.work)) for path in workspace.cell.work.rglob("*") if path.is_file()
        }
        assert workspace.init().status is CheckStatus.PASSED
    assert copied == {"main.tf", "kept.json"}


def test_a_link_in_the_tree_is_not_followed_and_its_target_stays_as_it_is(bare_terraform, tmp_path):
    """Fmt would rewrite what a linked file points at; ours only reads, and regular files alone."""
    outside = tmp_path / "outside.tf"
    outside.write_text("locals{a=1}")
    tree = write(tmp_path / "tree", {"main.tf": "locals {\n  b = 2\n}\n"})
    (tree / "linked.tf").symlink_to(outside)
    (tree / "linked").symlink_to(tmp_path)
    assert bare_terraform.fmt(tree, bare_target().root).status is CheckStatus.PASSED
    assert outside.read_text() == "locals{a=1}"
