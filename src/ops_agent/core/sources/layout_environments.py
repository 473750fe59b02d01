"""Which environment a path names, by the names that teams use. A name that could be read in two ways is no name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from ops_agent.domain.policy import DEV, PROD, ROOT, Policy
from ops_agent.domain.regions import REGIONS

_ALIASES = {
    "dev": DEV, "development": DEV, "develop": DEV,
    "prod": PROD, "production": PROD, "prd": PROD,
    "staging": "staging", "stage": "staging", "stg": "staging", "homolog": "staging", "hml": "staging", "qa": "qa", "uat": "uat",
    "sandbox": "sandbox", "test": "test",
}  # fmt: skip
ENVIRONMENT_FOLDERS = frozenset({"environments", "environment", "envs", "env"})
"""What stands in them is an environment, whatever it is called. `vars/network.tfvars` is none."""
BACKEND_FOLDERS = frozenset({"backend", "backends", "backend-config", "backend-configs"})
_NEGATING = frozenset({"non", "not", "no", "pre", "post"})
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}", re.IGNORECASE)
_ACCOUNT = re.compile(r"[0-9]{12}")
_NO_ENVIRONMENT = frozenset({"backend", "terraform", "common", "global", "shared", "default", "example", "modules", "config", "vars"})


def canonical(name: str) -> str:
    """`production` and `prd` are `prod`; a name that we do not know stands for itself."""
    return _ALIASES.get(name.casefold(), name.casefold())


def environment_account(name: str, policy: Policy) -> str | None:
    """The account that the policy gives to an environment of this name or of an alias."""
    return next((account for known, account in policy.accounts.items() if canonical(known) == canonical(name)), None)


def environment_of_path(path: str, policy: Policy) -> str | None:
    """The environment that a path names by a segment, a file stem or a word of the stem; None when none, or more than one."""
    found = {canonical(name) for segment in path.split("/") for name in _known_in(segment, policy)} - {ROOT}
    return found.pop() if len(found) == 1 else None


def environments_of_directory(directory: str, policy: Policy) -> frozenset[str]:
    """The environments that a root's own directory stands for (`environments/dev`, `live/prod/network`, `accounts/125611408459`), as they
    are spelled; an account's number stands for its environment. Two of them mean that nobody can tell."""
    found: dict[str, str] = {}
    segments = directory.split("/")
    for before, segment in zip(["", *segments], segments, strict=False):
        whole = _whole(segment, policy)
        if whole is None and before.casefold() in ENVIRONMENT_FOLDERS:
            whole = _unknown(segment)
        if whole is None and _ACCOUNT.fullmatch(segment):
            whole = segment
        if whole is not None:
            found.setdefault(canonical(whole), whole)
    return frozenset(found.values())


def environments_of_file(relative: str, policy: Policy) -> frozenset[str]:
    """The environments that a backend or variable file names by its path below the root, as they are spelled.

    One is the answer; none means a file of no environment or of all; two (`environments/dev/prod.tfvars`) that nobody can tell.
    """
    segments = relative.split("/")
    segments[-1] = re.sub(r"\.(backend\.hcl|backend\.tfvars|hcl|tfvars|tfvars\.json|tfbackend)$", "", segments[-1])
    known: dict[str, str] = {}
    for segment in segments:
        for name in _known_in(segment, policy):
            known.setdefault(canonical(name), name)
    if known:
        return frozenset(known.values())
    for folder, segment in pairwise(segments):
        if folder.casefold() in ENVIRONMENT_FOLDERS and (unknown := _unknown(segment)) is not None:
            return frozenset({unknown})
    return frozenset()


def _whole(segment: str, policy: Policy) -> str | None:
    """A segment that is a name we know, or the number of an account that we know."""
    if segment.casefold() in _ALIASES or canonical(segment) in {canonical(n) for n in policy.accounts if n != ROOT}:
        return segment
    return next((name for name, account in policy.accounts.items() if account == segment), None)


def _known_in(segment: str, policy: Policy) -> Iterator[str]:
    """Names in the words of a segment. `pre-prod` and `non-prod` are names of their own, never `prod`."""
    whole = _whole(segment, policy)
    if whole is not None:
        yield whole
        return
    words = [w for w in re.split(r"[._-]", segment) if w]
    for before, word in zip(["", *words], words, strict=False):
        name = _whole(word, policy)
        if name is None:
            continue
        yield f"{before}-{word}" if before.casefold() in _NEGATING else name


def _unknown(segment: str) -> str | None:
    plain = segment.casefold()
    fits = _NAME.fullmatch(segment) and plain not in _NO_ENVIRONMENT | ENVIRONMENT_FOLDERS | BACKEND_FOLDERS | REGIONS
    return segment if fits else None
