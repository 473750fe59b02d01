"""The embedded GitHub: the platform's state, served on loopback."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from werkzeug.wrappers import Request, Response

from fake_github import webhooks
from fake_github.objects import Issue, Platform, PullRequest, Repository
from fake_github.server import LoopbackServer

_API = ("/repos/", "/repositories/", "/apps/", "/user", "/graphql", "/installation/", "/rate_limit")


class EmbeddedGitHub(Platform):
    """`with EmbeddedGitHub() as github:` serves at `github.base_url`; without `with` call start() and stop().

    `recorder` lists the API's requests, `faults` plans what goes wrong. With `enterprise_url` it is a GitHub Enterprise
    Server that people reach at this address: REST is below `/api/v3`, GraphQL at `/api/graphql`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, enterprise_url: str = "") -> None:
        super().__init__(clock)
        self._enterprise_url = enterprise_url
        self._server = LoopbackServer(self._answer)

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, where it listens. The port is bound when this is first read."""
        return self._server.url

    @property
    def base_url(self) -> str:
        """For pages; without `enterprise_url` for REST too, with GraphQL at `{base_url}/graphql`."""
        return self._enterprise_url or self.address

    @property
    def api_url(self) -> str:
        return f"{self._enterprise_url}/api/v3" if self._enterprise_url else self.address

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

    def _answer(self, request: Request) -> Response:
        # Imported by the first request of its kind: the API's schema and the page templates take time to load.
        if self._enterprise_url:
            found = re.fullmatch(r"/api(/graphql)|/api/v3(/.*)", request.path)
            if found is not None:
                request = Request({**request.environ, "PATH_INFO": found[1] or found[2]})
            elif request.path.startswith(_API):
                return Response("404: Not Found", 404)
        if request.path.startswith(_API):
            from fake_github.api import serve

            return serve(self, request)
        if request.path.startswith("/_codeload/"):
            from fake_github.rest.branches import download

            return download(self, request)
        if request.path.startswith("/_joblog/"):
            from fake_github.rest.checks import download as job_log

            return job_log(self, request)
        from fake_github.pages.site import serve_page

        return serve_page(self, request)

    def label(self, issue: Issue, name: str, *, by: str) -> dict[str, Any]:
        """Apply a label to an issue as a person does; returns the webhook payload `issues.labeled`."""
        with self.lock:
            issue.add_label(name, by=by)
            return webhooks.labeled(issue, issue.repository.label(name), self.account(by))

    def close_event(self, issue: Issue, *, by: str) -> dict[str, Any]:
        """Close an issue as a person does, if it is open; returns the webhook payload `issues.closed`."""
        with self.lock:
            issue.close(by=by)
            return webhooks.closed(issue, self.account(by))

    def pull_request_event(self, pull: PullRequest, action: str, *, by: str) -> dict[str, Any]:
        """The webhook payload of `pull_request_target`."""
        with self.lock:
            return webhooks.pull_request(pull, action, self.account(by))

    def push_event(self, repository: Repository, branch: str, before: str, *, by: str) -> dict[str, Any]:
        """The webhook payload of `push`, after the branch moved from `before`."""
        with self.lock:
            return webhooks.push(repository, branch, before, self.account(by))

    def dispatch(self, repository: Repository, *, by: str, inputs: Mapping[str, str]) -> dict[str, Any]:
        """The webhook payload `workflow_dispatch`."""
        with self.lock:
            return webhooks.workflow_dispatch(repository, self.account(by), inputs)

    def export_pages(self, folder: Path) -> list[Path]:
        """Write every page as self-contained HTML with relative links below `folder`; `index.html` comes first."""
        from fake_github.pages.site import export_pages

        return export_pages(self, folder)
