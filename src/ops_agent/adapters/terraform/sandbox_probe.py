"""The canary: before anything of the llm's is planned, a hostile configuration tries to read this process, on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.adapters.terraform.subprocesses import Patience
from ops_agent.adapters.terraform.terraform_commands import plan, show
from ops_agent.errors import ToolchainError

# `control` proves that the configuration was executed and could have read: without it a broken probe would look like a tight sandbox.
_HOSTILE = """\
output "control" {{
  value = can(filebase64("/proc/{pid}/stat"))
}}
output "environment" {{
  value = can(filebase64("/proc/{pid}/environ"))
}}
output "memory" {{
  value = can(filebase64("/proc/{pid}/auxv"))
}}
output "descriptors" {{
  value = can(filebase64("/proc/{pid}/fd/{descriptor}"))
}}
output "secret_file" {{
  value = {own_uid} && can(filebase64("{secret}"))
}}
"""
_ANSWERS = ("control", "environment", "memory", "descriptors", "secret_file")


def prove(sandbox: Sandbox, variables: Mapping[str, str]) -> None:
    """One plan without providers. Raises ToolchainError when it could read our environment, memory, descriptors or private files."""
    cell = sandbox.open_cell()
    try:
        secret = cell.kept / "canary"
        secret.write_bytes(os.urandom(16))
        secret.chmod(0o600)
        own_uid = "true" if cell.uid is not None else "false"
        with secret.open("rb") as opened:
            text = _HOSTILE.format(pid=os.getpid(), descriptor=opened.fileno(), own_uid=own_uid, secret=secret)
            (cell.work / "main.tf").write_text(text)
            sandbox.hand_over(cell)
            plan_file, patience = cell.out / "probe.tfplan", Patience(deadline=60)
            answer = sandbox.run(cell, plan(out=plan_file), variables, patience=patience)
            shown = sandbox.run(cell, show(plan_file, json=True), variables, patience=patience)
    finally:
        sandbox.close_cell(cell)
    found = _answers(shown.stdout)
    if found.get("control") is not True or set(found) != set(_ANSWERS):
        what = answer.stderr.decode(errors="replace").strip()[-300:]
        raise ToolchainError(
            f"The sandbox's self-test did not run on this machine, so no plan is made (exit code {answer.returncode}) {what}"
        )
    leaks = [name.replace("_", " ") for name in _ANSWERS[1:] if found[name] is not False]
    if leaks:
        raise ToolchainError(
            f"On this machine a Terraform configuration can read this process ({', '.join(leaks)}), so no plan is made",
            hint="Run ops-agent as root in a container (children get a user id of their own) or as an ordinary user on Linux.",
        )


def _answers(shown: bytes) -> dict[str, Any]:
    """Values of the outputs in `show -json`; empty when it is not readable."""
    try:
        outputs = json.loads(shown)["planned_values"]["outputs"]
        return {name: output["value"] for name, output in outputs.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
