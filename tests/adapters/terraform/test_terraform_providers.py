"""Providers: fetched once, shared by all targets, counted; hostile ones end with their deadline."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import ops_agent
from adapters.terraform.worlds import (
    BINARY,
    IS_ROOT,
    VERSIONS,
    alive,
    bare_target,
    changes,
    scripted,
    service,
    world,
    wrapped,
    write,
)
from doubles.tree import MemoryTree
from ops_agent.adapters.terraform.cli_config import Method
from ops_agent.adapters.terraform.confinement import landlock_abi
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.providers import Providers, configuration
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.config.settings import Settings
from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus
from ops_agent.run.verify import BasePlans, verify
from ops_agent_demo.terraform import wheel_zips

pytestmark = pytest.mark.terraform
INCLUDED = "registry.terraform.io/hashicorp/aws"
FILES = {"main.tf": VERSIONS.replace('  backend "s3" {}\n', ""), "terraform.tfvars": 'region = "sa-east-1"\n'}


def terraform_with(mirror: Path, deadline: float = 60) -> TerraformCli:
    return TerraformCli(
        policy=Policy(), binary="embedded", mirror=str(mirror), patience=Patience(deadline=deadline, after_interrupt=1)
    )


def test_a_provider_that_hangs_and_forks_is_killed_at_the_deadline_with_all_its_children(tmp_path, open_directory):
    script = "setsid sleep 300 &\necho $! > $TMPDIR/pid\nsleep 300"
    tree = write(tmp_path, FILES)
    with (
        terraform_with(scripted(open_directory, script), 3) as terraform,
        terraform.workspace(tree, bare_target(), None) as workspace,
    ):
        assert workspace.init().status is CheckStatus.PASSED
        begun = time.monotonic()
        check, left = workspace.plan()
        assert time.monotonic() - begun < 10
        assert not alive(int((workspace.cell.temporary / "pid").read_text()))
    assert left is None
    assert check.status is CheckStatus.FAILED
    assert "did not end within 3 s" in check.findings[0].what


INTERRUPTED = """
import sys
sys.path[:0] = {paths!r}
from functools import partial
from pathlib import Path
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.terraform import Environment, TerraformRoot, TerraformTarget
from ops_agent.model.policy import Policy
from ops_agent.run.verify import run_all
env = Environment(name="dev", account=None, backend_file=None)
target = TerraformTarget(root=TerraformRoot(path=".", environments=(env,)), environment=env)
def plan(terraform):
    with terraform.workspace(Path({tree!r}), target, None) as workspace:
        workspace.init()
        workspace.plan()
with TerraformCli(policy=Policy(), binary="embedded", mirror={mirror!r}) as terraform:
    print(terraform._sandbox.root, flush=True)
    run_all(terraform, {{str(n): partial(plan, terraform) for n in range(3)}})
"""


def test_an_interrupt_while_plans_run_ends_everything_in_five_seconds_and_leaves_nothing(tmp_path, open_directory):
    """Three plans with hanging, forking providers; no process, no directory, no plan is left."""
    hanging = scripted(open_directory, "setsid sleep 300 &\necho $! >> $TMPDIR/pids\nsleep 300")
    paths = [str(Path(ops_agent.__file__).parents[1]), *sys.path]
    code = INTERRUPTED.format(paths=paths, tree=str(write(tmp_path, FILES)), mirror=str(hanging))
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    root = Path(run.stdout.readline().strip())
    deadline = time.monotonic() + 60
    while (
        not (pids := [pid for file in root.glob("cell-*/tmp/pids") for pid in file.read_text().split()])
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert pids
    begun = time.monotonic()
    run.send_signal(signal.SIGINT)
    run.wait(20)
    assert time.monotonic() - begun < 5
    assert run.returncode != 0
    assert not root.exists()
    assert not [pid for pid in map(int, pids) if alive(pid)]


def test_a_provider_that_writes_into_the_working_directory_is_noticed_and_its_plan_thrown_away(
    tmp_path, open_directory, mirror
):
    """Only possible where the copy is writable at all; the change set never sees it."""
    script = "echo 'output \"x\" {}' > ./evil.tf; exec $real"
    tree = write(tmp_path, FILES)
    with (
        terraform_with(wrapped(open_directory, script, mirror / BINARY)) as terraform,
        terraform.workspace(tree, bare_target(), None) as workspace,
    ):
        assert workspace.init().status is CheckStatus.PASSED
        check, left = workspace.plan()
    assert check.status is CheckStatus.FAILED
    assert left is None
    assert ("evil.tf", "The plan wrote to the working directory. The file is not taken over.") in [
        (f.place.path, f.what) for f in check.findings
    ]
    assert not (tree / "evil.tf").exists()


@pytest.mark.skipif(
    not IS_ROOT and not landlock_abi(), reason="without Landlock or a user of its own the child owns its copy"
)
def test_with_a_lock_file_the_working_directory_cannot_be_written_at_all(tmp_path, open_directory, mirror):
    hostile = wrapped(open_directory, "(echo x > ./evil.tf) 2>/dev/null; exec $real", mirror / BINARY)
    with terraform_with(hostile) as terraform:
        with terraform.workspace(write(tmp_path, FILES), bare_target(), None) as workspace:
            workspace.init()
            lock = (workspace.directory / ".terraform.lock.hcl").read_bytes()
        tree = write(tmp_path, {".terraform.lock.hcl": lock})
        with terraform.workspace(tree, bare_target(), None) as workspace:
            assert workspace.init().status is CheckStatus.PASSED
            check, _ = workspace.plan()
            assert not (workspace.directory / "evil.tf").exists()
    assert check.status is CheckStatus.PASSED, check.findings


def test_the_number_of_provider_starts_is_the_one_that_verify_states(tmp_path, counted, any_terraform):
    """V, P and S of the formula in run/verify.py, without resources to refresh."""
    mirror, count = counted
    source = any_terraform._sandbox.program
    with TerraformCli(
        policy=Policy(),
        binary="embedded" if source.embedded else str(source.path),
        mirror=str(mirror),
        overlay=any_terraform._overlay,
    ) as terraform:
        tree = write(tmp_path, {**FILES, "topic.tf": 'resource "aws_sns_topic" "t" {\n  name = "t"\n}\n'})
        with terraform.workspace(tree, bare_target(), None) as workspace:
            workspace.variables = {
                **workspace.variables,
                "AWS_ACCESS_KEY_ID": "125611408459",
                "AWS_SECRET_ACCESS_KEY": "x",
            }
            assert workspace.init().status is CheckStatus.PASSED
            found = {"init": count()}
            workspace.validate()
            found["validate"] = count()
            assert workspace.plan(with_text=False)[0].status is CheckStatus.PASSED
            found["plan and one show"] = count()
            assert workspace.plan()[0].status is CheckStatus.PASSED
            found["plan and two shows"] = count()
        after = write(tmp_path / "after", {**FILES, "other.tf": 'resource "aws_sns_topic" "o" {\n  name = "o"\n}\n'})
        for number in (1, 2):
            with ExitStack() as stack:
                bases, heads = (
                    [stack.enter_context(terraform.workspace(side, bare_target(), None)) for _ in range(number)]
                    for side in (tree, after)
                )
                assert all(one.init().status is CheckStatus.PASSED for one in (*bases, *heads))
                sides = terraform.offline_bases(bases)
                found[f"base of {number} offline"] = count()
                assert all(made is not None for _, made in terraform.plan_offline(heads, sides))
                found[f"head of {number} offline"] = count()
    mocked = found["head of 2 offline"] - found["head of 1 offline"]
    assert mocked in (1, 9)  # Terraform 1.15 starts it once for a mocked run, 1.11 nine times
    assert found == {
        "init": 0,
        "validate": 2,
        "plan and one show": 4,
        "plan and two shows": 5,
        "base of 1 offline": 1 + mocked + 3,
        "head of 1 offline": mocked + 4,
        "base of 2 offline": 2 * mocked + 3,
        "head of 2 offline": 2 * mocked + 4,
    }


def test_zips_are_unpacked_once_and_shared_by_every_target(tmp_path, open_directory):
    """No network; the second target links to what the first fetched."""
    zips = open_directory / "zips/registry.terraform.io/hashicorp/aws"
    zips.mkdir(parents=True)
    shutil.copy(wheel_zips()[0], zips)
    for path in (open_directory / "zips").rglob("*"):
        path.chmod(0o755)
    (open_directory / "zips").chmod(0o755)
    tree = write(tmp_path, FILES)
    with terraform_with(open_directory / "zips") as terraform:
        for _ in range(2):
            with terraform.workspace(tree, bare_target(), None) as workspace:
                assert workspace.init().status is CheckStatus.PASSED
                used = next((workspace.cell.data / "providers").rglob("linux_amd64"))
                assert used.is_symlink()
                binary = next(used.iterdir())
                assert binary.stat().st_uid == os.geteuid()
                assert binary.resolve().is_relative_to(terraform._providers.shared)
                assert workspace.validate().status is CheckStatus.PASSED


@pytest.mark.proof
def test_a_lock_file_of_another_platform_holds_by_its_zips_and_only_by_them(tmp_path, open_directory):
    """As `terraform init` on a Mac writes it: `h1` of the Mac, `zh` of every platform. Two roots, two lock files, one
    fetched package; a third root's `zh` are of other zips, and a fourth has none.
    """
    archive = wheel_zips()[0]
    zips = open_directory / "zips/registry.terraform.io/hashicorp/aws"
    zips.mkdir(parents=True)
    shutil.copy(archive, zips)
    for path in (open_directory, *(open_directory / "zips").rglob("*"), open_directory / "zips"):
        path.chmod(0o755)
    zh = f"zh:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    other = f"zh:{'0' * 64}"
    held = {"a": ("h1:OneMac=", other, zh), "b": ("h1:OtherMac=", zh), "c": ("h1:OneMac=", other), "d": ("h1:OneMac=",)}
    files = {}
    for name, hashes in held.items():
        entry = "".join(f'    "{one}",\n' for one in hashes)
        text = f'provider "{INCLUDED}" {{\n  version = "3.39.0"\n  hashes = [\n{entry}  ]\n}}\n'
        files |= {f"{name}/.terraform.lock.hcl": text, f"{name}/main.tf": FILES["main.tf"]}
    tree = write(tmp_path, files)
    with terraform_with(open_directory / "zips") as terraform:
        for name in ("a", "b", "a", "c", "d", "b"):
            with terraform.workspace(tree, bare_target(name), None) as workspace:
                result = workspace.init()
                lock = (workspace.directory / ".terraform.lock.hcl").read_text()
                if name in "ab":
                    assert result.status is CheckStatus.PASSED, (name, result.findings)
                    assert lock.count('"h1:') == 2 and workspace.validate().status is CheckStatus.PASSED
                    assert next((workspace.cell.data / "providers").rglob("linux_amd64")).is_symlink()
                else:
                    assert result.status is CheckStatus.FAILED and lock == files[f"{name}/.terraform.lock.hcl"]
                    assert "doesn't match any of the checksums" in result.findings[0].what
        assert len([*terraform._providers.shared.rglob("linux_amd64")]) == 1
    assert (tree / "a/.terraform.lock.hcl").read_text() == files["a/.terraform.lock.hcl"]


def test_a_fetch_is_made_once_and_links_are_never_taken_over(tmp_path, monkeypatch):
    calls = []

    @contextmanager
    def installed(*_):
        calls.append(1)
        write(tmp_path / "data/providers", {"host/ns/good/1.0.0/linux_amd64/binary": "x"})
        bad = tmp_path / "data/providers/host/ns/bad/1.0.0/linux_amd64"
        bad.mkdir(parents=True)
        (bad / "binary").symlink_to("/etc/passwd")
        yield SimpleNamespace(data=tmp_path / "data", work=tmp_path)

    made = Providers("", (), tmp_path)
    terraform = TerraformCli(policy=Policy())
    monkeypatch.setattr(TerraformCli, "_providers", made)
    monkeypatch.setattr(terraform, "_installed", installed)
    for _ in range(3):
        terraform._fetch_providers(tmp_path, bare_target(), None)
    assert calls == [1]
    assert [str(p.relative_to(made.shared)) for p in made.shared.rglob("binary")] == [
        "host/ns/good/1.0.0/linux_amd64/binary"
    ]


def test_every_source_of_providers_names_the_allow_list():
    """At run time neither a mirror nor the registry serves anything else, and there is no third source."""
    one, two = (Method(kind="filesystem_mirror", place=place) for place in ("/a", "/b"))
    text = configuration((one, two, Method()), Policy().allowed_providers)
    assert text.count(INCLUDED) == 3
    assert (
        len(re.findall(r"include = ", text))
        == len(re.findall(r"(filesystem_mirror|direct|network_mirror) \{", text))
        == 3
    )
    assert "direct" not in configuration((one,), Policy().allowed_providers)
    assert "include" not in configuration((one, Method()), ())
    assert "mirror" not in configuration((one, Method()), ())


def test_the_list_of_a_root_is_what_init_installs_from_and_it_never_adds_a_registry(tmp_path, mirror):
    """Per workspace: what a root has on the base branch is known after the engine was built."""
    tree = write(tmp_path, FILES)
    statuses = []
    with terraform_with(mirror) as terraform:
        for providers in ((), None, (INCLUDED, "registry.terraform.io/a/own", "evil.example/hashicorp/aws"), ()):
            with terraform.workspace(tree, bare_target(), None, providers=providers) as workspace:
                statuses.append(workspace.init().status)
                served = Path(workspace.variables["TF_CLI_CONFIG_FILE"]).read_text()
                assert "evil" not in served and ("a/own" in served) is (len(providers or ()) == 3)
    assert statuses == [CheckStatus.FAILED, CheckStatus.PASSED, CheckStatus.PASSED, CheckStatus.FAILED]


@pytest.mark.parametrize("mirror", ["relative", "/no/such/directory"])
def test_a_mirror_that_is_not_there_is_named(mirror):
    with (
        TerraformCli(policy=Policy(), binary="embedded", mirror=mirror) as terraform,
        pytest.raises(ToolchainError, match="mirror"),
    ):
        terraform.engine()


@pytest.mark.skipif(not IS_ROOT, reason="only children with a user of their own can be shut out")
def test_a_mirror_that_the_children_cannot_read_is_named_with_the_remedy(tmp_path):
    tmp_path.chmod(0o700)
    with (
        TerraformCli(policy=Policy(), binary="embedded", mirror=str(tmp_path)) as terraform,
        pytest.raises(ToolchainError) as caught,
    ):
        terraform.engine()
    assert "chmod" in caught.value.hint


def test_a_second_round_starts_fewer_providers_and_reports_the_same_own_changes(tmp_path, counted, cloud, aws):
    """The formula in run/verify.py: V + 2*P + 3*S in the first round, V + P + 2*S in the second."""
    mirror, count = counted
    before = service("rounds")
    after = {**before, "infra/topic.tf": 'resource "aws_sns_topic" "t" {\n  name = "rounds"\n}\n'}
    tree, plans, found = write(tmp_path, after), BasePlans(), []
    with TerraformCli(
        policy=Policy(),
        binary="embedded",
        mirror=str(mirror),
        overlay=aws.overlay,
        backend_settings=aws.backend_overrides,
    ) as terraform:
        for _ in range(2):
            made = world(terraform, cloud)
            proof = verify(
                made, Settings(environments=("dev",)), MemoryTree(before), changes(before, after), tree, plans
            )
            assert proof.passed, proof.failed
            assert [target.own for target in proof.targets] == [{"aws_sns_topic.t"}]
            found.append(count())
    assert found == [2 + 2 * 3 + 3 * 1, 2 + 3 + 2 * 1]
