"""No test of the doctor leaves this machine, and none depends on its kernel."""

from __future__ import annotations

import pytest

from ops_agent.adapters.terraform import confinement
from ops_agent.doctor import outside


@pytest.fixture(autouse=True)
def everything_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "silence", lambda _network, _url: None)
    monkeypatch.setattr(confinement, "landlock_abi", lambda: 7)
    monkeypatch.setattr(confinement, "filters_sockets", lambda: True)
