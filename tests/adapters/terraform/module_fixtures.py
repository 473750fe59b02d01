"""Fixtures of the module fetch's tests: a folder that the sandbox's users reach, and a private host in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.terraform.module_worlds import QUEUE, TOKEN, call, open_folder
from module_hosts import ModuleHost


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
