"""Offline plans agree with real ones of the same changes, action and replaced attributes, for many types."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from adapters.terraform.offline_agreement import compared, plan_both

pytestmark = [pytest.mark.terraform, pytest.mark.proof]
# A filesystem mirror with AWS provider 5, which no package index has.
MIRROR_5 = Path(os.environ.get("AWS_PROVIDER_5_MIRROR", "/opt/tf-plugins"))


@pytest.mark.timeout(1700)
@pytest.mark.parametrize("version", [3, 5])
def test_no_resource_is_planned_otherwise_offline(mirror, version):
    if version == 5 and not [*MIRROR_5.glob("registry.terraform.io/hashicorp/aws/5.*")]:
        pytest.skip("needs a mirror with AWS provider 5")
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        real, offline = plan_both(mirror if version == 3 else MIRROR_5, Path(directory))
    rows = compared(real, offline)
    assert [row for row in rows if row[1] != row[2]] == []
    assert len({address.partition(".")[0] for address, _, _ in rows}) >= 90
