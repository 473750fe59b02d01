"""Offline plans against real ones of the same changes.

Run it by `PYTHONPATH=tests python tests/adapters/terraform/offline_agreement.py`.

The base of every case is applied to an emulated AWS by the real provider; then the head is planned for real (with
refresh) and offline, and the actions are compared. A resource that could not be applied, or whose base does not plan to
nothing, is not comparable and counted apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.terraform.offline_cases import CASES, side
from adapters.terraform.offline_worlds import Planned, planned
from adapters.terraform.worlds import DEV, PROD, service, write
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.providers import configuration
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.policy import Policy
from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.terraform import unpack_mirror, wheel_zips


def real_actions(mirror: Path, directory: Path) -> dict[str, dict[str, str]]:
    """Actions of a real plan of the base and of the head, by address, after the base was applied as far as it goes."""
    with EmbeddedAws(accounts={"dev": DEV, "prod": PROD}, trust={}) as aws:
        files = service("agreement", side(1))
        root = write(directory, files) / "infra"
        write(root, aws.overlay)
        versions = (root / "versions.tf").read_text().replace('  backend "s3" {}\n', "")
        write(root, {"versions.tf": versions.replace("= var.region\n", "= var.region\n  max_retries = 2\n", 1)})
        (root / "cli.tfrc").write_text(configuration([mirror], Policy().allowed_providers))
        variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(directory),
            "TF_CLI_CONFIG_FILE": str(root / "cli.tfrc"),
            "AWS_ACCESS_KEY_ID": PROD,
            "AWS_SECRET_ACCESS_KEY": "owner",
            "CHECKPOINT_DISABLE": "1",
        }

        def engine(*arguments: str) -> subprocess.CompletedProcess[str]:
            words = [sys.executable, "-I", "-m", "ops_agent_demo.terraform", *arguments]
            return subprocess.run(words, cwd=root, env=variables, capture_output=True, text=True, timeout=1500)

        def actions() -> dict[str, str]:
            engine("plan", "-input=false", "-no-color", "-out=p", "-var-file=environments/prod/terraform.tfvars")
            shown = engine("show", "-json", "p")
            changes = json.loads(shown.stdout)["resource_changes"]
            return {c["address"]: decided(c["change"]) for c in changes}

        assert engine("init", "-input=false", "-no-color").returncode == 0
        done = engine(
            "apply", "-auto-approve", "-input=false", "-no-color", "-var-file=environments/prod/terraform.tfvars"
        )
        (directory / "apply.log").write_text(done.stdout + done.stderr)
        base = actions()
        write(root, {"main.tf": side(2)})
        return {"base": base, "head": actions()}


def decided(change: Mapping[str, Any]) -> str:
    """The action of an entry, with what forces a replacement."""
    paths = sorted({str(path[0]) for path in change.get("replace_paths") or ()})
    return " ".join(("/".join(change["actions"]), *paths))


def compared(real: Mapping[str, Mapping[str, str]], offline: Planned) -> list[tuple[str, str, str]]:
    """(address, real, offline) of each comparable resource."""
    rows = []
    for address, actions in sorted(real["head"].items()):
        if real["base"].get(address) != "no-op":
            continue
        ours = "cannot tell" if address in offline.untold else decided(offline.entries[address]["change"])
        rows.append((address, actions, ours))
    return rows


def plan_both(mirror: Path, directory: Path) -> tuple[dict[str, dict[str, str]], Planned]:
    """The real actions and the offline plan of all cases."""
    real = real_actions(mirror, directory / "real")
    with TerraformCli(policy=Policy(), binary="embedded", mirror=str(mirror), patience=Patience(deadline=300)) as cli:
        before, after = (service("agreement", side(number)) for number in (1, 2))
        return real, planned(cli, directory / "offline", before, after)


def report(rows: list[tuple[str, str, str]]) -> str:
    """The counts, and every row that differs."""
    types = {address.partition(".")[0] for address, _, _ in rows}
    counts = Counter(
        (real.partition(" ")[0], "agrees" if real == ours else f"differs: {ours}") for _, real, ours in rows
    )
    lines = [f"{len(CASES)} cases; {len(rows)} resources of {len(types)} types could be compared"]
    lines += [f"{number} {real}: {how}" for (real, how), number in counts.most_common()]
    return "\n".join([*lines, *(f"{address}: {real}, offline {ours}" for address, real, ours in rows if real != ours)])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        print(report(compared(*plan_both(unpack_mirror(wheel_zips()[:1], Path(made) / "mirror"), Path(made)))))  # noqa: T201
