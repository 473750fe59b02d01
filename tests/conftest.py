"""Every test runs without a network: loopback only, and no ambient credentials."""

from __future__ import annotations

import os

import pytest
from pytest_socket import socket_allow_hosts

_AMBIENT = ("AWS_", "TF_", "GITHUB_", "ACTIONS_", "ANTHROPIC_", "INPUT_", "RUNNER_")


@pytest.fixture(autouse=True)
def loopback_only() -> None:
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_AMBIENT):
            monkeypatch.delenv(name)
