"""The SDK's client: one explicit credential, our own HTTP client, nothing ambient.

The SDK reads credentials, base URL, headers and proxies from the environment when they are not given; here all are
given, and the variables that cannot be given (`ANTHROPIC_CUSTOM_HEADERS`) are hidden while the client is built.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import Usage
from ops_agent.model.errors import ConfigError, LlmError, ToolchainError
from ops_agent.model.ports import Clock

DEFAULT_URL = "https://api.anthropic.com"
FEDERATION_AUDIENCE = "https://api.anthropic.com"
STALL_SECONDS = 60.0
_AMBIENT = ("ANTHROPIC_", "AWS_BEARER_TOKEN_BEDROCK", "OTEL_")

IdentityToken = Callable[[str], str]
"""Audience in, a freshly minted single-use OIDC token (JWT) out."""

BedrockKeys = Callable[[], tuple[str, str, str]]
"""Access key id, secret access key and session token of the invoke-only role."""


def build_client(
    settings: LlmSettings,
    *,
    region: str,
    clock: Clock,
    deadline: Callable[[], float],
    identity: IdentityToken | None,
    bedrock: BedrockKeys | None,
) -> Any:
    """An `anthropic.Anthropic` (or `AnthropicBedrock`) client without retries of its own.

    `region` is where Bedrock is asked. `deadline` gives the monotonic time at which the request under way is cut off.
    Raises ConfigError without a credential, ToolchainError when Bedrock's extra is missing, LlmError when it has no
    keys.
    """
    import anthropic

    common: dict[str, Any] = {
        "max_retries": 0,
        "http_client": _http_client(clock, deadline),
        "timeout": _timeout(),
        "open_telemetry": False,
    }
    with _without_ambient():
        if settings.use_bedrock:
            return _bedrock_client(settings.base_url, region, bedrock, common)
        base_url = settings.base_url or DEFAULT_URL
        if settings.anthropic_api_key:
            return anthropic.Anthropic(api_key=settings.anthropic_api_key, base_url=base_url, **common)
        if settings.anthropic_federation_rule_id and identity is not None:
            return anthropic.Anthropic(
                credentials=_federation(settings, identity, clock, deadline), base_url=base_url, **common
            )
    raise ConfigError(
        "there is no credential for the llm",
        hint=(
            "Set `anthropic_api_key`, or `anthropic_federation_rule_id` with the job's `id-token: write`, or "
            "`use_bedrock`."
        ),
    )


def _federation(settings: LlmSettings, identity: IdentityToken, clock: Clock, deadline: Callable[[], float]) -> Any:
    """Workload identity federation: GitHub's OIDC token for a short-lived API token; every exchange mints a new one."""
    from anthropic.lib.credentials import WorkloadIdentityCredentials

    return WorkloadIdentityCredentials(
        identity_token_provider=lambda: identity(FEDERATION_AUDIENCE),
        federation_rule_id=settings.anthropic_federation_rule_id,
        organization_id=settings.anthropic_organization_id,
        service_account_id=settings.anthropic_service_account_id or None,
        workspace_id=settings.anthropic_workspace_id or None,
        http_client=_http_client(clock, deadline),
    )


def _bedrock_client(base_url: str, region: str, bedrock: BedrockKeys | None, common: dict[str, Any]) -> Any:
    try:
        import boto3  # type: ignore[import-untyped]  # noqa: F401 - the SDK signs with it, and says so only at the first request
        from anthropic import AnthropicBedrock
    except ImportError as missing:
        raise ToolchainError(
            f"`use_bedrock` needs the package {missing.name}",
            hint="Install the extra: pip install 'ops-agent[bedrock]'.",
        ) from missing
    if bedrock is None:
        raise LlmError(
            "`use_bedrock` is set, but there are no AWS keys for it",
            hint="Set `bedrock_role_arn` to an invoke-only role.",
        )
    access_key, secret_key, session_token = bedrock()
    return AnthropicBedrock(
        aws_access_key=access_key,
        aws_secret_key=secret_key,
        aws_session_token=session_token,
        aws_region=region,
        base_url=base_url or f"https://bedrock-runtime.{region}.amazonaws.com",
        **common,
    )


@contextmanager
def _without_ambient() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_AMBIENT)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _timeout() -> Any:
    import httpx2

    return httpx2.Timeout(STALL_SECONDS, connect=15.0)


def _http_client(clock: Clock, deadline: Callable[[], float]) -> Any:
    """No proxy, CA bundle or netrc from the environment; no redirect; every body is cut off at the deadline."""
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

    return httpx2.Client(
        transport=Transport(trust_env=False), trust_env=False, follow_redirects=False, timeout=_timeout()
    )


# What a request costs: the API's price list, as published on 2026-10-24 at
# platform.claude.com/docs/en/about-claude/pricing.
#
# Prices move. A family that is not listed is counted at the dearest listed rates, so that a budget errs on the safe
# side.


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens. A cache write is counted at the five-minute rate, the only one that we ask for."""

    input: float
    output: float
    cache_write: float
    cache_read: float


_FAMILIES: tuple[tuple[str, Price], ...] = (
    ("claude-fable-5-1", Price(10, 50, 12.5, 0.25)),
    ("claude-mythos-5-1", Price(10, 50, 12.5, 0.25)),
    ("claude-fable-5", Price(10, 50, 12.5, 1)),
    ("claude-mythos-5", Price(10, 50, 12.5, 1)),
    ("claude-opus-5-5", Price(4, 20, 5, 0.20)),
    ("claude-opus-5", Price(5, 25, 6.25, 0.5)),
    ("claude-opus-4-1", Price(15, 75, 18.75, 1.5)),
    ("claude-opus-4", Price(5, 25, 6.25, 0.5)),
    ("claude-sonnet-5-5", Price(2, 10, 2.5, 0.10)),
    ("claude-sonnet-5", Price(2, 10, 2.5, 0.20)),
    ("claude-sonnet-4", Price(3, 15, 3.75, 0.3)),
    ("claude-haiku-5-5", Price(0.5, 2.5, 0.625, 0.05)),
    ("claude-haiku-4-5", Price(1, 5, 1.25, 0.1)),
)
"""First match wins, so longer prefixes come before shorter ones. Haiku 5.5 is listed at its dearer band (prompts over
100,000 tokens).
"""

UNKNOWN = Price(15, 75, 18.75, 1.5)


def price_of(llm_id: str) -> tuple[Price, bool]:
    """The price of an llm id, and whether it is listed. Bedrock ids and ARNs (`eu.anthropic.claude-opus-5-5-v1:0`) are
    matched inside.
    """
    start = llm_id.find("claude-")
    family = llm_id[start:] if start >= 0 else ""
    for prefix, price in _FAMILIES:
        if family.startswith(prefix) and not family.removeprefix(prefix)[:1].isalnum():
            return price, True
    return UNKNOWN, False


def priced(
    llm_id: str, *, input_tokens: int, output_tokens: int, cache_read_tokens: int, cache_write_tokens: int
) -> Usage:
    """The usage with its cost in US dollars. Counts must not be negative."""
    price, _ = price_of(llm_id)
    cost = input_tokens * price.input + output_tokens * price.output
    cost += cache_read_tokens * price.cache_read + cache_write_tokens * price.cache_write
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
        cost_usd=cost / 1_000_000,
    )
