"""Offline plans agree with real ones of the same changes, action and replaced attributes, for many types."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from adapters.terraform.offline_agreement import compared, plan_both

pytestmark = [pytest.mark.terraform, pytest.mark.proof]


@pytest.mark.timeout(1200)
def test_no_resource_is_planned_otherwise_offline(mirror, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        real, offline = plan_both(mirror, Path(directory))
    rows = compared(real, offline)
    assert [row for row in rows if row[1] != row[2]] == []
    assert len({address.partition(".")[0] for address, _, _ in rows}) >= 90
