"""Which environment a path names, and which backend and variable files belong to which environment of a root.

A name that can be read in two ways is no name, and where two answers are possible, none is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from ops_agent.model.policy import DEV, PROD, REGIONS, ROOT, Policy
from ops_agent.model.terraform import TerraformSource
from ops_agent.terraform.modules import directory_of, read_source

_ALIASES = {
    "dev": DEV, "development": DEV, "develop": DEV,
    "prod": PROD, "production": PROD, "prd": PROD,
    "staging": "staging", "stage": "staging", "stg": "staging", "homolog": "staging", "hml": "staging",
    "qa": "qa", "uat": "uat", "sandbox": "sandbox", "test": "test",
}  # fmt: skip
ENVIRONMENT_FOLDERS = frozenset({"environments", "environment", "envs", "env"})
"""What is in them is an environment, whatever it is called. `vars/network.tfvars` is none."""
BACKEND_FOLDERS = frozenset({"backend", "backends", "backend-config", "backend-configs"})
_NEGATING = frozenset({"non", "not", "no", "pre", "post"})
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}", re.IGNORECASE)
_ACCOUNT = re.compile(r"[0-9]{12}")
_NO_ENVIRONMENT = frozenset(
    {"backend", "terraform", "common", "global", "shared", "default", "example", "modules", "config", "vars"}
)
_NOT_DEPLOYED = frozenset({"examples", "example", "tests", "test", "fixtures", "testdata", "node_modules", "vendor"})
_FOLDERS = ENVIRONMENT_FOLDERS | BACKEND_FOLDERS | {"vars", "tfvars", "variables", "config", "configs", "settings"}
_FOLDERS |= {"workspace_variables", "workspace-variables"}
_VARIABLES, _AUTO = (".tfvars", ".tfvars.json"), (".auto.tfvars", ".auto.tfvars.json")
_LOOSE = (*_VARIABLES, ".conf", ".config")
"""Endings that a backend file may have whose content shows that it is one."""
_ENDING = re.compile(r"(?:\.s3)?\.(?:tfbackend|hcl|tfvars|tfvars\.json|conf|config)$")
_BACKEND_WORD = re.compile(r"^backend[._-]+|[._-]+backend$", re.IGNORECASE)
_NAMES_BACKEND = re.compile(r"(?:^|[/._-])backends?(?:[/._-]|$)", re.IGNORECASE)
_S3_ARGUMENT = re.compile(
    r"bucket|key|region|dynamodb_table|encrypt|kms_key_id|acl|profile|role_arn|session_name|external_id|token|insecure"
    r"|workspace_key_prefix|(?:access|secret|sse_customer)_key|max_retries|retry_mode|force_path_style|sts_region"
    r"|use_(?:lockfile|path_style|(?:dualstack|fips)_endpoint)|(?:\w+_)?endpoints?|\w+_proxy|custom_ca_bundle"
    r"|(?:allowed|forbidden)_account_ids|(?:assume_role|shared|skip)_\w+|assume_role"
)
_LOADED_ANYWAY = ("terraform.tfvars", "terraform.tfvars.json")


def canonical(name: str) -> str:
    """`production` and `prd` are `prod`; a name that we do not know is left as it is."""
    return _ALIASES.get(name.casefold(), name.casefold())


def environment_account(name: str, policy: Policy) -> str | None:
    """The account that the policy gives to an environment of this name or of an alias; an empty one where the policy
    has no accounts, because nobody named them.
    """
    if not policy.accounts:
        return ""
    return next((account for known, account in policy.accounts.items() if canonical(known) == canonical(name)), None)


def environment_of_path(path: str, policy: Policy) -> str | None:
    """The one environment that a path names by a segment, a file stem or a word of it; None without or with several."""
    found = {canonical(name) for segment in path.split("/") for name in _known_in(segment, policy)} - {ROOT}
    return found.pop() if len(found) == 1 else None


def environments_of_directory(directory: str, policy: Policy) -> frozenset[str]:
    """The environments that a root's own directory names, as they are spelled; two of them mean that it is unclear.

    `environments/dev` and `live/prod/network` name one, and so does `accounts/125611408459`: that number.
    """
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

    One is the answer; none means a file of no environment or of all; two (`environments/dev/prod.tfvars`) that it is
    unclear.
    """
    segments = relative.split("/")
    segments[-1] = _BACKEND_WORD.sub("", _ENDING.sub("", segments[-1]))
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
    """Names in the words of a segment. A whole name of `aws_accounts` beats a word in it (`infra-dev` is not `dev`);
    `pre-prod` and `non-prod` are names of their own, never `prod`.
    """
    whole = _whole(segment, policy)
    if whole is not None:
        yield whole
        return
    words = [w for w in re.split(r"[._-]", segment) if w]
    several = {tuple(re.split(r"[._-]", name.casefold())): name for name in policy.accounts if name != ROOT}
    longest = max(map(len, several), default=1)
    spans: list[tuple[int, int, str]] = []
    for start, word in enumerate(words):
        if (known := _whole(word, policy)) is not None:
            spans.append((start, start + 1, known))
        for end in range(start + 2, min(start + longest, len(words)) + 1):
            if (name := several.get(tuple(w.casefold() for w in words[start:end]))) is not None:
                spans.append((start, end, name))
    for start, end, name in spans:
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b, _ in spans):
            before = words[start - 1] if start else ""
            yield f"{before}-{name}" if before.casefold() in _NEGATING else name


def _unknown(segment: str) -> str | None:
    plain = segment.casefold()
    fits = _NAME.fullmatch(segment) and plain not in _NO_ENVIRONMENT | ENVIRONMENT_FOLDERS | BACKEND_FOLDERS | REGIONS
    return segment if fits else None


@dataclass(slots=True)
class Candidates:
    """Files that name one environment of one root. `name` is as it was spelled first."""

    name: str
    backends: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    doubted: str = ""

    @property
    def files(self) -> list[str]:
        return [*self.backends, *self.variables]

    @property
    def doubt(self) -> str:
        """Why it is unclear which of them are meant; empty when it is plain.

        Several variable files are plain only in a directory that is the environment's own: `environments/dev/*.tfvars`.
        """
        if self.doubted:
            return self.doubted
        if len(self.backends) > 1:
            return f"{len(self.backends)} backend files name it ({_listed(self.backends)})"
        homes = {path.rpartition("/")[0] for path in self.variables}
        if len(self.variables) > 1 and (len(homes) > 1 or not _is_home(homes.pop(), self.name)):
            return f"{len(self.variables)} variable files name it ({_listed(self.variables)})"
        return ""


@dataclass(slots=True)
class RootFiles:
    """The files of one root: by environment (canonical name), of none, of two, and loaded in every environment.

    `backends` holds those of them that are backend files, and others.
    """

    by_environment: dict[str, Candidates] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    contradictory: list[str] = field(default_factory=list)
    loaded_anyway: list[str] = field(default_factory=list)
    backends: Collection[str] = ()


class EnvironmentFiles:
    """Backend and variable files of a repository, each with the nearest directory above it that holds Terraform.
    `read(path)` gives a file's bytes.
    """

    def __init__(
        self, files: Iterable[str], modules: Collection[str], policy: Policy, read: Callable[[str], bytes]
    ) -> None:
        self._policy = policy
        self._by_owner: dict[str, list[str]] = {}
        self._backends: set[str] = set()
        self.outside: list[str] = []
        for path in filter(is_deployed, files):
            if is_backend(path) or (may_be_backend(path) and _holds_backend(path, read(path))):
                self._backends.add(path)
            if path in self._backends or path.endswith(_VARIABLES):
                owner = directory_of(path)
                while owner not in modules and owner != ".":
                    owner = directory_of(owner)
                is_own = owner in modules and self._is_near(path if owner == "." else path.removeprefix(f"{owner}/"))
                (self._by_owner.setdefault(owner, []) if is_own else self.outside).append(path)

    def _is_near(self, relative: str) -> bool:
        """Beside the code, or in a folder that is made for such files: `network/backend/dev.hcl` is somebody else's."""
        first, nested, _ = relative.partition("/")
        return not nested or first.casefold() in _FOLDERS or bool(environments_of_file(first, self._policy))

    def of(self, directory: str) -> RootFiles:
        """The files whose nearest Terraform directory is `directory`."""
        found = RootFiles(backends=self._backends)
        for path in self._by_owner.get(directory, []):
            relative = path if directory == "." else path.removeprefix(f"{directory}/")
            if "/" not in relative and is_loaded_silently(path):
                found.loaded_anyway.append(path)
            elif not path.endswith(_AUTO):
                _sort(found, path, environments_of_file(relative, self._policy))
        return found

    def for_directory(self, directory: str) -> RootFiles:
        """For a root without files of its own: those of no Terraform directory, as candidates for a mapping."""
        top = directory.split("/")[0]
        near = [path for path in self.outside if path.split("/")[0] == top] or self.outside
        found = RootFiles(backends=self._backends)
        for path in near:
            _sort(found, path, environments_of_file(path, self._policy))
        return found


def _sort(found: RootFiles, path: str, names: frozenset[str]) -> None:
    if len(names) > 1:
        found.contradictory.append(path)
    elif not names:
        found.unnamed.append(path)
    else:
        (name,) = names
        candidates = found.by_environment.setdefault(canonical(name), Candidates(name))
        (candidates.backends if path in found.backends else candidates.variables).append(path)


def is_loaded_silently(path: str) -> bool:
    """True for variable files that Terraform loads from a root's directory by itself."""
    return path.rpartition("/")[2] in _LOADED_ANYWAY or path.endswith(_AUTO)


def is_deployed(path: str) -> bool:
    """False for examples and tests. An environment called `test` is one: `environments/test/...`."""
    segments = path.split("/")[:-1]
    return not any(
        segment.startswith(".") or (segment in _NOT_DEPLOYED and before not in ENVIRONMENT_FOLDERS | BACKEND_FOLDERS)
        for before, segment in zip(["", *segments], segments, strict=False)
    )


def is_backend(path: str) -> bool:
    """True for what is a backend file by its name alone."""
    name = path.rpartition("/")[2]
    is_named_so = "backend" in name or "/backend" in f"/{path}"
    is_hcl = name.endswith(".hcl") and not name.startswith((".", "terragrunt"))
    return name.endswith(".tfbackend") or (is_hcl and is_named_so)


def may_be_backend(path: str) -> bool:
    """True for a file whose content shows whether it is a backend file: `dev.backend.tfvars` may be the variables of
    something that is called backend.
    """
    return path.endswith(_LOOSE) and bool(_NAMES_BACKEND.search(_ENDING.sub("", path)))


def _holds_backend(path: str, content: bytes) -> bool:
    source = read_source(path, content)
    names = {a.name for a in source.attributes} if isinstance(source, TerraformSource) and not source.blocks else set()
    return "bucket" in names and all(map(_S3_ARGUMENT.fullmatch, names))


def _is_home(directory: str, environment: str) -> bool:
    return canonical(directory.rpartition("/")[2]) == canonical(environment)


def _listed(paths: list[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown}, ..."
