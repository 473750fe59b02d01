"""A runner's folders and environment, for the action's own scripts, taken out of action.yml."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from entry_points.action_files import run_script

BASH = ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail"]


class Runner:
    """A runner's folders, and an environment in which everything that could be evil is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temp, self.workspace, self.home, self.action = (
            folder / name for name in ("temp", "workspace", "home", "action")
        )
        for place in (
            self.temp,
            self.workspace,
            self.home,
            self.action / "requirements",
            self.action / "src/ops_agent",
        ):
            place.mkdir(parents=True)
        (self.action / "src/ops_agent/__init__.py").write_text("print('ours')\n")
        self.output, self.evil = folder / "output", folder / "evil-was-here"
        trap = f"open({str(self.evil)!r}, 'a').write(__file__)\n"
        for name in (
            "json.py",
            "sitecustomize.py",
            "usercustomize.py",
            "pip.py",
            "venv.py",
            "anthropic/__init__.py",
            "ops_agent/__init__.py",
        ):
            place = self.workspace / name
            place.parent.mkdir(exist_ok=True)
            place.write_text(trap)
        (self.workspace / "startup.py").write_text(trap)
        (self.workspace / "pyproject.toml").write_text("[build-system]\nrequires=['evil']\n")

    def begin_a_job(self) -> None:
        """A runner empties its temporary folder before each job."""
        shutil.rmtree(self.temp)
        self.temp.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        known = {
            "PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin",
            "HOME": str(self.home),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(self.output),
            "PYTHONPATH": str(self.workspace),
            "PYTHONSTARTUP": str(self.workspace / "startup.py"),
            "PYTHONHOME": "/nonexistent",
            "PYTHONUSERBASE": str(self.workspace),
            "ACTION_PATH": str(self.action),
            "PIP_CONFIG_FILE": "/dev/null",
        }
        return known | more

    def start(self, step: str, **more: str) -> subprocess.Popen[str]:
        script = self.folder / f"{step}.sh"
        script.write_text(run_script(step))
        return subprocess.Popen(
            [*BASH, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.workspace,
            env=self.environment(**more),
        )

    def run(self, step: str, **more: str) -> tuple[int, str]:
        process = self.start(step, **more)
        said, _ = process.communicate(timeout=100)
        return process.returncode, said
