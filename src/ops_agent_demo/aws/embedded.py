"""Start and stop of the emulated AWS, and what a run needs to be pointed at it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping

from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from ops_agent_demo.aws.accounts import Account
from ops_agent_demo.aws.front import Call, Front
from ops_agent_demo.aws.issuer import Issuer
from ops_agent_demo.aws.settings_files import OVERLAY_NAME, backend_overrides, provider_overlay
from ops_agent_demo.aws.trust import Refusal


class EmbeddedAws:
    """A context manager.

    `accounts` maps an environment's name to a 12-digit account, `trust` a role's ARN to the `sub` values that it
    accepts. Every account gets a state bucket `tfstate-ACCOUNT` in `region`. moto's own state is global to the process:
    the last `close` resets it.
    """

    _open = 0

    def __init__(
        self, *, accounts: Mapping[str, str], trust: Mapping[str, Iterable[str]], region: str = "sa-east-1"
    ) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.accounts, self.region = dict(accounts), region
        self.issuer = Issuer()
        self._front = Front(
            DomainDispatcherApplication(create_backend_app),
            self.issuer,
            {role: tuple(subs) for role, subs in trust.items()},
        )
        self._server = make_server("127.0.0.1", 0, self._front, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        EmbeddedAws._open += 1
        for account in self.accounts.values():
            self.account(account).make_bucket(self.state_bucket(account))

    @property
    def endpoint(self) -> str:
        """Base URL of every AWS service, STS included."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @staticmethod
    def state_bucket(account: str) -> str:
        return f"tfstate-{account}"

    def account(self, number: str) -> Account:
        """What a person can do with the console of one account: create objects and inspect them."""
        return Account(self.endpoint, number, self.region)

    def runner_variables(self, sub: str, **claims: str) -> dict[str, str]:
        """`ACTIONS_ID_TOKEN_REQUEST_URL` and `..._TOKEN` of a job whose JWTs carry `sub` (and `claims`)."""
        token = self.issuer.register({"sub": sub, **claims})
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.endpoint}/oidc/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
        }

    @property
    def overlay(self) -> dict[str, bytes]:
        """Files that the harness adds to every root module: the provider's endpoints (provider 3 and 4)."""
        return {OVERLAY_NAME: provider_overlay(self.endpoint)}

    @property
    def backend_overrides(self) -> bytes:
        """A further `-backend-config` file for S3 backends."""
        return backend_overrides(self.endpoint)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request since the start, in order; refused ones say with which code."""
        return tuple(self._front.calls)

    def invoking(self, access_key: str) -> tuple[str, str] | None:
        """Secret key and session token of a session whose policy lets it invoke an llm on Bedrock."""
        return self._front.invoking.get(access_key)

    def forget_calls(self) -> None:
        self._front.calls.clear()

    def shorten_sessions(self, seconds: float | None) -> None:
        """Sessions made from now on live `seconds` and then answer ExpiredToken; None gives them the life that was
        asked for.
        """
        self._front.session_seconds = seconds

    def answer_as(self, account: str) -> None:
        """GetCallerIdentity names this account, whoever asks (empty: the truth)."""
        self._front.acting_account = account

    def refuse_roles(self, refusal: Refusal | None) -> None:
        """AssumeRoleWithWebIdentity answers this from now on, as after a change of the trust policy; None ends it."""
        self._front.role_refusal = refusal

    def hold_role(self, role: str, until: threading.Event) -> None:
        """AssumeRoleWithWebIdentity for this role's ARN is answered when `until` is set: somebody is at work in the
        account.
        """
        self._front.held[role] = until

    def fail_next(self, *refusals: Refusal) -> None:
        """The next requests to the token endpoint or to STS are answered with these."""
        self._front.faults.extend(refusals)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        EmbeddedAws._open -= 1
        if not EmbeddedAws._open:
            moto_api_backend.reset()

    def __enter__(self) -> EmbeddedAws:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Calls are recorded, not printed."""
