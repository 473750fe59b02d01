"""The formats of tokens that are secret wherever they stand. Every search is linear: none can fail late and start again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]
"""Start and end of what must go, in code points."""

_FORMATS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9_.-]{30,}+"),
    ("GitHub token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{22,}+"),
    ("Anthropic key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{16,}+"),
    ("OpenAI key", ("sk-proj-", "sk-svcacct-"), r"sk-(?:proj|svcacct)-[A-Za-z0-9_-]{20,}+"),
    ("AWS access key", ("AKIA", "ASIA"), r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("AWS session token", ("IQoJb3JpZ2lu", "FwoGZXIvYXdz"), r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[A-Za-z0-9/+=]{60,}+"),
    ("Slack token", ("xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-"), r"(?:xox[aebprs]|xapp)-[A-Za-z0-9-]{10,}+"),
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
_SECRET_KEY = re.compile(r"(?i)secret_?-?access_?-?key[\"']?[ \t]{0,40}[:=][ \t]{0,8}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])")
_AUTHORIZATION = re.compile(
    r"(?i)authorization[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?(?:bearer|basic|token)[ \t]{1,8}([A-Za-z0-9._~+/=-]{16,}+)"
)
_KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINE = re.compile(r"(?:\s|\\[nrt]|[+|~\"'-]){0,60}[A-Za-z0-9+/=]{16,}+")
_KEY_LENGTH = 16_384


def token_spans(text: str) -> Iterator[Span]:
    """Where tokens of a known format stand in `text`."""
    for _, start, stop in token_finds(text):
        yield start, stop


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
