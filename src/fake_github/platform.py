"""The embedded GitHub: one object that holds accounts, tokens, repositories and boards, and serves them on loopback."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from fake_github import webhooks
from fake_github.accounts import ACTIONS_BOT, GHOST, READ, WRITE, Account, AccountKind, Token, TokenKind
from fake_github.boards import COLUMNS, Board
from fake_github.faults import FaultPlan
from fake_github.issues import Issue
from fake_github.limits import RateLimit
from fake_github.recorder import Recorder
from fake_github.repositories import Repository
from fake_github.server import LoopbackServer

ACTIONS_PERMISSIONS = {"contents": WRITE, "pull_requests": WRITE, "issues": WRITE, "actions": READ}
APP_PERMISSIONS = {**ACTIONS_PERMISSIONS, "workflows": WRITE, "organization_projects": WRITE}


class EmbeddedGitHub:
    """`with EmbeddedGitHub() as github:` serves at `github.base_url`; without `with` call start() and stop().

    All state is behind `lock`. `clock` gives seconds since the epoch. `recorder` lists the API's requests, `faults`
    plans what goes wrong.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[str, Repository] = {}
        self.boards: list[Board] = []
        self.tokens: dict[str, Token] = {}
        self.apps: dict[str, Account] = {}
        # What an App asks for: at least what any token of it was given.
        self.app_permissions: dict[str, dict[str, str]] = {"github-actions": {}}
        self.recorder = Recorder()
        self.faults = FaultPlan()
        self.rate = RateLimit(self)
        self._last_id = 5000
        self._server = LoopbackServer(self)
        for known in (ACTIONS_BOT, GHOST):
            self.accounts[known.login.lower()] = Account(known.login, known.id, known.kind)
        self.apps["github-actions"] = self.account(ACTIONS_BOT.login)

    # The server

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, for REST and for pages; GraphQL is at `{base_url}/graphql`. The port is bound by the
        first look.
        """
        return self._server.url

    def start(self) -> EmbeddedGitHub:
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> EmbeddedGitHub:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What is there

    def now(self) -> str:
        """ISO 8601 UTC, whole seconds as GitHub gives them."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock()))

    def next_id(self) -> int:
        with self.lock:
            self._last_id += 1
            return self._last_id

    def account(self, who: Account | str) -> Account:
        """The account of that login. Raises KeyError for a login that nobody added."""
        if isinstance(who, Account):
            return who
        try:
            return self.accounts[who.lower()]
        except KeyError:
            raise KeyError(f"nobody is called {who!r} here; add_person or add_account first") from None

    def add_account(self, login: str, *, id: int | None = None, kind: AccountKind | None = None) -> Account:  # noqa: A002 - GitHub's word
        """The account of that login, made if needed. A login that ends in `[bot]` is a bot's."""
        with self.lock:
            known = self.accounts.get(login.lower())
            if known is None:
                kind = kind or (AccountKind.BOT if login.endswith("[bot]") else AccountKind.USER)
                known = self.accounts[login.lower()] = Account(login, id or self.next_id(), kind)
            elif id is not None and known.id != id:
                raise ValueError(f"{login} has the id {known.id} already")
            return known

    def add_organization(self, login: str, *, id: int | None = None) -> Account:  # noqa: A002 - GitHub's word
        return self.add_account(login, id=id, kind=AccountKind.ORGANIZATION)

    def add_repository(
        self,
        full_name: str,
        files: Mapping[str, bytes | str] | None = None,
        *,
        private: bool = True,
        default_branch: str = "main",
        id: int | None = None,  # noqa: A002 - GitHub's word
        modes: Mapping[str, str] | None = None,
    ) -> Repository:
        """`owner/name`; the owner becomes an organisation if unknown. Without `files` it has no commit at all."""
        owner, name = full_name.split("/")
        with self.lock:
            account = self.accounts.get(owner.lower()) or self.add_organization(owner)
            repository = Repository(self, account, name, private=private, default_branch=default_branch)
            repository.id = id or repository.id
            self.repositories[full_name.lower()] = repository
            if files:
                repository.commit(default_branch, dict(files), "Initial commit", by=account, modes=modes)
            return repository

    def add_board(
        self, owner: str, *, number: int, title: str = "Platform work", columns: tuple[str, ...] = COLUMNS
    ) -> Board:
        with self.lock:
            board = Board(
                self, self.accounts.get(owner.lower()) or self.add_organization(owner), number, title, tuple(columns)
            )
            self.boards.append(board)
            return board

    # Tokens

    def _issue_token(self, prefix: str, **fields: Any) -> str:
        with self.lock:
            digest = hashlib.sha256(f"{prefix}{self.next_id()}".encode()).hexdigest()
            secret = prefix + digest[: 36 if prefix != "github_pat_" else 60]
            self.tokens[secret] = Token(secret=secret, **fields)
            return secret

    def actions_token(self, repository: Repository, **permissions: str) -> str:
        """GITHUB_TOKEN of a job in `repository`. With no permissions named: contents, pull_requests, issues write,
        actions read.
        """
        return self._issue_token(
            "ghs_",
            kind=TokenKind.ACTIONS,
            account=self.account(ACTIONS_BOT.login),
            permissions=permissions or ACTIONS_PERMISSIONS,
            repositories=frozenset({repository.full_name.lower()}),
            installation_id=self.next_id(),
        )

    def app_token(
        self,
        slug: str = "ops-agent",
        *,
        bot_id: int | None = None,
        repositories: list[Repository] | None = None,
        **permissions: str,
    ) -> str:
        """Installation token of the app `slug`, which acts as `{slug}[bot]`. With no permissions named: all that
        ops-agent asks for.
        """
        bot = self.apps[slug] = self.add_account(f"{slug}[bot]", id=bot_id)
        reach = None if repositories is None else frozenset(r.full_name.lower() for r in repositories)
        granted = permissions or APP_PERMISSIONS
        self.app_permissions.setdefault(slug, {}).update(granted)
        return self._issue_token(
            "ghs_",
            kind=TokenKind.APP,
            account=bot,
            permissions=granted,
            repositories=reach,
            installation_id=self.next_id(),
        )

    def classic_token(self, person: str, *scopes: str) -> str:
        """Classic personal access token with scopes such as `repo`, `workflow`, `project`."""
        return self._issue_token("ghp_", kind=TokenKind.CLASSIC, account=self.account(person), scopes=scopes)

    def fine_grained_token(self, person: str, repositories: list[Repository], **permissions: str) -> str:
        reach = frozenset(r.full_name.lower() for r in repositories)
        return self._issue_token(
            "github_pat_",
            kind=TokenKind.FINE_GRAINED,
            account=self.account(person),
            permissions=permissions,
            repositories=reach,
        )

    def revoke(self, secret: str) -> None:
        """From now on the token answers 401, as an expired one does."""
        with self.lock:
            del self.tokens[secret]

    # Events

    def label(self, issue: Issue, name: str, *, by: str) -> dict[str, Any]:
        """Put a label on an issue as a person does; returns the webhook payload `issues.labeled`."""
        with self.lock:
            issue.add_label(name, by=by)
            return webhooks.labeled(issue, issue.repository.label(name), self.account(by))

    def dispatch(self, repository: Repository, *, by: str, inputs: Mapping[str, str]) -> dict[str, Any]:
        """The webhook payload `workflow_dispatch`."""
        with self.lock:
            return webhooks.workflow_dispatch(repository, self.account(by), inputs)

    def export_pages(self, folder: Path) -> list[Path]:
        """Write every page as self-contained HTML with relative links below `folder`; `index.html` first in the list."""
        from fake_github.pages.export import export_pages

        return export_pages(self, folder)
