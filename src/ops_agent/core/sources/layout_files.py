"""Which backend and variable files belong to which environment of a root; where two answers are possible, none is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from ops_agent.core.sources.layout_environments import BACKEND_FOLDERS, ENVIRONMENT_FOLDERS, canonical, environments_of_file
from ops_agent.domain.policy import Policy

_NOT_DEPLOYED = frozenset({"examples", "example", "tests", "test", "fixtures", "testdata", "node_modules", "vendor"})
_FOLDERS = ENVIRONMENT_FOLDERS | BACKEND_FOLDERS | {"vars", "tfvars", "variables", "config", "configs", "settings"}
_VARIABLES, _AUTO, _LOADED_ANYWAY = (
    (".tfvars", ".tfvars.json"),
    (".auto.tfvars", ".auto.tfvars.json"),
    ("terraform.tfvars", "terraform.tfvars.json"),
)


@dataclass(slots=True)
class Candidates:
    """Files that name one environment of one root. `name` is as it was spelled first."""

    name: str
    backends: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    doubted: str = ""

    @property
    def doubt(self) -> str:
        """Why nobody can tell which of them are meant; empty when it is plain.

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
    """The files of one root: by environment (canonical name), those that name no environment, those that name two, and those that Terraform
    loads by itself in every environment."""

    by_environment: dict[str, Candidates] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    contradictory: list[str] = field(default_factory=list)
    loaded_anyway: list[str] = field(default_factory=list)


class EnvironmentFiles:
    """Backend and variable files of a repository, each with the nearest directory above it that holds Terraform."""

    def __init__(self, files: tuple[str, ...], modules: tuple[str, ...], policy: Policy) -> None:
        known, self._policy = set(modules), policy
        self._by_owner: dict[str, list[str]] = {}
        self.outside: list[str] = []
        for path in files:
            if is_deployed(path) and (is_backend(path) or path.endswith(_VARIABLES)):
                owner = _directory(path)
                while owner not in known and owner != ".":
                    owner = _directory(owner)
                is_own = owner in known and self._is_near(path if owner == "." else path.removeprefix(f"{owner}/"))
                (self._by_owner.setdefault(owner, []) if is_own else self.outside).append(path)

    def _is_near(self, relative: str) -> bool:
        """Beside the code, or in a folder that is made for such files: `network/backend/dev.hcl` is somebody else's."""
        first, nested, _ = relative.partition("/")
        return not nested or first.casefold() in _FOLDERS or bool(environments_of_file(first, self._policy))

    def of(self, directory: str) -> RootFiles:
        """The files whose nearest Terraform directory is `directory`. What Terraform loads by itself belongs to no environment."""
        found = RootFiles()
        for path in self._by_owner.get(directory, []):
            relative = path if directory == "." else path.removeprefix(f"{directory}/")
            if "/" not in relative and (relative in _LOADED_ANYWAY or relative.endswith(_AUTO)):
                found.loaded_anyway.append(path)
            elif not path.endswith(_AUTO):
                _sort(found, path, environments_of_file(relative, self._policy))
        return found

    def for_directory(self, directory: str) -> RootFiles:
        """The files that belong to no directory with Terraform, as seen by a root that found none of its own: candidates for a mapping."""
        top = directory.split("/")[0]
        near = [path for path in self.outside if path.split("/")[0] == top] or self.outside
        found = RootFiles()
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
        (candidates.backends if is_backend(path) else candidates.variables).append(path)


def is_deployed(path: str) -> bool:
    """False for examples and tests. An environment called `test` is one: `environments/test/...`."""
    segments = path.split("/")[:-1]
    return not any(
        segment.startswith(".") or (segment in _NOT_DEPLOYED and before not in ENVIRONMENT_FOLDERS | BACKEND_FOLDERS)
        for before, segment in zip(["", *segments], segments, strict=False)
    )


def is_backend(path: str) -> bool:
    name = path.rpartition("/")[2]
    if name.endswith(".tfbackend"):
        return True
    return name.endswith(".hcl") and ("backend" in name or "/backend" in f"/{path}") and not name.startswith((".", "terragrunt"))


def _is_home(directory: str, environment: str) -> bool:
    return canonical(directory.rpartition("/")[2]) == canonical(environment)


def _listed(paths: list[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown}, ..."


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or "."
