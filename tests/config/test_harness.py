"""The harness can only ever point at this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops_agent.config.harness import Harness, read_harness
from ops_agent.model.errors import ConfigError


def _file(folder: Path, document: Any) -> dict[str, str]:
    path = folder / "harness.json"
    path.write_text(json.dumps(document))
    return {"OPS_AGENT_HARNESS": str(path)}


def test_without_the_variable_nothing_is_overridden() -> None:
    assert read_harness({}) == Harness()


def test_a_loopback_harness_is_read(tmp_path: Path) -> None:
    harness = read_harness(
        _file(
            tmp_path, {"aws_endpoint": "http://127.0.0.1:4000", "terraform_overlay": {"x.tf": "# http://localhost:1/"}}
        )
    )
    assert harness.aws_endpoint == "http://127.0.0.1:4000"
    assert harness.terraform_overlay == {"x.tf": b"# http://localhost:1/"}


@pytest.mark.parametrize(
    "document",
    [
        {"aws_endpoint": "https://sts.example.com"},
        {"aws_endpoint": "http://127.0.0.1.example.com/"},
        {"aws_endpoint": "http://127.0.0.1@example.com/"},
        {"terraform_overlay": {"x.tf": 'endpoint = "https://example.com"'}},
        {"terraform_variables": {"HTTPS_PROXY": "socks5://example.com:1"}},
        {"backend_settings": 'endpoint = "HTTP://example.com"'},
    ],
)
def test_a_harness_that_names_another_machine_stops_the_run(tmp_path: Path, document: Any) -> None:
    with pytest.raises(ConfigError, match="not this machine"):
        read_harness(_file(tmp_path, document))


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_harness_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "harness.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_harness({"OPS_AGENT_HARNESS": str(path)})


def test_a_harness_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_harness({"OPS_AGENT_HARNESS": str(tmp_path / "none.json")})
