"""Which files belong to which environment of a root, by the names that teams use."""

from __future__ import annotations

import re
from itertools import pairwise

from ops_agent.domain.policy import DEV, PROD, ROOT, Policy

_ALIASES = {
    "dev": DEV, "development": DEV, "develop": DEV,
    "prod": PROD, "production": PROD, "prd": PROD,
    "staging": "staging", "stage": "staging", "stg": "staging", "homolog": "staging", "hml": "staging", "qa": "qa", "uat": "uat",
    "sandbox": "sandbox", "test": "test",
}  # fmt: skip
_CONTAINERS = frozenset(
    {"environments", "environment", "envs", "env", "backend", "backends", "backend-config", "backend-configs", "vars", "tfvars", "config"}
)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_NO_ENVIRONMENT = frozenset({"backend", "terraform", "common", "global", "shared", "default", "example", "modules"})


def canonical(name: str) -> str:
    """`production` and `prd` are `prod`; a name that we do not know stands for itself."""
    return _ALIASES.get(name.casefold(), name.casefold())


def environment_account(name: str, policy: Policy) -> str | None:
    """The account that the policy gives to an environment of this name or of an alias."""
    return next((account for known, account in policy.accounts.items() if canonical(known) == canonical(name)), None)


def environment_of_path(path: str, policy: Policy) -> str | None:
    """The environment that a path names by a segment, a file stem or a word of the stem; None when none, or more than one."""
    names = {canonical(n) for n in policy.accounts if n != ROOT} | set(_ALIASES.values())
    words = {canonical(word) for segment in path.split("/") for word in _words(segment)}
    found = words & names
    return found.pop() if len(found) == 1 else None


def environment_of_directory(directory: str, policy: Policy) -> str | None:
    """The environment that a root's own directory stands for (`environments/dev`, `live/prod/network`), as it is spelled; None for none."""
    names = {canonical(n) for n in policy.accounts if n != ROOT} | set(_ALIASES.values())
    segments = directory.split("/")
    for before, segment in zip(["", *segments], segments, strict=False):
        if canonical(segment) in names or (before in ("environments", "envs") and _NAME.fullmatch(segment)):
            return segment
    return None


class EnvironmentFiles:
    """Backend and variable files of a repository, each with the nearest directory above it that holds Terraform."""

    def __init__(self, files: tuple[str, ...], modules: tuple[str, ...]) -> None:
        known = set(modules)
        self._by_owner: dict[str, list[str]] = {}
        for path in files:
            if _is_backend(path) or _is_variables(path):
                owner = _directory(path)
                while owner not in known and owner != ".":
                    owner = _directory(owner)
                if owner in known:
                    self._by_owner.setdefault(owner, []).append(path)

    def of(self, directory: str) -> list[str]:
        """Files whose nearest Terraform directory is `directory`."""
        return self._by_owner.get(directory, [])


def environments_of(directory: str, files: EnvironmentFiles) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    """Environment -> (backend file, variable files) for the root in `directory`."""
    backends: dict[str, str] = {}
    variables: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for path in files.of(directory):
        spelled = _environment_name(path if directory == "." else path.removeprefix(f"{directory}/"))
        if spelled is None:
            continue
        name = spelling.setdefault(canonical(spelled), spelled)
        if _is_backend(path):
            backends.setdefault(name, path)
        else:
            variables.setdefault(name, []).append(path)
    return {n: (backends.get(n), tuple(variables.get(n, ()))) for n in sorted({*backends, *variables})}


def _environment_name(relative: str) -> str | None:
    segments = relative.split("/")
    stem = re.sub(r"\.(backend\.hcl|backend\.tfvars|hcl|tfvars|tfbackend)$", "", segments[-1])
    for container, name in pairwise(segments):
        if container in _CONTAINERS:
            candidate = stem if name == segments[-1] else name
            for word in (candidate, *_words(candidate)):
                if word in _ALIASES:
                    return word
            if _NAME.fullmatch(candidate) and candidate not in _NO_ENVIRONMENT and candidate not in _CONTAINERS:
                return candidate
    return next((w for w in _words(stem) if w in _ALIASES), None)


def _words(segment: str) -> list[str]:
    return [w for w in re.split(r"[._-]", segment) if w]


def _is_backend(path: str) -> bool:
    name = path.rpartition("/")[2]
    if name.endswith(".tfbackend"):
        return True
    return name.endswith(".hcl") and ("backend" in name or "/backend" in f"/{path}") and not name.startswith(".")


def _is_variables(path: str) -> bool:
    return path.endswith(".tfvars") and not path.endswith(".auto.tfvars")


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or "."
