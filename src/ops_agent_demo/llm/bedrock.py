"""Amazon Bedrock's shape of the same API: the llm's id in the path, a signed request, AWS's binary event stream as the
answer. botocore judges the signature.

Frame format: "vnd.amazon.eventstream" as botocore.eventstream reads it (prelude with CRC, string headers of type 7,
payload, CRC).
"""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

KeysOf = Callable[[str], tuple[str, str] | None]
"""The secret access key and the session token of an access key id; None when AWS does not know it."""

ERRORS = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "InvalidSignatureException": 403,
    "UnrecognizedClientException": 403,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
"""Status by exception: four of every AWS service, the rest of this operation."""
FAULTS = {
    "rate_limit": ("ThrottlingException", "Too many tokens, please wait before trying again."),
    "overloaded": ("ServiceUnavailableException", "Bedrock is unable to process your request."),
    "server_error": ("InternalServerException", "The system encountered an unexpected error during processing."),
    "too_long": ("ValidationException", "Input is too long for requested model."),
    "unauthorised": ("ExpiredTokenException", "The security token included in the request is expired"),
}
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), "
    r"Signature=([0-9a-f]{64})"
)
_PATH = re.compile(r"/model/([^/]+)/invoke-with-response-stream")


def as_messages_request(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """The body as the Messages API would get it; None when `path` is not Bedrock's."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    rest = {name: value for name, value in body.items() if name != "anthropic_version"}
    return {"model": unquote(found.group(1)), "stream": True, **rest}


def refusal(path: str, headers: Mapping[str, str], body: bytes, keys_of: KeysOf, region: str) -> tuple[str, str] | None:
    """AWS's exception and words for a request that is not signed as it must be; None when it is."""
    from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # it ships no types
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
    from botocore.credentials import Credentials  # type: ignore[import-untyped]

    given = {name.lower(): value for name, value in headers.items()}
    found = _AUTHORIZATION.fullmatch(given.get("authorization", ""))
    keys = keys_of(found[1]) if found else None
    if found is None or keys is None or given.get("x-amz-security-token") != keys[1]:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    access_key, day, signed_region, service, signed, signature = found.groups()
    moment = given.get("x-amz-date", "")
    if (signed_region, service) != (region, "bedrock") or not moment.startswith(day):
        scope = f"'{day}/{region}/bedrock/aws4_request'"
        return "InvalidSignatureException", f"Credential should be scoped to {scope}."
    names = signed.split(";")
    if missing := {"content-type", "host", "x-amz-date", "x-amz-security-token"} - set(names):
        return "InvalidSignatureException", f"'{sorted(missing)[0]}' must be a 'SignedHeader' in the AWS Authorization."
    request = AWSRequest(
        "POST", f"https://{given['host']}{path}", data=body, headers={name: given[name] for name in names}
    )
    request.context["timestamp"] = moment
    signer = SigV4Auth(Credentials(access_key, *keys), service, signed_region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    if signer.signature(text, request) != signature:
        words = "The request signature we calculated does not match the signature you provided."
        return "InvalidSignatureException", words
    return None


def error(fault: str, text: str) -> tuple[int, dict[str, str], dict[str, str]] | None:
    """Status, headers and body of a fault of the script (or one of ERRORS, with its words); None: it is no refusal."""
    name, words = FAULTS.get(fault, (fault, text))
    if name not in ERRORS:
        return None
    kind = f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    return ERRORS[name], {"x-amzn-ErrorType": kind}, {"message": words}


def frames(events: Iterable[bytes]) -> Iterator[bytes]:
    """Server-sent events as frames; an `error` event becomes an exception frame."""
    for event in events:
        data = event.split(b"data: ", 1)[1].strip()
        parsed = json.loads(data)
        if parsed["type"] == "ping":
            continue
        if parsed["type"] == "error":
            headers = {
                ":message-type": "exception",
                ":exception-type": "throttlingException",
                ":content-type": "application/json",
            }
            yield _frame(headers, json.dumps({"message": parsed["error"]["message"]}).encode())
            continue
        headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
        yield _frame(headers, json.dumps({"bytes": base64.b64encode(data).decode()}).encode())


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    packed = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))
