"""action.yml, its other forms and the workflows as data."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SAMPLE_WORKFLOWS = sorted((ROOT / "src/ops_agent_demo").rglob("*.yml"))
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def load(path: Path) -> Any:
    """A YAML file; `on:` comes as True, as PyYAML reads it."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


ACTION = load(ROOT / "action.yml")


def run_script(step_id: str) -> str:
    """The shell script of one step of the composite action."""
    return next(step["run"] for step in ACTION["runs"]["steps"] if step["id"] == step_id)


def generator() -> ModuleType:
    """docs/generate.py as a module."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("generate_documents", ROOT / "docs/generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def bench_frame() -> ModuleType:
    """bench/frame.py as a module, wherever the tests are started from."""
    sys.path.append(str(ROOT))
    from bench import frame

    return frame


def steps_of(document: Any) -> list[dict[str, Any]]:
    """Every step of a workflow or of a composite action."""
    if "runs" in document:
        return list(document["runs"].get("steps", ()))
    return [step for job in document["jobs"].values() for step in job.get("steps", ())]


def whole_workflows(markdown: str) -> list[str]:
    """The YAML examples of a page that are complete workflows."""
    return [block for block in EXAMPLE.findall(markdown) if re.search(r"^jobs:", block, re.MULTILINE)]
