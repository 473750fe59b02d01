"""The outside world, as the rest of the house sees it: Protocols, and World which holds one of each.

Every method raises only classes of `ops_agent.errors`. Adapters translate; they never decide.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ops_agent.ports.checking import CloudIdentity, CredentialLease, Linters, PlanFiles, Terraform, TerraformWorkspace
from ops_agent.ports.hosting import BaseTree, Board, BoardCard, CodeHost, Review, TokenAbilities
from ops_agent.ports.running import Clock, Llm, Reporter, Scratch, ScratchRefusal

__all__ = [
    "BaseTree",
    "Board",
    "BoardCard",
    "Clock",
    "CloudIdentity",
    "CodeHost",
    "CredentialLease",
    "Linters",
    "Llm",
    "PlanFiles",
    "Reporter",
    "Review",
    "Scratch",
    "ScratchRefusal",
    "Terraform",
    "TerraformWorkspace",
    "TokenAbilities",
    "World",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One adapter per outside thing, built in __main__ (or by a test). `scratch` makes a fresh tree, removed when the context closes."""

    code_host: CodeHost
    board: Board
    llm: Llm
    cloud: CloudIdentity
    terraform: Terraform
    linters: Linters
    reporter: Reporter
    clock: Clock
    scratch: Callable[[BaseTree], AbstractContextManager[Scratch]]
    redact: Callable[[str], str]
