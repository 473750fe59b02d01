"""Every test runs without a network: loopback only, and no ambient credentials."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings
from pytest_socket import socket_allow_hosts

# `make test` gives the same answer twice; `make proof` explores (OPS_AGENT_EXPLORE). No deadlines: the machine is
# shared.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("exploring", deadline=None)
settings.load_profile("exploring" if os.environ.get("OPS_AGENT_EXPLORE") else "steady")

# Whoever starts the tests in the background may have had SIGINT ignored; it would be ignored in every child too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_AMBIENT = ("AWS_", "TF_", "GITHUB_", "ACTIONS_", "ANTHROPIC_", "INPUT_", "RUNNER_")
_AMBIENT += ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS")


@pytest.fixture(autouse=True)
def loopback_only() -> None:
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_AMBIENT):
            monkeypatch.delenv(name)
