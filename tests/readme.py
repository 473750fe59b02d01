"""The README's workflows, from its own text: the minimal one, and the additions merged into it as the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
_SECTIONS = dict(re.findall(r"(?ms)^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT))
MINIMAL: str = re.findall(r"(?s)```yaml\n(.*?)```", _SECTIONS["First run"])[0]
_ADDITION = r"(?ms)^\*\*([^*\n]+)\*\*(?:(?!\n\*\*|```).)*\n```yaml\n(.*?)```"
ADDITIONS: dict[str, str] = dict(re.findall(_ADDITION, _SECTIONS["Add to it"]))
ACTION = "org/ops-agent@v1"


def _load(text: str) -> dict[str, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(text)
    return {"on" if key is True else key: value for key, value in loaded.items()}  # YAML 1.1 reads `on` as true


def with_additions(*names: str) -> dict[str, Any]:
    """The minimal workflow with these additions; `on` is the workflow's, every other key the job's."""
    workflow: dict[str, Any] = _load(MINIMAL)
    (job,) = workflow["jobs"].values()
    for name in names:
        addition = _load(ADDITIONS[name])
        workflow["on"] |= addition.pop("on", {})
        steps = addition.pop("steps", [])
        for key, value in addition.items():
            job[key] = job[key] | value if isinstance(value, dict) else value
        at = next(n for n, step in enumerate(job["steps"]) if step["uses"] == ACTION)
        for step in steps:
            if step["uses"] != ACTION:
                job["steps"].insert(at, step)
                at += 1
                continue
            given = job["steps"][at]["with"] | step.get("with", {})
            job["steps"][at] |= {**step, "with": given}
            at += 1
    return workflow
