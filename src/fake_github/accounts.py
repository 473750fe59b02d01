"""People, bots, organisations, and the tokens that they act with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

READ, WRITE = "read", "write"
ROLES = ("none", "read", "triage", "write", "maintain", "admin")
AREAS = ("contents", "pull_requests", "issues", "workflows", "organization_projects", "actions", "checks", "metadata")


class AccountKind(StrEnum):
    USER = "User"
    BOT = "Bot"
    ORGANIZATION = "Organization"


_NODE_PREFIX = {AccountKind.USER: "U_kgDO", AccountKind.BOT: "BOT_kgDO", AccountKind.ORGANIZATION: "O_kgDO"}


@dataclass(slots=True)
class Account:
    """One account. A bot's login ends in `[bot]` in REST, but not in GraphQL."""

    login: str
    id: int
    kind: AccountKind = AccountKind.USER

    @property
    def node_id(self) -> str:
        return f"{_NODE_PREFIX[self.kind]}{self.id}"

    @property
    def graphql_login(self) -> str:
        return self.login.removesuffix("[bot]") if self.kind is AccountKind.BOT else self.login


# The account of GITHUB_TOKEN on github.com.
ACTIONS_BOT = Account("github-actions[bot]", 41898282, AccountKind.BOT)
GHOST = Account("ghost", 10137)


def role_includes(role: str, needed: str) -> bool:
    return ROLES.index(role) >= ROLES.index(needed)


def legacy_permission(role: str) -> str:
    """REST's older field `permission`, which has neither triage nor maintain."""
    return {"triage": "read", "maintain": "write"}.get(role, role)


class TokenKind(StrEnum):
    ACTIONS = "GITHUB_TOKEN"
    APP = "GitHub App installation"
    CLASSIC = "classic personal access token"
    FINE_GRAINED = "fine-grained personal access token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret and what it may do. `permissions` maps an area to read or write; `repositories` are full names, None
    means all.

    Facts: GITHUB_TOKEN can have neither `workflows` nor `organization_projects`; a classic token has scopes instead of
    permissions.
    """

    secret: str = field(repr=False)
    kind: TokenKind
    account: Account
    permissions: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    repositories: frozenset[str] | None = None
    installation_id: int = 0

    def __post_init__(self) -> None:
        if unknown := set(self.permissions) - set(AREAS):
            raise ValueError(f"unknown permission {sorted(unknown)[0]}; known are {', '.join(AREAS)}")
        forbidden = {"workflows", "organization_projects"} & set(self.permissions)
        if self.kind is TokenKind.ACTIONS and forbidden:
            raise ValueError(f"GITHUB_TOKEN never has the permission {sorted(forbidden)[0]}")

    @property
    def is_integration(self) -> bool:
        """True for tokens of apps, GITHUB_TOKEN included."""
        return self.kind in (TokenKind.ACTIONS, TokenKind.APP)

    def reaches(self, full_name: str) -> bool:
        return self.repositories is None or full_name.lower() in self.repositories

    def may(self, area: str, level: str) -> bool:
        if area == "metadata":
            return True
        if self.kind is TokenKind.CLASSIC:
            if area == "organization_projects":
                return "project" in self.scopes or (level == READ and "read:project" in self.scopes)
            return "repo" in self.scopes and (area != "workflows" or "workflow" in self.scopes)
        granted = self.permissions.get(area, "none")
        return granted in (WRITE, level)
