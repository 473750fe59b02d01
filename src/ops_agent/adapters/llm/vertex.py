"""Google Vertex AI through the SDK's own client, without google-auth: the job's OIDC token is exchanged for one of
Google's by workload identity federation, and no key of a service account exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops_agent.adapters.aws.broker import EARLY
from ops_agent.config.settings import LlmSettings
from ops_agent.model.errors import LlmError
from ops_agent.model.ports import Clock

TOKEN_URL = "https://sts.googleapis.com/v1/token"  # noqa: S105 - an address
_HOSTS = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}


def vertex_url(region: str) -> str:
    return f"https://{_HOSTS.get(region, f'{region}-aiplatform.googleapis.com')}/v1"


def vertex_client(
    settings: LlmSettings,
    identity: Callable[[str], str],
    clock: Clock,
    exchange: Any,
    mask: Callable[[str], None],
    **given: Any,
) -> Any:
    """An `AnthropicVertex`; `given` are its own arguments, `exchange` is an HTTP client for TOKEN_URL, `mask` gets
    every token of Google's before it is used.
    """
    from anthropic import AnthropicVertex

    credentials: Any = _Credentials(settings.vertex_identity_provider, identity, clock, exchange, mask)
    return AnthropicVertex(
        region=settings.vertex_region, project_id=settings.vertex_project, credentials=credentials, **given
    )


class _Credentials:
    """What the SDK asks google-auth's credentials for. `token` raises LlmError when Google refuses the exchange."""

    expired = False

    def __init__(
        self,
        provider: str,
        identity: Callable[[str], str],
        clock: Clock,
        exchange: Any,
        mask: Callable[[str], None],
    ) -> None:
        self._provider, self._identity, self._clock, self._exchange = provider, identity, clock, exchange
        self._mask = mask
        self._token, self._ends = "", 0.0

    @property
    def token(self) -> str:
        if self._ends - self._clock.now() < EARLY:
            self._renew()
        return self._token

    def _renew(self) -> None:
        kind = "urn:ietf:params:oauth:token-type"
        asked = {
            "audience": f"//iam.googleapis.com/{self._provider}",
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requestedTokenType": f"{kind}:access_token",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "subjectTokenType": f"{kind}:jwt",
            "subjectToken": self._identity(f"https://iam.googleapis.com/{self._provider}"),
        }
        answer = self._exchange.post(TOKEN_URL, json=asked)
        if answer.status_code == 429 or answer.status_code >= 500:
            answer.raise_for_status()  # passes: asked again
        said = answer.json()
        if answer.status_code != 200:
            why = said.get("error_description") or said.get("error") or f"status {answer.status_code}"
            raise LlmError(
                f"Google did not take this job's OIDC token: {str(why)[:300]}",
                hint="Check `vertex_identity_provider`, and its condition on the token's `sub` (docs/setup/vertex.md).",
            )
        self._mask(said["access_token"])
        self._token, self._ends = said["access_token"], self._clock.now() + float(said["expires_in"])
