"""The canary: before anything of the llm's is planned, everything that the sandbox promises on this machine is tried
from inside.

A hostile configuration tries to read this process and a private file through the engine; a child that is confined in
the same way tries to connect to another port of this machine, to send UDP, to signal this process.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform.cells import Cell
from ops_agent.adapters.terraform.commands import plan, show
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.errors import ToolchainError

_READ = {"environment", "memory", "descriptors", "secret_file", "other_file"}


def prove(sandbox: Sandbox, variables: Mapping[str, str]) -> None:
    """One plan without providers and one bare child. Raises ToolchainError when something that `sandbox.isolation`
    states does not hold.
    """
    promised = sandbox.confinement
    must_fail = {
        "environment": True,
        "memory": True,
        "descriptors": True,
        "secret_file": promised.own_uid or promised.files,
        "other_file": promised.own_uid or promised.files,
        "other_ports": promised.ports,
        "udp": promised.sockets,
        "signals": promised.signals,
    }
    with sandbox.cell() as cell:
        secret, control = cell.kept / "canary", cell.work / "main.tf"
        secret.write_bytes(os.urandom(16))
        secret.chmod(0o600)
        with secret.open("rb") as opened:
            # `control` proves that the configuration was executed and could have read: without it a broken probe would
            # look like a tight sandbox.
            process = f"/proc/{os.getpid()}"
            files = {
                "control": str(control),
                "environment": f"{process}/environ",
                "memory": f"{process}/auxv",
                "descriptors": f"{process}/fd/{opened.fileno()}",
                "secret_file": str(secret),
            }
            control.write_text("".join(_output(name, path) for name, path in files.items()))
            sandbox.hand_over(cell)
            found, said = _by_the_engine(sandbox, cell, variables)
            found |= _by_a_bare_child(sandbox, cell, secret, control)
    if not (found.get("control") is True and found.get("bare_control") is True and must_fail.keys() <= found.keys()):
        raise ToolchainError(f"The sandbox's self-test did not run on this machine, so no plan is made ({said})")
    leaks = [name for name, must in must_fail.items() if must and found[name] is not False]
    if leaks:
        what = "can read this process" if _READ & set(leaks) else "can leave its sandbox"
        named = ", ".join(leaks).replace("_", " ")
        raise ToolchainError(
            f"On this machine a Terraform configuration {what} ({named}), so no plan is made",
            hint=(
                "Run ops-agent as root in a container (children get a user id of their own) or as an ordinary user "
                "on Linux."
            ),
        )


def _output(name: str, path: str) -> str:
    return f'output "{name}" {{\n  value = can(filebase64("{path}"))\n}}\n'


def _by_the_engine(sandbox: Sandbox, cell: Cell, variables: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """Values of the outputs in `show -json`, empty when it is not readable; and how the plan ended."""
    plan_file, patience = cell.out / "probe.tfplan", Patience(deadline=60)
    answer = sandbox.run(cell, plan(out=plan_file), variables, patience=patience)
    shown = sandbox.run(cell, show(plan_file, json=True), variables, patience=patience)
    said = f"exit code {answer.returncode} {answer.stderr.decode(errors='replace').strip()[-300:]}".strip()
    try:
        outputs = json.loads(shown.stdout)["planned_values"]["outputs"]
        return {name: output["value"] for name, output in outputs.items()}, said
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}, said


def _by_a_bare_child(sandbox: Sandbox, cell: Cell, secret: Path, control: Path) -> dict[str, bool]:
    """The same file by other means, and what no configuration without a provider can try."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        return sandbox.attempt(cell, {"bare_control": control, "other_file": secret}, listener.getsockname()[1])
