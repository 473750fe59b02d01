"""The SDK's client: one explicit credential, our own HTTP client, nothing from the environment.

The SDK reads credentials, base URL, headers and proxies from the environment when they are not given; here all are
given (the proxy and certificates as a `Network`), and the variables that cannot be given (`ANTHROPIC_CUSTOM_HEADERS`)
are hidden while the client is built.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ops_agent.adapters.llm.bedrock import BEDROCK_URL, BedrockKeys, bedrock_client
from ops_agent.adapters.llm.vertex import TOKEN_URL, vertex_client, vertex_url
from ops_agent.adapters.network import DIRECT, Network
from ops_agent.config.settings import LlmSettings
from ops_agent.model.errors import ConfigError, LlmError
from ops_agent.model.ports import Clock

DEFAULT_URL = "https://api.anthropic.com"
FEDERATION_AUDIENCE = "https://api.anthropic.com"
STALL_SECONDS = 660.0
"""A model may think for ten minutes, and a gateway may keep its pings; a request sent again is paid twice."""
_KEPT_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), seconds)
    for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
]
"""A machine that is gone is noticed in 90 seconds, and nothing between forgets a connection that is silent."""
_AMBIENT = ("ANTHROPIC_", "AWS_BEARER_TOKEN_BEDROCK", "OTEL_")

IdentityToken = Callable[[str], str]
"""Audience in, a freshly minted single-use OIDC token (JWT) out."""


def address_of(settings: LlmSettings, region: str) -> str:
    """Where the llm is asked; `region` is Bedrock's."""
    usual = BEDROCK_URL.format(region=region) if settings.use_bedrock else DEFAULT_URL
    return settings.base_url or (vertex_url(settings.vertex_region) if settings.vertex_project else usual)


def build_client(
    settings: LlmSettings,
    *,
    region: str,
    clock: Clock,
    deadline: Callable[[], float],
    identity: IdentityToken | None,
    bedrock: BedrockKeys | None,
    mask: Callable[[str], None] = lambda _: None,
    network: Network = DIRECT,
) -> Any:
    """An `Anthropic`, `AnthropicBedrock` (in `region`) or `AnthropicVertex` client without retries of its own.

    `deadline` gives the monotonic time at which the request under way is cut off. Raises ConfigError without a
    credential, LlmError when Bedrock has no keys.
    """
    import anthropic

    base_url = address_of(settings, region)
    http_client = _http_client(clock, deadline, network, base_url)
    common = {"max_retries": 0, "http_client": http_client, "timeout": http_client.timeout, "open_telemetry": False}
    with _without_ambient():
        if settings.use_bedrock:
            if bedrock is None:
                hint = "Set `bedrock_role_arn` to a role that may only invoke the llm (docs/setup/bedrock.md)."
                raise LlmError("`use_bedrock` is set, but there are no AWS keys for it", hint=hint)
            return bedrock_client(bedrock, clock, region=region, base_url=base_url, **common)
        if settings.anthropic_api_key:
            return anthropic.Anthropic(api_key=settings.anthropic_api_key, base_url=base_url, **common)
        if settings.vertex_project and identity is not None:
            exchange = _http_client(clock, deadline, network, TOKEN_URL)
            return vertex_client(settings, identity, clock, exchange, mask, base_url=base_url, **common)
        if settings.anthropic_federation_rule_id and identity is not None:
            credentials = _federation(settings, identity, _http_client(clock, deadline, network, base_url), mask)
            return anthropic.Anthropic(credentials=credentials, base_url=base_url, **common)
    federation = "`anthropic_federation_rule_id` with the job's `id-token: write`"
    raise ConfigError(
        "there is no credential for the llm",
        hint=f"Set `anthropic_api_key`, or {federation}, or `use_bedrock`, or `vertex_project`.",
    )


def _federation(settings: LlmSettings, identity: IdentityToken, http_client: Any, mask: Callable[[str], None]) -> Any:
    """Workload identity federation: GitHub's OIDC token for a short-lived API token; every exchange mints a new one."""
    from anthropic.lib.credentials import AccessToken, WorkloadIdentityCredentials

    class Masked(WorkloadIdentityCredentials):
        def __call__(self, *, force_refresh: bool = False) -> AccessToken:
            made = super().__call__(force_refresh=force_refresh)
            mask(made.token)
            return made

    return Masked(
        identity_token_provider=lambda: identity(FEDERATION_AUDIENCE),
        federation_rule_id=settings.anthropic_federation_rule_id,
        organization_id=settings.anthropic_organization_id,
        service_account_id=settings.anthropic_service_account_id or None,
        workspace_id=settings.anthropic_workspace_id or None,
        http_client=http_client,
    )


@contextmanager
def _without_ambient() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_AMBIENT)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _http_client(clock: Clock, deadline: Callable[[], float], network: Network, url: str) -> Any:
    """A client for the host of `url`. Nothing from the environment; no redirect; every body is cut off at the
    deadline.
    """
    import httpx2

    class Bounded(httpx2.SyncByteStream):
        """A server that sends pings for ever never stalls: the read timeout alone would not end it."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._inner:
                if clock.monotonic() > deadline():
                    raise httpx2.ReadTimeout("the answer took longer than a request may take")
                yield chunk

        def close(self) -> None:
            self._inner.close()

    class Transport(httpx2.HTTPTransport):
        def handle_request(self, request: Any) -> Any:
            response = super().handle_request(request)
            response.stream = Bounded(response.stream)
            return response

    timeout = httpx2.Timeout(STALL_SECONDS, connect=15.0)
    proxy = network.proxy_of(url)
    transport = Transport(
        trust_env=False,
        verify=network.context() if network.bundle else True,
        proxy=proxy.url if proxy else None,
        socket_options=_KEPT_ALIVE,
    )
    return httpx2.Client(transport=transport, trust_env=False, follow_redirects=False, timeout=timeout)
