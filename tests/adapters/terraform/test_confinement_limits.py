"""What no kernel rule prevents: the sandbox does not claim it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.terraform.test_confinement import PYTHON, confined
from ops_agent.adapters.terraform.confinement import filters_sockets, landlock_abi
from ops_agent.adapters.terraform.engine import find_program
from ops_agent.adapters.terraform.providers import Providers
from ops_agent.adapters.terraform.sandbox import Sandbox

pytestmark = pytest.mark.skipif(
    landlock_abi() < 6 or not filters_sockets() or not Path(PYTHON).exists(),
    reason="this kernel has no Landlock 6 or no seccomp",
)


@pytest.fixture
def closed() -> Iterator[Sandbox]:
    with Sandbox(find_program("embedded", "")) as made:
        yield made


def test_landlock_holds_port_numbers_and_not_hosts_and_no_more_is_stated(closed):
    port = closed._proxy.port
    with socket.create_server(("127.0.0.2", port)):
        assert confined(closed, f"socket.create_connection(('127.0.0.2', {port}), 5); print('here')") == "here"
    assert "TCP to the port numbers of" in str(closed.confinement)


def test_sockets_on_disk_are_held_by_their_permissions_alone(closed):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as server:
        os.chmod(folder, 0o755)
        server.bind(f"{folder}/s")
        server.listen()
        connect = f"socket.socket(socket.AF_UNIX).connect('{folder}/s'); print('here')"
        os.chmod(f"{folder}/s", 0o777)
        assert confined(closed, connect) == "here"
        os.chmod(f"{folder}/s", 0o700)
        own_uid = closed.confinement.own_uid
        assert ("PermissionError" if own_uid else "here") in confined(closed, connect)
        assert ("sockets on disk" in str(closed.confinement)) is not own_uid


def test_a_package_behind_a_link_that_a_child_made_is_not_taken_into_the_mirror(tmp_path):
    """A package in the mirror belongs to ops-agent, and every child can read it."""
    outside = tmp_path / "outside" / "hashicorp" / "aws" / "5.0.0" / "linux_amd64"
    outside.mkdir(parents=True)
    (outside / "private").write_text("x")
    (tmp_path / "run").mkdir()
    providers = tmp_path / "providers"
    providers.mkdir()
    (providers / "registry.terraform.io").symlink_to(tmp_path / "outside")
    made = Providers("", (), tmp_path / "run")
    made.take(providers, tmp_path / ".terraform.lock.hcl")
    assert (outside / "private").exists()
    assert [path for path in made.shared.rglob("*") if path.is_file()] == []


def test_a_private_file_is_closed_to_an_ordinary_users_child_as_well(closed):
    """Without root the uid is the same, and only Landlock separates them."""
    with tempfile.NamedTemporaryFile(dir="/tmp") as secret:
        os.chmod(secret.name, 0o644)
        assert "PermissionError" in confined(closed, f"open({secret.name!r})")
