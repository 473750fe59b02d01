"""Differential: what the real Terraform reads as a call of a file function, the guard has seen too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rules.judging import verdict_of
from rules.test_metamorphic import SPELLINGS

TERRAFORM = shutil.which("terraform") or shutil.which("tofu")
CANARY = "canary-of-the-differential-test"

FORMS = [
    *(s for s in SPELLINGS if not s.startswith("fileset")),
    '"$${file("CANARY")}"',
    '"$$${file("CANARY")}"',
    '"%%{ if true }x"',
    '<<EOT\n$${file("CANARY")}\nEOT\n',
    '<<EOT\n$$${file("CANARY")}\nEOT\n',
    '<<EOT\nE EOT\n${file("CANARY")}\nEOT\n',
    '<<EOT\n  EOT x\n${file("CANARY")}\n  EOT\n',
    '<<"EOT"\n${file("CANARY")}\nEOT\n',
    '"\\${file("CANARY")}"',
    '"\\\\${file("CANARY")}"',
    '"a\\"${file("CANARY")}"',
    'file(join("", ["CAN", "ARY"]))',
    'file("CANARY" /* x */)',
    'file("CANARY",)',
    'file(["CANARY"]...)',
    '{ "${file("CANARY")}" = 1 }',
    '{ (file("CANARY")) = 1 }',
    '[file("CANARY")][*]',
    'merge({}, { a = file("CANARY") }).a',
    '"${true ? "${file("CANARY")}" : ""}"',
    'templatestring("$${file(\\"CANARY\\")}", {})',
    '!(file("CANARY") == "")',
    '-length(file("CANARY"))',
    'file("CAN\\u0041RY")',
    '<<-EOT\n\t${file("CANARY")}\n\tEOT\n',
]


def _value(directory: Path, form: str) -> str | None:
    """What Terraform makes of the expression, None when it refuses it."""
    (directory / "canary.txt").write_text(CANARY)
    text = form.replace("CANARY", str(directory / "canary.txt")).replace(
        "/proc/self/environ", str(directory / "canary.txt")
    )
    (directory / "evil.tftpl").write_text('${file("' + str(directory / "canary.txt") + '")}')
    (directory / "main.tf").write_text(f'output "x" {{\n  value = {text}\n}}\n')
    settings = directory / "settings.tfrc"
    settings.write_text("")
    environment = {
        "HOME": str(directory),
        "TF_CLI_CONFIG_FILE": str(settings),
        "CHECKPOINT_DISABLE": "1",
        "PATH": os.defpath,
    }
    assert TERRAFORM is not None
    result = subprocess.run(
        [TERRAFORM, "plan", "-no-color", "-input=false"], cwd=directory, env=environment, capture_output=True, text=True
    )
    return result.stdout if result.returncode == 0 else None


@pytest.mark.proof
@pytest.mark.terraform
@pytest.mark.skipif(TERRAFORM is None, reason="neither terraform nor tofu is on PATH")
@pytest.mark.parametrize("form", FORMS)
def test_what_terraform_reads_from_a_file_the_guard_denies(form: str, tmp_path: Path) -> None:
    """The canary is outside of the repository, so reading it is always a denied read."""
    shown = _value(tmp_path, form)
    text = form.replace("CANARY", "/outside/canary.txt")
    blocked = verdict_of({"infra/x.tf": f'output "x" {{\n  value = {text}\n}}\n'.encode()}).blocked
    if shown is not None and CANARY in shown:
        assert blocked, shown
