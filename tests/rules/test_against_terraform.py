"""Differential: what Terraform reads from a file the guard has seen too, and what the guard computes is what Terraform
computes.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ops_agent.guard.values import Scope, evaluate
from ops_agent.model.terraform import TerraformSource
from ops_agent.terraform.hcl_tree_sitter import read_terraform
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


COMPUTED = [
    'format("%05d|%-6s|%6.2f|%x|%X|%b|%o|%q|%v|%t|%%|%+d", 42, "ab", 3.14159, 255, 255, 5, 8, "a\\"b", true, true, 7)',
    'format("%s-%s", "a", 12)',
    'formatlist("%s-%02d", ["a", "b"], 7)',
    'replace("a.b.c", "/[.]/", "-")',
    'replace("ab-cd", "/(\\\\w+)-(\\\\w+)/", "$${2}x$1")',
    'replace("9999-8888", "-", "")',
    'regex("^([a-z]+)-([0-9]+)", "ab-12")',
    'regex("[0-9]+", "ab-12")',
    'regexall("[0-9]+", "a1b22")',
    'strrev("abc")',
    'trim("xxaxx", "x")',
    'title("hello world")',
    "reverse([1, 2, 3])",
    'sort(["b", "a", "C"])',
    'slice(["a", "b", "c"], 1, 3)',
    "range(3)",
    "range(1, 10, 4)",
    'zipmap(["a", "b"], [1, 2])',
    'tonumber("12")',
    'parseint("ff", 16)',
    "max(3, 12, 9) - min(3, 12, 9)",
    "floor(7.9) + ceil(7.1)",
    'cidrhost("10.1.2.0/24", 5)',
    'cidrhost("1234:5678:9012::/48", 0)',
    'cidrsubnet("10.0.0.0/16", 8, 3)',
    'md5("x")',
    'base64sha256("x")',
    "999988 * 1000000 + 887777",
    "12 / 4",
    "7 / 2",
    "17 % 5",
    'join("", [for place in split("", "abc") : lookup({ a = "9", b = "8", c = "7" }, place)])',
]


@pytest.mark.terraform
@pytest.mark.skipif(TERRAFORM is None, reason="neither terraform nor tofu is on PATH")
def test_what_the_guard_computes_is_what_terraform_computes(tmp_path: Path) -> None:
    (tmp_path / "settings.tfrc").write_text("")
    (tmp_path / "main.tf").write_text("")
    environment = {"HOME": str(tmp_path), "TF_CLI_CONFIG_FILE": str(tmp_path / "settings.tfrc"), "PATH": os.defpath}
    assert TERRAFORM is not None
    result = subprocess.run(
        [TERRAFORM, "console", "-no-color"],
        cwd=tmp_path,
        env={**environment, "CHECKPOINT_DISABLE": "1"},
        input=f"base64encode(jsonencode([{', '.join(COMPUTED)}]))\n",
        capture_output=True,
        text=True,
    )
    theirs = json.loads(base64.b64decode(result.stdout.strip().strip('"')))
    source = read_terraform(
        b"locals {\n" + "".join(f"  x{n} = {t}\n" for n, t in enumerate(COMPUTED)).encode() + b"}\n"
    )
    assert isinstance(source, TerraformSource)
    ours = [evaluate(a.expression, Scope("sa-east-1")) for a in source.blocks[0].attributes]
    assert dict(zip(COMPUTED, ours, strict=True)) == dict(zip(COMPUTED, theirs, strict=True))
