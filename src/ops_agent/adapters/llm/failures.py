"""What an error of the SDK means: again later, never, the window is full, or a new identity is needed.

The SDK retries before a stream only and waits as long as a server asks, so its own retries are off and this table
decides. Sentences name status, error type and the API's own words; headers never get into them.
"""

from __future__ import annotations

import math
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from ops_agent.adapters.llm.stream import BrokenStream
from ops_agent.adapters.network import explained
from ops_agent.model.conversation import Usage

_TRANSIENT_TYPE = re.compile(
    r"overloaded|api_error|rate_limit|timeout|throttl|unavailable|internal|streamerror", re.IGNORECASE
)
"""Error types inside a stream: Anthropic's, and Bedrock's exception names."""
_TRANSIENT_STATUS = {408, 409, 424, 429, 499}
"""424 is Bedrock's: the llm behind it failed."""
_OF_THE_MODEL = re.compile(
    r"overloaded|not_found_error|identifier is invalid|with on-demand throughput|access to the model|Publisher Model"
    r"|ModelNotReady|per day",
    re.IGNORECASE,
)
_OF_MANAGEMENT = re.compile(r"context.management|anthropic-beta|\bbetas?\b|clear_tool_uses", re.IGNORECASE)
_MONEY_CODES = re.compile(r"spend_limit_reached|organization_on_hold|billing_unavailable")
_TOO_LONG = re.compile(r"(prompt|input) is too long|context window|maximum context|too many tokens", re.IGNORECASE)
_MAX_SENTENCE = 600

_HINTS = {
    400: "Check the inputs `model`, `effort` and `thinking`; the sentence above is the API's own.",
    401: "Check the secret behind `anthropic_api_key`, or the federation rule's inputs.",
    402: "Check billing in the Claude Console.",
    403: "The key or the federation rule may not use this workspace or `model`.",
    404: "Check the inputs `model` and `base_url`.",
    413: "The request is larger than the API takes; choose a smaller repository part or `standards`.",
    429: "The organisation's spend limit is reached: raise it in the Claude Console, then re-apply the label.",
}
_BEDROCK_RENEWS = re.compile(r"ExpiredToken|UnrecognizedClient|InvalidSignature|IncompleteSignature")
_PLATFORM_HINTS = {
    r"with on-demand throughput": (
        "Only inference profiles serve this llm: give the id of one as `model`, which is its own id behind `global.` "
        "or a geography. `aws bedrock list-inference-profiles` lists them."
    ),
    r"identifier is invalid|ResourceNotFound(?!.*use case)": (
        "It is not in this region: `aws bedrock list-inference-profiles --region REGION` lists what is. Correct "
        "`model`, or set `bedrock_region`; a profile of a geography (`us.`, `eu.`) is asked for in that geography."
    ),
    r"not authorized to perform: bedrock": (
        "Let the role in `bedrock_role_arn`, its boundary and the organisation's policies allow it on the inference "
        "profile, and on its foundation model in each region of the profile (docs/setup/bedrock.md has the policy)."
    ),
    r"use case|marketplace|access to the model|access is denied": (
        "The role's account has not enabled this llm: send the use case form and call it once in Bedrock's model "
        "catalog with rights in AWS Marketplace. It works some minutes later (docs/setup/bedrock.md)."
    ),
    r"per day|ServiceQuotaExceeded": (
        "The account's quota for this llm is used up: raise it under Service Quotas > Amazon Bedrock, or give another "
        "profile as `model`; then re-apply the label."
    ),
    _BEDROCK_RENEWS.pattern: "The runner's clock is mostly the cause: set it (NTP), then start the run again.",
    r"Publisher Model": (
        "Enable the llm in the Model Garden of `vertex_project`, and check `model` and `vertex_region` "
        "(docs/setup/vertex.md)."
    ),
    r"PERMISSION_DENIED": (
        "Enable the Vertex AI API in `vertex_project`, and give this job's identity the role Vertex AI User there "
        "(docs/setup/vertex.md has the commands)."
    ),
    r"RESOURCE_EXHAUSTED": "The project's quota for this llm in `vertex_region` is used up: wait, or raise it.",
    r"ValidationException": "Check the inputs `model` and `effort`; the sentence above is Bedrock's own.",
}
"""What the exception and the words of Bedrock and Vertex mean; the first that fits."""


class Kind(Enum):
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    CONTEXT_EXCEEDED = "context exceeded"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request. `retry_after` is what the server asked for, in seconds; `usage` was billed all the same."""

    kind: Kind
    sentence: str
    retry_after: float | None = None
    hint: str | None = None
    usage: Usage = Usage()
    of_management: bool = False
    """The API, or a gateway before it, does not know the fields of context management."""
    of_model: bool = False
    """Another llm may answer: this one is overloaded, is not there, or is not open to this account."""


def understand(error: Exception) -> Failure | None:
    """The failure behind an exception from the SDK or its transport; None when it is none of theirs (a bug)."""
    import anthropic
    import httpx2
    from anthropic.lib.credentials import WorkloadIdentityError

    if isinstance(error, BrokenStream):
        of_model = bool(_OF_THE_MODEL.search(str(error)))
        return Failure(Kind.TRANSIENT, str(error), usage=error.usage, of_model=of_model)
    if isinstance(error, WorkloadIdentityError):
        return _of_identity(error.status_code, str(error))
    if isinstance(error, anthropic.APIStatusError):
        return _of_status(error)
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return Failure(Kind.TRANSIENT, "the API sent nothing for too long")
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError) and (why := explained(error)) is not None:
        return Failure(Kind.PERMANENT, f"no connection to the API: {why}")
    if isinstance(error, anthropic.APIConnectionError):
        return Failure(Kind.TRANSIENT, f"no connection to the API ({type(error.__cause__ or error).__name__})")
    if isinstance(error, httpx2.HTTPError):
        return Failure(Kind.TRANSIENT, f"the connection to the API broke ({type(error).__name__})")
    if isinstance(error, anthropic.APIError | ValueError):
        return Failure(Kind.TRANSIENT, f"the API's answer could not be read ({type(error).__name__})")
    if isinstance(error, anthropic.AnthropicError):
        return Failure(Kind.PERMANENT, f"the SDK refused: {str(error)[:_MAX_SENTENCE]}")
    return None


def _of_status(error: Any) -> Failure:
    status, code, headers = error.status_code, error.error_code or "", error.response.headers
    bedrocks = str(headers.get("x-amzn-errortype", "")).partition(":")[0]
    googles, said = _told(error.body)
    kind = error.type or bedrocks or googles
    sentence = f"the API answered {status} {kind or 'error'}: {said}"
    of_model = status in (404, 529) or bool(_OF_THE_MODEL.search(f"{kind} {said}"))
    if status == 400 and _TOO_LONG.search(said):
        return Failure(Kind.CONTEXT_EXCEEDED, sentence)
    if _MONEY_CODES.search(code) or kind == "billing_error":
        return Failure(Kind.PERMANENT, sentence, hint=_HINTS[429])
    if status < 300:
        fatal = kind and not _TRANSIENT_TYPE.search(kind)
        sentence = f"the API's stream broke off with {kind or 'an error'}: {said}"
        return Failure(Kind.PERMANENT if fatal else Kind.TRANSIENT, sentence, of_model=of_model)
    hint = _HINTS.get(status)
    if bedrocks or googles:
        hint = next(
            (
                h
                for words, h in _PLATFORM_HINTS.items()
                if re.search(words, f"{bedrocks} {googles} {said}", re.IGNORECASE)
            ),
            hint,
        )
    is_daily = bool(bedrocks) and "per day" in said
    if (status in _TRANSIENT_STATUS or status >= 500) and not is_daily:
        hint = hint if bedrocks or googles else None
        return Failure(Kind.TRANSIENT, sentence, retry_after=_retry_after(headers), hint=hint, of_model=of_model)
    if status == 401 or (status == 403 and "expired" in said.casefold()) or _BEDROCK_RENEWS.match(bedrocks):
        return Failure(Kind.IDENTITY, sentence, hint=hint if bedrocks else _HINTS[401])
    of_management = status == 400 and bool(_OF_MANAGEMENT.search(said))
    return Failure(Kind.PERMANENT, sentence, hint=hint, of_model=of_model, of_management=of_management)


def _told(body: Any) -> tuple[str, str]:
    """Google's name of the error, and the words of it, in the shapes of all three: Google's may be in a list."""
    first = body[0] if isinstance(body, list) and body else body
    outer = first if isinstance(first, dict) else {}
    found = outer.get("error")
    inner = found if isinstance(found, dict) else {}
    words = inner.get("message") or outer.get("message") or outer.get("Message") or "no reason given"
    return str(inner.get("status") or ""), str(words)[:_MAX_SENTENCE]


def _of_identity(status: int | None, text: str) -> Failure:
    """A failed exchange of the OIDC token: used (`jti_reused`) or expired, so mint once more."""
    if status is None or status == 429 or status >= 500:
        return Failure(Kind.TRANSIENT, f"the token exchange failed: {text[:_MAX_SENTENCE]}")
    return Failure(Kind.IDENTITY, f"the token exchange was refused: {text[:_MAX_SENTENCE]}", hint=_HINTS[401])


def _retry_after(headers: Any) -> float | None:
    """RFC 9110 `Retry-After`: seconds or a date. Nonsense counts as absent."""
    said = headers.get("retry-after", "")
    with suppress(ValueError):
        return None if math.isnan(float(said)) else max(0.0, float(said))
    with suppress(TypeError, ValueError):
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return None
