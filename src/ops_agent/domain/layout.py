"""Where Terraform stands in a repository: root modules and the environments each of them serves."""

from __future__ import annotations

from dataclasses import dataclass

from ops_agent.domain.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment of a root. Paths are relative to the repository's root; None / empty means that the file is missing.

    `account` is the 12-digit AWS account that the action's inputs give this environment, None if they give none. `unsettled` says in one
    sentence why it must not be planned: which of its files are meant, or which state, cannot be told. A guess would be worse than no plan.
    """

    name: str
    account: str | None
    backend_file: str | None
    var_files: tuple[str, ...] = ()
    unsettled: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformRoot:
    """A root module: its directory (`.` is the repository's root), environments, and the local modules that it reaches at any depth."""

    path: str
    environments: tuple[Environment, ...]
    local_modules: tuple[str, ...] = ()
    has_backend: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All roots of a repository, its workflow files, and what was odd about them.

    `suggestion` holds lines for the policy file that settle what could not be told; empty when nothing is open that a mapping can settle.
    """

    roots: tuple[TerraformRoot, ...]
    workflows: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    suggestion: str = ""

    @property
    def environment_names(self) -> tuple[str, ...]:
        return tuple(sorted({e.name for r in self.roots for e in r.environments}))


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformTarget:
    """One root in one environment: what a plan is made for."""

    root: TerraformRoot
    environment: Environment

    def __str__(self) -> str:
        return f"{self.root.path} ({self.environment.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedEnvironment:
    """One environment as the policy file names it. Paths are relative to the repository's root."""

    name: str
    backend_file: str | None = None
    var_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedRoot:
    """One root module as the policy file names it: it replaces what discovery would guess for this directory."""

    path: str
    environments: tuple[MappedEnvironment, ...]
