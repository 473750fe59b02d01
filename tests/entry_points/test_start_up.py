"""What a run loads before it knows what it will need: imports are most of the time until the first request to the
language model.
"""

from __future__ import annotations

import subprocess
import sys

LATER = {
    "anthropic": "in the background, when the run starts",
    "github": "by a run on GitHub",
    "actions_toolkit": "by a run on a runner",
    "rich": "by a run at a terminal",
    "lark": "when a file is judged",
    "ops_agent_demo": "by the demo",
    "ops_agent.doctor": "by the doctor",
}


def test_the_pipeline_is_loaded_without_what_only_some_runs_need() -> None:
    loaded = f"[name for name in {list(LATER)} if name in sys.modules]"
    code = f"import sys, ops_agent.__main__, ops_agent.cli; print(*{loaded})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert {name: LATER[name] for name in loaded} == {}
