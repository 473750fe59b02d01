"""The shapes that an input's text may have: text in, value out; ValueError(*sentences) when it does not fit.

A sentence reads "what is wrong; what to do". It quotes the text only where that can be no secret.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import urlsplit

from ops_agent.model.policy import REGIONS

SHORTEST_SECRET = 6
"""GitHub masks every occurrence of a secret in the log; shorter secrets would mask unrelated text."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_LABEL_OF_HOST = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}(?::|$)){_LABEL_OF_HOST}(?:\.{_LABEL_OF_HOST})+(?::[0-9]{{1,5}})?")
ENVIRONMENT = r"[A-Za-z][A-Za-z0-9_-]{0,38}"
_ONE_WORD = re.compile(r"[\x21-\x7e]+")


def shown(text: str) -> str:
    """`text` as one short, printable word for a message."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def require_one_line(text: str) -> str:
    """One printable line, in NFC."""
    line = unicodedata.normalize("NFC", text)
    if _has_invisible(line):
        raise ValueError(f"{shown(line)} holds invisible characters or a line break; write it as one plain line")
    return line


def _has_invisible(text: str) -> bool:
    return any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in text)


def matching(pattern: str, what: str, remedy: str = "correct or remove this entry") -> Callable[[str], str]:
    """A shape: one plain line that `pattern` matches whole; `what` says in words what that is."""
    compiled = re.compile(pattern)

    def shape(text: str) -> str:
        if _has_invisible(text) or not compiled.fullmatch(text):
            raise ValueError(f"{shown(text)} is not {what}; {remedy}")
        return text

    return shape


def entries(text: str) -> tuple[str, ...]:
    """A list by comma or line: blanks around the entries dropped, each once."""
    return tuple(dict.fromkeys(entry for part in re.split(r"[,\n]", text) if (entry := part.strip())))


_TAG_KEY = re.compile(r"(?!aws:)[\w.:/+@-][\w .:/+@-]{0,127}", re.IGNORECASE)
_TAG_VALUE = re.compile(r"[\w .:/+@-]{1,256}")
NOTHING = "none"
"""Stands for an empty list where an input that is empty has a default."""


def one_tag(text: str) -> str:
    """The key of a tag."""
    if not _TAG_KEY.fullmatch(text):
        raise ValueError(f"{shown(text)} is not the key of a tag; correct or remove it")
    return text


def tags(text: str) -> tuple[str, ...]:
    """A list of keys of tags; `none` is the empty one."""
    return () if text == NOTHING else tuple(map(one_tag, entries(text)))


def tag_values(text: str) -> dict[str, tuple[str, ...]]:
    """A map `tag=value|value` by comma or line: the only values of a tag; `none` is the empty one."""
    found: dict[str, tuple[str, ...]] = {}
    wrong: list[str] = []
    for entry in () if text == NOTHING else entries(text):
        name, equals, rest = (part.strip() for part in entry.partition("="))
        values = tuple(dict.fromkeys(value.strip() for value in rest.split("|")))
        if not equals or not _TAG_KEY.fullmatch(name) or not all(map(_TAG_VALUE.fullmatch, values)):
            wrong.append(f"{shown(entry)} is not `tag=value|value`; separate the entries by commas or lines")
        elif found.setdefault(name, values) != values:
            wrong.append(f"{shown(name)} is there twice; keep one of them")
    if wrong:
        raise ValueError(*wrong)
    return found


def by_environment(pattern: str, what: str) -> Callable[[str], dict[str, str]]:
    """A shape: a map `environment=value` by comma or line, with one value for each environment."""
    compiled = re.compile(pattern)

    def shape(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        wrong: list[str] = []
        for entry in entries(text):
            name, equals, value = (part.strip() for part in entry.partition("="))
            if not equals or not re.fullmatch(ENVIRONMENT, name) or not compiled.fullmatch(value):
                wrong.append(f"{shown(entry)} is not `environment={what}`; separate the entries by commas or lines")
            elif found.setdefault(name, value) != value:
                wrong.append(f"{shown(name)} has two values; keep one of them")
        if not found and not wrong:  # a run without accounts would know no account as foreign
            wrong.append(f"there is no `environment={what}` in it; write one, or leave it out")
        if wrong:
            raise ValueError(*wrong)
        return found

    return shape


def bot(text: str) -> int | str:
    """A bot by the numeric id of its account, or by its login, which is `APP[bot]`; a plain `app` means the same."""
    if re.fullmatch(r"[1-9][0-9]{0,11}", text):
        return int(text)
    named = re.fullmatch(r"(?:([a-z][a-z0-9-]{0,99})|([a-z0-9][a-z0-9-]{0,99})\[bot\])", text, re.IGNORECASE)
    if named is None:
        raise ValueError(f"{shown(text)} is no bot; write its login (`renovate[bot]`) or the numeric id of its account")
    return f"{named[1] or named[2]}[bot]".lower()


def boolean(text: str) -> bool:
    """`true` or `false`, in the spellings that YAML allows."""
    if text not in ("true", "True", "TRUE", "false", "False", "FALSE"):
        raise ValueError(f"{shown(text)} is neither true nor false; write true or false")
    return text.lower() == "true"


def secret(text: str) -> str:
    """A token: one word. The text never gets into a message."""
    if not _ONE_WORD.fullmatch(text):
        raise ValueError(
            "the value holds blanks, line breaks or characters outside ASCII; check how the secret was stored"
        )
    if len(text) < SHORTEST_SECRET:
        count = f"{len(text)} character{'s' if len(text) > 1 else ''}"
        raise ValueError(
            f"a secret of {count} would mask unrelated parts of the log; "
            f"check how the secret was stored: no real one has fewer than {SHORTEST_SECRET}"
        )
    return text


def host_tokens(text: str) -> dict[str, str]:
    """A map `host=token` (or `host=user:token`) by line; a port only if it is not 443. No message shows a token."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        host, equals, token = (part.strip() for part in line.partition("="))
        host = host.lower()
        if not line.strip():
            continue
        if not equals or not _HOST.fullmatch(host):
            wrong.append(f"line {number} is not `host=token`; write one `host=token` a line, the host without https://")
        elif not _ONE_WORD.fullmatch(token) or len(token.rpartition(":")[2]) < SHORTEST_SECRET:
            wrong.append(f"the token of `{host}` is empty, too short or not one word; check how the secret was stored")
        elif found.setdefault(host, token) != token:
            wrong.append(f"`{host}` has two tokens; keep one of them")
    if wrong:
        raise ValueError(*wrong)
    return found


def is_branch_name(name: str) -> bool:
    """Whether git accepts `name` as a branch (git-check-ref-format), of at most 200 characters, and not `refs/...`."""
    wrong = (
        len(name) > 200
        or _BAD_IN_REF.search(name)
        or name.startswith(("/", "-", ".", "refs/"))
        or name.endswith(("/", "."))
    )
    return bool(name) and not wrong and name not in ("@", "HEAD")


def valid_branch_name(text: str) -> str:
    if not is_branch_name(text):
        raise ValueError(f"{shown(text)} is not a branch name that git accepts; correct it")
    return text


def branch_prefix(text: str) -> str:
    """The beginning of a branch name."""
    return valid_branch_name(text + "1")[:-1]


repository_name = matching(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}",
    "`owner/name`",
    "write the repository's full name",
)


def region(text: str) -> str:
    """A region of the partition `aws`, from a closed list; nothing is guessed from its form."""
    if text not in REGIONS:
        near = difflib.get_close_matches(text, REGIONS, n=1, cutoff=0.8)
        remedy = f"did you mean {near[0]}?" if near else "remove it, or name one of AWS's regions"
        raise ValueError(f"{shown(text)} is not a region of the AWS partition `aws`; {remedy}")
    return text


def base_url(text: str) -> str:
    """An https address, or http on the loopback (a local gateway); no credentials, query or fragment in it."""
    try:
        url = urlsplit(text)
        secure = url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)
        extras = url.username or url.password or url.query or url.fragment
        plain = bool(url.hostname) and not extras and url.port != 0
    except ValueError:
        secure = plain = False
    if not secure or not plain or re.search(r"[\s\\]", text):
        raise ValueError(
            "it is not a plain https address (http only on the loopback); write it like https://gateway.example.com"
        )
    return text.rstrip("/")


def certificates(text: str) -> str:
    """PEM text, or the absolute path of a file on the runner. What is in it is read when the run starts."""
    if "-----BEGIN CERTIFICATE-----" not in text and (not text.startswith("/") or _has_invisible(text)):
        raise ValueError("it is neither PEM (`-----BEGIN CERTIFICATE-----`) nor an absolute path; give one of them")
    return text


role_arn = matching(
    r"arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}",
    "a role ARN of the partition `aws`",
    "write it like arn:aws:iam::<account>:role/<name>",
)


def account_of(role: str) -> str:
    """The account id in a `role_arn`."""
    return role.split(":")[4]


def terraform_binary(text: str) -> str:
    """The name of an engine, or the absolute path of its executable."""
    engines = ("auto", "terraform", "tofu", "embedded")
    if text.lower() in engines:
        return text.lower()
    if not text.startswith("/"):
        raise ValueError(f"{shown(text)} is not a choice; write one of {', '.join(engines)}, or an absolute path")
    return text
