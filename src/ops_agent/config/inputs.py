"""Reading `INPUT_*` variables: one typed method per shape of input; problems are collected, never raised one by one.

GitHub hands every input over as text; an empty text means "not given" and gives the default. A problem reads
"input `name`: what is wrong; what to do" and shows the value only when the input is not a secret.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from ops_agent.model.policy import REGIONS

_LONGEST_TEXT = 200_000
SHORTEST_SECRET = 6
"""What is shorter cannot be kept secret: a mask of so few characters blots out half of the log, and without one it
would show.
"""
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_ROLE_ARN = re.compile(r"arn:aws:iam::([0-9]{12}):role/[A-Za-z0-9_+=,.@/-]{1,512}")
_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_HOST = re.compile(
    r"(?=.{1,253}(?::|$))[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+(?::[0-9]{1,5})?"
)
ENVIRONMENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,38}")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def is_branch_name(name: str) -> bool:
    """Whether git accepts `name` as a branch (git-check-ref-format) and people can say it: at most 200 characters, not
    `refs/...`.
    """
    wrong = (
        len(name) > 200
        or _BAD_IN_REF.search(name)
        or name.startswith(("/", "-", ".", "refs/"))
        or name.endswith(("/", "."))
    )
    return bool(name) and not wrong and name not in ("@", "HEAD")


def shown(value: str) -> str:
    """`value` as one short, printable word for a message."""
    return ascii(value if len(value) <= 60 else value[:57] + "...")


class InputReader:
    """Reads inputs by name from `environment`; each thing that is wrong is a sentence in `problems` and the input's
    name in `wrong`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = {name[6:].lower(): value for name, value in environment.items() if name.startswith("INPUT_")}
        self._known: set[str] = set()
        self.problems: list[str] = []
        self.wrong: set[str] = set()

    def problem(self, name: str, what: str, remedy: str) -> None:
        self.wrong.add(name)
        self.problems.append(f"input `{name}`: {what}; {remedy}")

    def refuse_unknown(self) -> None:
        """Call last: every `INPUT_*` that no method asked for is a problem, with the nearest known name."""
        for name in sorted(set(self._given) - self._known):
            near = difflib.get_close_matches(name.replace("-", "_"), self._known, n=1, cutoff=0.6)
            remedy = f"did you mean `{near[0]}`?" if near else "remove it (docs/inputs.md lists the inputs)"
            self.problem(re.sub(r"[^a-z0-9_-]", "?", name)[:60], "there is no such input", remedy)

    def _raw(self, name: str) -> str:
        self._known.add(name)
        value = self._given.get(name, "").strip()
        if len(value) > _LONGEST_TEXT:
            self.problem(name, f"{len(value):,} characters are too many", f"stay under {_LONGEST_TEXT:,}")
            return ""
        if "\x00" in value:
            self.problem(name, "it holds a NUL character", "remove it")
            return ""
        return value

    def text(self, name: str, default: str = "") -> str:
        """Free text, of any number of lines."""
        return self._raw(name) or default

    def line(self, name: str, default: str = "", longest: int = 256) -> str:
        """One printable line in NFC."""
        value = unicodedata.normalize("NFC", self._raw(name))
        if any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in value):
            self.problem(
                name, f"{shown(value)} holds invisible characters or a line break", "write it as one plain line"
            )
            return default
        if len(value) > longest:
            self.problem(name, f"{len(value)} characters are too many", f"stay under {longest}")
            return default
        return value or default

    def secret(self, name: str) -> str:
        """A token: one word. Its value never gets into a message."""
        value = self._raw(name)
        if value and not re.fullmatch(r"[\x21-\x7e]+", value):
            self.problem(
                name,
                "the value holds blanks, line breaks or characters outside ASCII",
                "check how the secret was stored",
            )
            return ""
        if value and len(value) < SHORTEST_SECRET:
            what = f"a secret of {len(value)} character{'s' if len(value) > 1 else ''} would be masked wherever these stand in the log"
            self.problem(name, what, f"check how the secret was stored; no real one has fewer than {SHORTEST_SECRET}")
            return ""
        return value

    def host_tokens(self, name: str) -> dict[str, str]:
        """A map `host=token` (or `host=user:token`) by line, hosts in lower case, with a port unless it is 443. Shows
        no token.
        """
        found: dict[str, str] = {}
        for number, line in enumerate(self._raw(name).splitlines(), 1):
            host, equals, token = (part.strip() for part in line.partition("="))
            if not line.strip():
                continue
            if not equals or not _HOST.fullmatch(host.lower()):
                self.problem(
                    name,
                    f"line {number} is not `host=token`",
                    "write one `host=token` a line, the host without https://",
                )
            elif not re.fullmatch(r"[\x21-\x7e]+", token) or len(token.rpartition(":")[2]) < SHORTEST_SECRET:
                self.problem(
                    name,
                    f"the token of `{host}` is empty, too short or not one word",
                    "check how the secret was stored",
                )
            elif found.setdefault(host.lower(), token) != token:
                self.problem(name, f"`{host}` has two tokens", "keep one of them")
        return found

    def boolean(self, name: str, default: bool) -> bool:
        value = self._raw(name)
        if value and value not in _BOOLEANS:
            self.problem(name, f"{shown(value)} is neither true nor false", "write true or false")
            return default
        return _BOOLEANS.get(value, default)

    def choice(
        self, name: str, default: str, choices: tuple[str, ...], also: Callable[[str], bool] = lambda _: False
    ) -> str:
        """One of `choices`, or a value that `also` accepts."""
        value = self._raw(name)
        if value and value.lower() in choices:
            return value.lower()
        if value and not also(value):
            self.problem(name, f"{shown(value)} is not a choice", f"write one of {', '.join(choices)}")
            return default
        return value or default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self._raw(name)
        if not value:
            return default
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            self.problem(
                name, f"{shown(value)} is not a whole number from {low} to {high}", f"the default is {default}"
            )
            return default
        return int(value)

    def number(self, name: str, default: float, high: float) -> float:
        """A number above 0 and at most `high`."""
        value = self._raw(name)
        if not value:
            return default
        parsed = float(value) if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", value) else math.nan
        if not 0 < parsed <= high:
            self.problem(
                name, f"{shown(value)} is not a number above 0 and up to {high:g}", f"the default is {default:g}"
            )
            return default
        return parsed

    def words(
        self, name: str, default: tuple[str, ...] = (), allowed: re.Pattern[str] | None = None, what: str = "a word"
    ) -> tuple[str, ...]:
        """A list by comma or line, blanks around entries dropped, each once; `allowed` must match an entry whole."""
        entries = tuple(dict.fromkeys(e for e in (part.strip() for part in re.split(r"[,\n]", self._raw(name))) if e))
        for entry in entries:
            odd = any(unicodedata.category(c)[0] == "C" for c in entry) or (
                allowed is not None and not allowed.fullmatch(entry)
            )
            if odd:
                self.problem(name, f"{shown(entry)} is not {what}", "correct or remove this entry")
        return entries or default

    def pairs(self, name: str, value_pattern: re.Pattern[str], what: str) -> dict[str, str]:
        """A map `environment=value` by comma or line; an environment stands once."""
        found: dict[str, str] = {}
        for entry in self.words(name):
            key, equals, value = (part.strip() for part in entry.partition("="))
            if not equals or not ENVIRONMENT_NAME.fullmatch(key) or not value_pattern.fullmatch(value):
                self.problem(
                    name, f"{shown(entry)} is not `environment={what}`", "write one `environment=value` per line"
                )
            elif found.setdefault(key, value) != value:
                self.problem(name, f"{shown(key)} has two values", "keep one of them")
        return found

    def region(self, name: str, default: str) -> str:
        """A region of the partition `aws`, from a closed list (domain/regions.py); nothing is guessed from its form."""
        value = self._raw(name)
        if value and value not in REGIONS:
            near = difflib.get_close_matches(value, REGIONS, n=1, cutoff=0.8)
            remedy = f"did you mean {near[0]}?" if near else f"the default is {default}"
            self.problem(name, f"{shown(value)} is not a region of the AWS partition `aws`", remedy)
            return default
        return value or default

    def repository(self, name: str) -> str:
        value = self._raw(name)
        if value and not _REPOSITORY.fullmatch(value):
            self.problem(name, f"{shown(value)} is not `owner/name`", "write the repository's full name")
            return ""
        return value

    def ref(self, name: str, default: str = "", is_prefix: bool = False) -> str:
        """A branch name, or the beginning of one, by git's rules (git-check-ref-format)."""
        value = self._raw(name)
        if value and not is_branch_name(value + "1" if is_prefix else value):
            self.problem(name, f"{shown(value)} is not a branch name that git accepts", "correct it")
            return default
        return value or default

    def base_url(self, name: str) -> str:
        """An https address, or http on the loopback (a local gateway); no credentials, query or fragment in it."""
        value = self._raw(name)
        if not value:
            return ""
        try:
            url = urlsplit(value)
            secure = url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)
            plain = (
                bool(url.hostname) and not (url.username or url.password or url.query or url.fragment) and url.port != 0
            )
        except ValueError:
            secure = plain = False
        if not secure or not plain or re.search(r"[\s\\]", value):
            self.problem(
                name,
                "it is not a plain https address (http only on the loopback)",
                "write it like https://gateway.example.com",
            )
            return ""
        return value.rstrip("/")

    def role_arn(self, name: str, arn: str, accounts: Mapping[str, str], environment: str | None = None) -> bool:
        """H02: a role of the partition `aws`, in a configured account, and in the account of `environment` when one is
        named.
        """
        match = _ROLE_ARN.fullmatch(arn)
        if match is None:
            self.problem(
                name,
                f"{shown(arn)} is not a role ARN of the partition `aws`",
                "write it like arn:aws:iam::<account>:role/<name>",
            )
        elif match[1] not in accounts.values():
            self.problem(
                name,
                f"account {match[1]} is none of the configured accounts",
                "correct the ARN, or add the account to `aws_accounts`",
            )
        elif environment is not None and environment not in accounts:
            self.problem(
                name, f"environment `{environment}` has no account", f"add `{environment}=<account>` to `aws_accounts`"
            )
        elif environment is not None and accounts[environment] != match[1]:
            own = accounts[environment]
            self.problem(
                name,
                f"the role of `{environment}` is in account {match[1]}, not in its own ({own})",
                "give the role of that account",
            )
        else:
            return True
        return False
