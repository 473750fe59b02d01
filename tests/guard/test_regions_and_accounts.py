"""Regions that samples cannot show, because the samples' policy has one region."""

from __future__ import annotations

import pytest

from ops_agent.guard.regions_and_accounts import foreign_regions


@pytest.mark.parametrize(
    ("text", "short", "region"),
    [
        ("usgw1-az1", "usgw1", "us-gov-west-1"),
        ("usw2-lax1-az1", "usw2", "us-west-2"),
        ("apse2-az3 and .apse2.cache.amazonaws.com", "apse2", "ap-southeast-2"),
    ],
)
def test_a_short_name_is_foreign_outside_its_own_region_alone(text: str, short: str, region: str) -> None:
    assert foreign_regions(text, region) == ()
    assert foreign_regions(text, "sa-east-1") == (short,)
