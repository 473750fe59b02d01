"""Where secrets are in resources and data sources.

The AWS provider marks secrets (data/sensitive_attributes.txt). Every plan prints what it does not mark, so nothing that
is computed from that is a leak. data/secret_places.txt adds what people fill with secrets all the same; for types that
neither file knows, names decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from ops_agent.guard.data import table
from ops_agent.model.terraform import PathStep

Path = tuple[PathStep, ...]
_NAMED_LIKE_A_SECRET = re.compile(
    r"(.*_)?(passwords?|passwd|passphrase|secrets?|secret_string|secret_binary|secret_key|private_key|api_?key"
    r"|access_key|auth_token|access_token|preshared_key|plaintext|key_material|connection_string"
    r"|shared_secret|plaintext_value)"
    r"|private_key_(pem|openssh)|tokens?|.*_wo"
)


def named_like_a_secret(name: str) -> bool:
    """True for an attribute or output whose name says that it is a secret: for types that no list knows."""
    return _NAMED_LIKE_A_SECRET.fullmatch(name) is not None


def keeps_secret(type_: str, path: Sequence[str]) -> bool:
    """True when the argument at `path` of a resource may be given a secret: it is marked, or listed."""
    known = _places(type_)
    if known is not None:
        return any(tuple(path)[: len(place)] == place for place, _ in known)
    return any(named_like_a_secret(name) for name in path)


def holds_secret(kind: str, type_: str, steps: Path) -> bool:
    """True when a reference by `steps` below one instance of `kind` (resource, data, ephemeral) can be or contain a
    secret. None among the steps is one that is computed.
    """
    known = _places(type_ if kind == "resource" else f"{kind}.{type_}")
    if kind == "ephemeral":
        return True
    if known is not None:
        return any(_leads_to(steps, path, opened) for path, opened in known)
    return any(isinstance(s, str) and named_like_a_secret(s) for s in steps)


@cache
def _places(type_: str) -> tuple[tuple[Path, bool], ...] | None:
    """Paths, and whether a collection is there that one can step into; None for a type that is not known."""
    marked, listed = table("sensitive_attributes").get(type_, ()), table("secret_places").get(type_)
    service, _, rest = type_.removeprefix("aws_").partition("_")
    if (
        marked
        or listed is not None
        or (type_.startswith("aws_") and (rest or "-") in table("aws_types").get(service, ()))
    ):
        found = [word.partition("@")[0] for word in marked]
        paths = [(tuple(p.removesuffix("{}").split(".")), p.endswith("{}")) for p in found]
        return (*paths, *((tuple(p.split(".")), True) for p in listed or ()))
    return () if type_.startswith("data.aws_") else None


def _leads_to(steps: Path, path: Path, opened: bool) -> bool:
    """True when `steps` can lead to `path`, into it or around it. A number steps into a list, None anywhere."""
    if not path:
        return opened or not any(isinstance(s, str) for s in steps)
    if not steps:
        return True
    first, rest = steps[0], steps[1:]
    if isinstance(first, int):
        return _leads_to(rest, path, opened)
    if first is None:
        return _leads_to(rest, path, opened) or _leads_to(rest, path[1:], opened)
    return first == path[0] and _leads_to(rest, path[1:], opened)
