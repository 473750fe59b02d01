"""The providers of a lock file, as the evidence names them."""

from __future__ import annotations

import pytest

from ops_agent.terraform.modules import locked_providers
from ops_agent_demo.story import SAMPLE

TWO = b'provider "r/b/two" {\n  version = "2.0.1"\n  hashes = ["h1:x="]\n}\nprovider "r/a/one" {\n}\n'


@pytest.mark.parametrize(
    ("lock_file", "said"),
    [
        ((SAMPLE / "infra/.terraform.lock.hcl").read_bytes(), ("registry.terraform.io/hashicorp/aws 3.39.0",)),
        (TWO, ("r/a/one of no version", "r/b/two 2.0.1")),
        (b'provider "r/a/one" {', ()),
        (b"", ()),
    ],
    ids=["as terraform writes it", "several", "unreadable", "empty"],
)
def test_every_locked_provider_is_named_with_its_version(lock_file: bytes, said: tuple[str, ...]) -> None:
    assert locked_providers(lock_file) == said
