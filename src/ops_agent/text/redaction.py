"""The last net in front of every sink: known secrets, their encodings and parts, and the formats of known tokens.

It is a net, not the control: reversed, split or doubly encoded secrets are not promised. The controls are that no
secret is within reach of the llm or of Terraform.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from ops_agent.config.inputs import SHORTEST_SECRET
from ops_agent.model.errors import RedactionFailed

# The formats of tokens that are secret wherever they are. Every search is linear: none can fail late and start again.

Span = tuple[int, int]
"""Start and end of what must go, in code points."""

_FORMATS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9_.-]{30,}+"),
    ("GitHub token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{22,}+"),
    ("Anthropic key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{16,}+"),
    ("OpenAI key", ("sk-proj-", "sk-svcacct-"), r"sk-(?:proj|svcacct)-[A-Za-z0-9_-]{20,}+"),
    ("AWS access key", ("AKIA", "ASIA"), r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("AWS session token", ("IQoJb3JpZ2lu", "FwoGZXIvYXdz"), r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[A-Za-z0-9/+=]{60,}+"),
    ("Slack token", ("xox", "xapp-"), r"(?:xox[aebprs]|xapp)-[A-Za-z0-9-]{10,}+"),
    ("Slack webhook", ("hooks.slack.com/",), r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}+"),
    ("Stripe key", ("sk_live_", "rk_live_", "sk_test_"), r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+"),
    ("Google key", ("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
    ("GitLab token", ("glpat-",), r"glpat-[A-Za-z0-9_-]{20,}+"),
    ("npm token", ("npm_",), r"npm_[A-Za-z0-9]{36}"),
    ("PyPI token", ("pypi-AgE",), r"pypi-AgE[A-Za-z0-9_-]{50,}+"),
    ("Atlassian token", ("ATATT3x",), r"ATATT3x[A-Za-z0-9_=-]{50,}+"),
    ("Vault token", ("hvs.", "hvb."), r"hv[sb]\.[A-Za-z0-9_-]{24,}+"),
    ("Terraform Cloud token", (".atlasv1.",), r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}+"),
    ("password in a URL", ("://",), r"://[^/\s:@\"'`]{0,64}:([^/\s:@\"'`${}()<>*\[\]]{6,128})@"),
)
_COMPILED = tuple((name, marks, re.compile(pattern)) for name, marks, pattern in _FORMATS)
_WEB_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}+(\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+)?")
_SECRET_KEY = re.compile(
    r"(?i)secret_?-?access_?-?key[\"']?[ \t]{0,40}[:=][ \t]{0,8}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])"
)
_AUTHORIZATION = re.compile(
    r"(?i)authorization[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?(?:bearer|basic|token)[ \t]{1,8}([A-Za-z0-9._~+/=-]{16,}+)"
)
_KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINE = re.compile(r"(?:\s|\\[nrt]|[+|~\"'-]){0,60}[A-Za-z0-9+/=]{16,}+")
_KEY_LENGTH = 16_384


def token_finds(text: str) -> Iterator[tuple[str, int, int]]:
    """(name of the format, start, end) of every token of a known format."""
    for name, marks, pattern in _COMPILED:
        if any(mark in text for mark in marks):
            for found in pattern.finditer(text):
                yield name, *found.span(pattern.groups)
    if "eyJ" in text:
        for found in _WEB_TOKEN.finditer(text):
            if found.group(1):
                yield "JSON Web Token", *found.span()
    lowered = text.lower()
    if "secret" in lowered:
        for found in _SECRET_KEY.finditer(text):
            yield "AWS secret key", *found.span(1)
    if "authorization" in lowered:
        for found in _AUTHORIZATION.finditer(text):
            yield "Authorization header", *found.span(1)
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)


def entropy(text: str) -> float:
    """Shannon entropy in bits per character: high for what a machine made."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _private_keys(text: str) -> Iterator[tuple[str, int, int]]:
    end, done = -2, 0
    for begin in _KEY_BEGIN.finditer(text):
        if begin.start() < done:
            continue
        if end != -1 and end < begin.end():
            end = text.find("-----END ", begin.end())
        if end != -1 and end - begin.end() <= _KEY_LENGTH:
            closing = text.find("-----", end + 9, end + 80)
            done = closing + 5 if closing >= 0 else end + 9
        else:
            done = begin.end()
            while line := _KEY_LINE.match(text, done):
                done = line.end()
        yield "private key", begin.start(), done


REDACTED = "[redacted]"
WINDOW = 12
"""A part of a secret this long is a leak."""

_STRIDE = 4
_GRAM = WINDOW - _STRIDE + 1


class Redactor:
    """Replaces secrets by `[redacted]`. Secrets may be added while it is in use; they are never printed."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._windows: set[str] = set()
        self._grams: set[str] = set()
        self._short: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return "Redactor(...)"

    def add(self, secret: str) -> None:
        """Know one more secret (and each of its lines) from now on. Shorter than 6 characters: ignored."""
        for part in {secret, secret.strip(), *(line.strip() for line in secret.splitlines())}:
            if len(part) >= SHORTEST_SECRET:
                for form in _forms(part):
                    self._add_form(form)

    def redact(self, text: str) -> str:
        """`text` without secrets; the same object when there are none. Linear. Any failure is a RedactionFailed."""
        try:
            spans = self._spans(text)
            return _cut(text, spans) if spans else text
        except Exception as broken:
            raise RedactionFailed(
                f"the redactor itself failed ({type(broken).__name__}); nothing may be published"
            ) from None

    def _add_form(self, form: str) -> None:
        if len(form) < WINDOW:
            self._short.add(form)
            return
        windows = {form[i : i + WINDOW] for i in range(len(form) - WINDOW + 1)}
        distinctive = {w for w in windows if len(set(w)) > 3} or windows
        self._windows |= distinctive
        self._grams.update(w[i : i + _GRAM] for w in distinctive for i in range(_STRIDE))

    def _spans(self, text: str) -> list[Span]:
        spans = [(start, stop) for _, start, stop in token_finds(text)]
        for short in self._short:
            spans.extend(_occurrences(text, short))
        if self._windows:
            spans.extend(self._window_spans(text))
        return spans

    def _window_spans(self, text: str) -> Iterator[Span]:
        """A window of a secret covers a whole gram at a multiple of the stride: only those places are looked up."""
        grams, windows = self._grams, self._windows
        begin, end = 0, -1
        for at in range(0, len(text) - _GRAM + 1, _STRIDE):
            if text[at : at + _GRAM] in grams:
                if end >= at and text[at : at + WINDOW] in windows:
                    end = at + WINDOW
                    continue
                for start in range(max(0, at - _STRIDE + 1), at + 1):
                    if text[start : start + WINDOW] in windows:
                        if start > end:
                            if end >= 0:
                                yield begin, end
                            begin = start
                        end = start + WINDOW
        if end >= 0:
            yield begin, end


def _cut(text: str, spans: list[Span]) -> str:
    spans.sort()
    pieces: list[str] = []
    written, end = 0, -1
    for start, stop in spans:
        if start > end:
            if end >= 0:
                pieces.append(REDACTED)
                written = end
            pieces.append(text[written:start])
            end = stop
        else:
            end = max(end, stop)
    return "".join([*pieces, REDACTED, text[end:]])


def _occurrences(text: str, needle: str) -> Iterator[Span]:
    at = text.find(needle)
    while at >= 0:
        yield at, at + len(needle)
        at = text.find(needle, at + 1)


def _forms(secret: str) -> set[str]:
    """A secret as a text may hold it: plain, JSON (as Python and Go write it), URL, hex, base64 at each alignment."""
    raw = secret.encode("utf-8", "surrogatepass")
    as_json = json.dumps(secret)[1:-1]
    as_go_json = as_json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    forms = {secret, as_json, as_go_json, json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(as_json)[1:-1]}
    for url in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        forms |= {url, re.sub("%[0-9A-F]{2}", lambda m: m.group().lower(), url)}
    forms |= {raw.hex(), raw.hex().upper()}
    for shift in range(3):
        forms |= _as_base64(raw, shift)
    return {form for form in forms if len(form) >= SHORTEST_SECRET}


def _as_base64(raw: bytes, shift: int) -> set[str]:
    """The characters that depend on the secret alone when `shift` (0 to 2) bytes come before it."""
    first = (0, 2, 3)[shift]
    whole = (len(raw) + shift) * 8 // 6
    plain = base64.b64encode(b"\0" * shift + raw).decode()[first:whole]
    return {plain, plain.replace("+", "-").replace("/", "_")}
