"""Hostile repositories and configurations, on real engines, with every rule of the guard switched off (security-bar.md group E, X1-X9)."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import ops_agent
from ops_agent.adapters.terraform import sandbox as sandbox_module
from ops_agent.adapters.terraform import sandbox_child, sandbox_confinement
from ops_agent.adapters.terraform.sandbox import Sandbox, harden_this_process
from ops_agent.adapters.terraform.sandbox_confinement import landlock_abi
from ops_agent.adapters.terraform.sandbox_places import new_run_directory, pick_uid, sweep
from ops_agent.adapters.terraform.subprocesses import Patience
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.adapters.terraform.terraform_commands import plan, show
from ops_agent.adapters.terraform.terraform_engine import find_program
from ops_agent.adapters.terraform.terraform_providers import configuration, wheel_zips
from ops_agent.core.plans.reading_plans import read_plan
from ops_agent.domain.policy import Policy
from ops_agent.domain.verification import CheckStatus
from ops_agent.errors import NoSpace, ToolchainError
from terraform.worlds import IS_ROOT, VERSIONS, bare_target, environment, service, target, write

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
    """E01-E03, X1, X2: no secret of ours is in the child; our environment, memory, files and descriptors are closed to it."""
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
        *("PATH", "HOME", "TMPDIR", "LANG", "TF_DATA_DIR", "TF_CLI_CONFIG_FILE", "TF_IN_AUTOMATION", "TF_INPUT", "CHECKPOINT_DISABLE"),
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_MAX_ATTEMPTS"),
        *("OPS_AGENT_CHILD", "LC_CTYPE", "GIT_CONFIG_NOSYSTEM", "HTTP_PROXY", "HTTPS_PROXY"),
    }


def test_variables_of_the_outside_that_steer_terraform_have_no_effect(bare_terraform, tmp_path, monkeypatch):
    """E04, H11: TF_CLI_ARGS, TF_LOG, TF_DATA_DIR, TF_VAR, TF_WORKSPACE, reattached providers, ambient AWS keys."""
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
    """E06, E07, X4, X5, D19."""
    script = EVIL.format(canary=canary)
    files = {"main.tf": VERSIONS.replace('  backend "s3" {}\n', ""), place: script, "terraform.tfvars": 'region = "sa-east-1"\n'}
    tree = write(tmp_path, files)
    (tree / place).chmod(0o755)
    with terraform.workspace(tree, bare_target(), None) as workspace:
        assert not list(workspace.cell.work.rglob("terraform-provider-*"))
        assert workspace.init().status is CheckStatus.PASSED
        assert workspace.validate().status is CheckStatus.PASSED
    assert not canary.exists()


def test_a_plan_without_our_init_does_not_fall_back_to_the_repositorys_data_directory(bare_terraform, tmp_path, canary):
    """E06: TF_DATA_DIR is fresh, so plan before init has no provider at all."""
    tree = write(tmp_path, {"main.tf": VERSIONS, f".terraform/providers/{PLACE}": EVIL.format(canary=canary)})
    with bare_terraform.workspace(tree, bare_target(), None) as workspace:
        check, left = workspace.plan()
    assert check.status is CheckStatus.FAILED
    assert left is None
    assert not canary.exists()


def test_configuration_files_of_the_command_line_in_the_tree_are_not_copied(bare_terraform, tmp_path):
    """E05, E08: dev_overrides and credential helpers, modules.json with a directory outside."""
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
        copied = {str(path.relative_to(workspace.cell.work)) for path in workspace.cell.work.rglob("*") if path.is_file()}
        assert workspace.init().status is CheckStatus.PASSED
    assert copied == {"main.tf", "kept.json"}


def test_a_link_in_the_tree_is_not_followed_and_its_target_stays_as_it_is(bare_terraform, tmp_path):
    """E09, X6: fmt would rewrite what a linked file points at; ours only looks, at regular files."""
    outside = tmp_path / "outside.tf"
    outside.write_text("locals{a=1}")
    tree = write(tmp_path / "tree", {"main.tf": "locals {\n  b = 2\n}\n"})
    (tree / "linked.tf").symlink_to(outside)
    (tree / "linked").symlink_to(tmp_path)
    assert bare_terraform.fmt(tree, bare_target().root).status is CheckStatus.PASSED
    assert outside.read_text() == "locals{a=1}"


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
    result = bare_terraform.fmt(write(tmp_path, {"infra/main.tf": content, "elsewhere/x.tf": "locals{a=1}"}), bare_target("infra").root)
    assert result.status is status
    assert [(f.place.path, f.place.line) for f in result.findings] == places


def test_validate_names_file_and_line(bare_terraform, tmp_path):
    tree = write(tmp_path, {"infra/main.tf": 'output "x" {\n  value = var.nope\n}\n'})
    with bare_terraform.workspace(tree, bare_target("infra"), None) as workspace:
        workspace.init()
        result = workspace.validate()
    assert result.status is CheckStatus.FAILED
    assert [(str(f.place), f.rule) for f in result.findings] == [("infra/main.tf:2", "check/validate")]


def test_what_a_plan_leaves_is_private_and_gone_afterwards(bare_terraform, tmp_path):
    """E15: plan JSON 0600 while it is there, no plan file, nothing after the workspace."""
    with bare_terraform.workspace(write(tmp_path, {"main.tf": 'output "x" {\n  value = 1\n}\n'}), bare_target(), None) as workspace:
        workspace.init()
        _, left = workspace.plan()
        assert stat.S_IMODE(left.json_path.stat().st_mode) == 0o600
        assert left.json_path.stat().st_uid == os.geteuid()
        assert left.changes_present
        assert read_plan(left.json_path.read_bytes(), left.text, Policy()).counts.outputs == 1
        assert not list(workspace.cell.out.iterdir())
        root = workspace.cell.root
    assert not root.exists()


def test_the_leftovers_of_a_killed_run_are_swept_and_those_of_a_living_one_stay(tmp_path):
    """E15, N03."""
    code = "import sys, time; sys.path[:0] = %r\nfrom pathlib import Path\n"
    code += "from ops_agent.adapters.terraform.sandbox_places import new_run_directory\n"
    code = (
        code % [str(Path(ops_agent.__file__).parents[1])] + f"print(new_run_directory(Path({str(tmp_path)!r})), flush=True); time.sleep(60)"
    )
    dying = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    left = Path(dying.stdout.readline().strip())
    write(left, {"cell-x/out/plan.tfplan": "secret"})
    ours = new_run_directory(tmp_path)
    assert sweep(tmp_path) == ()
    dying.kill()
    dying.wait()
    assert sweep(tmp_path) == (left,)
    assert not left.exists()
    assert ours.exists()


@pytest.mark.skipif(not IS_ROOT, reason="only root gives children a user of their own")
def test_each_workspace_has_a_user_of_its_own_and_cannot_write_into_its_copy(bare_terraform, tmp_path):
    tree = write(tmp_path, {"main.tf": "", ".terraform.lock.hcl": ""})
    with bare_terraform.workspace(tree, bare_target(), None) as one, bare_terraform.workspace(tree, bare_target(), None) as other:
        assert len({one.cell.uid, other.cell.uid, os.geteuid()}) == 3
        script = "import os; print(os.getuid(), os.getgid(), os.getgroups(), os.access('.', os.W_OK), os.access({!r}, os.R_OK))"
        code = script.format(str(other.cell.work / "main.tf"))
        spec = f'{{"uid": {one.cell.uid}, "gid": {one.cell.uid}, "library": null}}'
        child = [sys.executable, "-I", "-S", sandbox_child.__file__, spec]
        done = subprocess.run([*child, "/usr/bin/python3", "-c", code], cwd=one.cell.work, capture_output=True, text=True)
        assert done.stdout.split() == [str(one.cell.uid), str(one.cell.uid), "[]", "False", "False"], done.stderr
        status = subprocess.run([*child, "/bin/cat", "/proc/self/status"], capture_output=True, text=True, cwd="/").stdout
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        assert "CapPrm:\t0000000000000000" in status


def test_a_user_id_is_picked_that_nobody_has():
    uid = pick_uid() if IS_ROOT else None
    assert uid is None or uid > 10_000


def test_the_self_test_passes_here_and_is_run_once(bare_terraform):
    bare_terraform.self_test()
    proven = bare_terraform._sandbox
    proven.children.cancel()
    bare_terraform.self_test()


@pytest.mark.skipif(not IS_ROOT, reason="shows that root with all capabilities is found out")
def test_the_self_test_finds_out_when_children_run_as_root_and_nothing_is_planned(tmp_path, monkeypatch):
    """E03, X3: undumpable alone does not stop a child with root's capabilities, where the kernel has no Landlock."""
    monkeypatch.setattr(sandbox_confinement, "landlock_abi", lambda: 0)
    monkeypatch.setattr(sandbox_module, "pick_uid", lambda: None)
    monkeypatch.setattr(sandbox_module.itertools, "count", lambda _: iter(lambda: None, 0))
    with TerraformCli(policy=Policy(), binary="embedded") as terraform, pytest.raises(ToolchainError, match="can read this process"):
        terraform.self_test()


NOBODY = """
import ctypes, sys
sys.path[:0] = {paths!r}
from ops_agent.adapters.terraform import sandbox_confinement
from ops_agent.adapters.terraform.sandbox import harden_this_process
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.domain.policy import Policy
from ops_agent.errors import ToolchainError
harden_this_process()
with TerraformCli(policy=Policy(), binary="embedded") as terraform:
    terraform.self_test()
    print(terraform._sandbox.isolation)
sandbox_confinement.landlock_abi = lambda: 0
with TerraformCli(policy=Policy(), binary="embedded") as terraform:
    terraform.engine()
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    try:
        terraform.self_test()
    except ToolchainError as error:
        print(error)
"""


def test_an_ordinary_users_run_is_closed_by_its_undumpable_parent_and_open_without(tmp_path):
    """E03, X3, non-root: the same probe passes with the parent hardened, and finds the leak when it is not."""
    python = "/usr/bin/python3" if IS_ROOT else sys.executable
    site = str(Path(sys.modules["pytest"].__file__).parents[1])
    code = NOBODY.format(paths=[str(Path(ops_agent.__file__).parents[1]), site])
    drop = {"user": 65534, "group": 65534, "extra_groups": []} if IS_ROOT else {}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd="/", env={"PATH": "/usr/bin:/bin"}, **drop)
    if done.returncode and ("Permission denied" in done.stderr or "No module named" in done.stderr or "requires" in done.stderr):
        pytest.skip(f"another user cannot start this Python or read this checkout: {done.stderr.splitlines()[-1]}")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("an undumpable parent"), done.stderr
    assert "can read this process (environment, memory, descriptors)" in lines[1]


@pytest.mark.skipif(not IS_ROOT, reason="mounting a small file system needs root")
def test_a_full_disk_is_named_and_nothing_is_left_half_done(tmp_path, mirror):
    """N06: init, plan and show on a file system without room."""
    small = Path(tempfile.mkdtemp(dir="/tmp"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0755", "tmpfs", str(small)], capture_output=True).returncode:
        small.rmdir()
        pytest.skip("this container may not mount")
    try:
        with TerraformCli(policy=Policy(), binary="embedded", temporary=small) as terraform, pytest.raises(NoSpace):
            tree = write(tmp_path, {"main.tf": "".join(f'output "o{n}" {{\n  value = "{n * 1000}"\n}}\n' for n in range(10))})
            with terraform.workspace(tree, bare_target(), None) as workspace:
                workspace.init()
                (small / "ballast").write_bytes(b"x" * (2 << 20))
                with (small / "rest").open("wb", buffering=0) as rest:
                    try:
                        while True:
                            rest.write(b"x" * 4096)
                    except OSError:
                        pass
                workspace.plan()
    finally:
        subprocess.run(["umount", str(small)], check=True)
        small.rmdir()


def test_hardening_keeps_this_process_working():
    harden_this_process()
    harden_this_process()
    assert Path("/proc/self/stat").read_text()


def test_a_hostile_plan_file_cannot_be_shown_instead_of_ours(tmp_path):
    """The plan that is shown is the one that was just made: its name is ours, its directory the child's alone."""
    with Sandbox(find_program("embedded", "")) as box:
        one, other = box.open_cell(), box.open_cell()
        assert one.out != other.out
        assert stat.S_IMODE(one.out.stat().st_mode) == 0o700
        config = box.root / "c.tfrc"
        config.write_text(configuration((), Policy().allowed_providers))
        config.chmod(0o644)
        result = box.run(one, show(one.out / "plan.tfplan", json=True), {"TF_CLI_CONFIG_FILE": str(config)}, patience=Patience(deadline=30))
        assert result.returncode == 1
        assert plan(out=one.out / "plan.tfplan").argv[-1].endswith("plan.tfplan")


def test_a_provider_whose_bytes_differ_from_the_lock_file_is_refused(terraform, tmp_path):
    """E11."""
    lock = 'provider "registry.terraform.io/hashicorp/aws" {\n  version = "3.39.0"\n  hashes = [\n    "h1:%s=",\n  ]\n}\n' % ("A" * 43)
    tree = write(tmp_path, {**service("locked"), "infra/.terraform.lock.hcl": lock})
    with terraform.workspace(tree, target(environment("dev")), None) as workspace:
        result = workspace.init()
    assert result.status is CheckStatus.FAILED
    assert "checksum" in result.findings[0].what


def test_a_lock_file_that_lacks_an_allow_listed_provider_is_completed_by_our_code(terraform, tmp_path):
    """D18: the llm never writes it; the bytes are offered for the change set."""
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
