"""Which strings are paths inside a tree: relative, plain, and the same under every file system's eyes.

C01, C02, C06, C11, C15 of the security bar.
"""

from __future__ import annotations

import re
import unicodedata

MAX_PATH_BYTES = 4096
_PLAIN = re.compile(r"(?!\.\.?/)[A-Za-z0-9._@+=-]*[A-Za-z0-9_@+=-](/(?!\.\.?/)[A-Za-z0-9._@+=-]*[A-Za-z0-9_@+=-])*")
"""Most paths: a quick yes, so that a repository of 200,000 files opens in seconds."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NEVER = re.compile(r"(?:^|/)(?:\.git|git~\d+|\.terraform|terraform\.d|[^/]*\.tfstate(?:\.[^/]*)?|[^/]*\.tfplan)(?:/|$)")


def path_trouble(path: object) -> str | None:
    """Why `path` is refused, as one sentence without the path itself; None when it is sound."""
    if not isinstance(path, str) or not path:
        return "a path is a non-empty string"
    if len(path) < MAX_PATH_BYTES and _PLAIN.fullmatch(path):
        return None
    if any(unicodedata.category(c) in _INVISIBLE for c in path):
        return "a path holds no control, line break or invisible character"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"a path has at most {MAX_PATH_BYTES} bytes"
    if path.startswith(("/", "~")) or "\\" in path or ":" in path or "%" in path:
        return "a path is relative to the repository's root, separated by `/`, without `\\`, `:`, `%` or `~` at its start"
    if unicodedata.normalize("NFKC", path) != path:
        return "a path is written in its simplest Unicode form (NFKC)"
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            return "a path has no empty, `.` or `..` segment"
        if segment != segment.rstrip(". "):
            return "no segment of a path ends with a dot or a blank"
    return None


def is_left_out(path: str) -> bool:
    """True for what is never in the scratch tree, on any file system: git's and Terraform's internals, state and plans (D19)."""
    return _NEVER.search(folded(path)) is not None


def folded(path: str) -> str:
    """The path as a file system that ignores case and Unicode form sees it."""
    if path.isascii() and path.isprintable():
        return "/".join(s.rstrip(". ") for s in path.lower().split("/"))
    plain = unicodedata.normalize("NFKC", path).casefold()
    return "/".join("".join(c for c in s if unicodedata.category(c) != "Cf").rstrip(". ") for s in plain.split("/"))
