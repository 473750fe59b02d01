"""Root modules, their environments and the files of each, by the conventional layouts and the policy file's mapping.

A wrong answer (a module taken for a root, two environments in one, prod's files used for dev) is worse than none: what
two answers fit is left unsettled and is never planned. The doctor asks people about it (ops_agent.doctor.questions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from ops_agent.model.finding import Finding, Place
from ops_agent.model.policy import DEV, PROD, REGIONS, ROOT, Policy
from ops_agent.model.terraform import Environment, Layout, MappedRoot, TerraformRoot, TerraformTarget
from ops_agent.terraform.modules import Module, directory_of, is_configuration, modules_of, read_headers

# Which environment a path names, by the names that teams use. A name that can be read in two ways is no name.

_ALIASES = {
    "dev": DEV, "development": DEV, "develop": DEV,
    "prod": PROD, "production": PROD, "prd": PROD,
    "staging": "staging", "stage": "staging", "stg": "staging", "homolog": "staging", "hml": "staging", "qa": "qa", "uat": "uat",
    "sandbox": "sandbox", "test": "test",
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


def canonical(name: str) -> str:
    """`production` and `prd` are `prod`; a name that we do not know is left as it is."""
    return _ALIASES.get(name.casefold(), name.casefold())


def environment_account(name: str, policy: Policy) -> str | None:
    """The account that the policy gives to an environment of this name or of an alias."""
    return next((account for known, account in policy.accounts.items() if canonical(known) == canonical(name)), None)


def environment_of_path(path: str, policy: Policy) -> str | None:
    """The environment that a path names by a segment, a file stem or a word of the stem; None when none, or more than
    one.
    """
    found = {canonical(name) for segment in path.split("/") for name in _known_in(segment, policy)} - {ROOT}
    return found.pop() if len(found) == 1 else None


def environments_of_directory(directory: str, policy: Policy) -> frozenset[str]:
    """The environments that a root's own directory names (`environments/dev`, `live/prod/network`,
    `accounts/125611408459`), as they are spelled; an account's number is its environment. Two of them mean that it is
    unclear."""
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


# Which backend and variable files belong to which environment of a root; where two answers are possible, none is given.

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
    """The files of one root: by environment (canonical name), those that name no environment, those that name two, and
    those that Terraform loads by itself in every environment."""

    by_environment: dict[str, Candidates] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    contradictory: list[str] = field(default_factory=list)
    loaded_anyway: list[str] = field(default_factory=list)


class EnvironmentFiles:
    """Backend and variable files of a repository, each with the nearest directory above it that holds Terraform."""

    def __init__(self, files: Iterable[str], modules: Collection[str], policy: Policy) -> None:
        self._policy = policy
        self._by_owner: dict[str, list[str]] = {}
        self.outside: list[str] = []
        for path in files:
            if is_deployed(path) and (is_backend(path) or path.endswith(_VARIABLES)):
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
        """The files whose nearest Terraform directory is `directory`. What Terraform loads by itself belongs to no
        environment.
        """
        found = RootFiles()
        for path in self._by_owner.get(directory, []):
            relative = path if directory == "." else path.removeprefix(f"{directory}/")
            if "/" not in relative and is_loaded_silently(path):
                found.loaded_anyway.append(path)
            elif not path.endswith(_AUTO):
                _sort(found, path, environments_of_file(relative, self._policy))
        return found

    def for_directory(self, directory: str) -> RootFiles:
        """The files that belong to no directory with Terraform, as seen by a root that found none of its own:
        candidates for a mapping.
        """
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
    name = path.rpartition("/")[2]
    if name.endswith(".tfbackend"):
        return True
    return (
        name.endswith(".hcl")
        and ("backend" in name or "/backend" in f"/{path}")
        and not name.startswith((".", "terragrunt"))
    )


def _is_home(directory: str, environment: str) -> bool:
    return canonical(directory.rpartition("/")[2]) == canonical(environment)


def _listed(paths: list[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown}, ..."


# The roots, and the environments of each.


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why an environment must not be planned. `kind` is the question that the doctor asks, `why` one sentence."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class FoundRoot:
    """A directory that Terraform runs in. `names` are the environments that the directory itself names, `doubts` are
    by environment.
    """

    module: Module
    reached: tuple[Module, ...]
    files: RootFiles
    names: frozenset[str]
    environments: tuple[Environment, ...]
    doubts: Mapping[str, Doubt]
    is_mapped: bool = False

    @property
    def root(self) -> TerraformRoot:
        return TerraformRoot(
            path=self.module.directory,
            environments=self.environments,
            local_modules=tuple(m.directory for m in self.reached),
            has_backend=self.module.has_backend,
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that discovery saw, for the layout and for the doctor's questions about it."""

    paths: tuple[str, ...]
    modules: Mapping[str, Module]
    files: EnvironmentFiles
    roots: tuple[FoundRoot, ...]

    @property
    def layout(self) -> Layout:
        found = (p for p in self.paths if p.startswith(".github/workflows/") and p.count("/") == 2)
        workflows = tuple(p for p in found if p.endswith((".yml", ".yaml")))
        return Layout(roots=tuple(r.root for r in self.roots), workflows=workflows)


def discover_layout(paths: Iterable[str], read: Callable[[str], bytes], policy: Policy) -> Layout:
    """Find every root module in `paths` (regular files, relative); `read(path)` gives the bytes. Raises nothing on odd
    content.
    """
    return survey_of(paths, read, policy).layout


def survey_of(paths: Iterable[str], read: Callable[[str], bytes], policy: Policy) -> Survey:
    """What `discover_layout` sees."""
    files = tuple(paths)
    headers = {p: read_headers(p, read(p)) for p in sorted(files) if is_deployed(p) and is_configuration(p)}
    return survey(files, modules_of(headers), policy)


def survey(paths: Iterable[str], modules: Mapping[str, Module], policy: Policy) -> Survey:
    """What the files and the `modules` (by directory, without examples and tests) say about roots and environments."""
    files = tuple(sorted(paths))
    known = frozenset(files)
    called = {target for module in modules.values() for target in module.calls}
    mapped = {m.path: m for m in policy.layout}
    of_environments = EnvironmentFiles(files, modules, policy)
    wrapped = {directory_of(p) for p in files if p.rpartition("/")[2].startswith("terragrunt.")}
    roots = []
    for directory, module in modules.items():
        reached = tuple(modules[m] for m in _reached(directory, modules))
        found, names = of_environments.of(directory), environments_of_directory(directory, policy)
        environments: dict[Environment, Doubt | None]
        if directory in mapped:
            environments = _mapped(mapped[directory], module, known, policy)
        elif is_backend_alone(module, found) or not _is_root(
            module, directory in called, bool(found.by_environment), bool(names), bool(wrapped)
        ):
            continue
        else:
            environments = _environments((module, *reached), found, names, policy, is_wrapped=directory in wrapped)
        doubts = {e.name: doubt for e, doubt in environments.items() if doubt is not None}
        roots.append(FoundRoot(module, reached, found, names, tuple(environments), doubts, directory in mapped))
    return Survey(files, modules, of_environments, tuple(roots))


def is_backend_alone(module: Module, files: RootFiles) -> bool:
    """A backend block alone in a folder for backends, as if a pipeline copied it into a root: that is no root."""
    segments = {s.casefold() for s in module.directory.split("/")}
    return module.is_backend_only and not files.by_environment and bool(BACKEND_FOLDERS & segments)


def _is_root(module: Module, is_called: bool, has_files: bool, is_environment: bool, has_terragrunt: bool) -> bool:
    """A directory that Terraform is run in. What others call, and what is below `modules/`, is a module unless it has a
    backend (Terragrunt wants an empty one in its modules).
    """
    if is_called or {"modules", "module"} & set(module.directory.split("/")):
        return module.has_backend and not (has_terragrunt and module.needs_backend_file and not has_files)
    return module.has_backend or has_files or module.has_provider or is_environment


def _reached(directory: str, modules: Mapping[str, Module]) -> tuple[str, ...]:
    reached: set[str] = set()
    pending = list(modules[directory].calls)
    while pending:
        target = pending.pop()
        if target in modules and target not in reached and target != directory:
            reached.add(target)
            pending.extend(modules[target].calls)
    return tuple(sorted(reached))


def _mapped(
    mapped: MappedRoot, module: Module, files: Collection[str], policy: Policy
) -> dict[Environment, Doubt | None]:
    """The environments as the policy file names them; one whose files do not exist is not planned."""
    found: dict[Environment, Doubt | None] = {}
    for entry in mapped.environments:
        gone = [path for path in (entry.backend_file, *entry.var_files) if path is not None and path not in files]
        doubt = None
        if gone:
            doubt = Doubt("mapped-file-missing", f"`{gone[0]}`, which the policy file names, does not exist")
        elif module.needs_backend_file and entry.backend_file is None:
            doubt = _no_backend(module, entry.name)
        environment = Environment(
            name=entry.name,
            account=environment_account(entry.name, policy),
            backend_file=entry.backend_file if entry.backend_file in files else None,
            var_files=tuple(p for p in entry.var_files if p in files),
            unsettled=doubt.why if doubt else "",
        )
        found[environment] = doubt
    return found


def _environments(
    reached: tuple[Module, ...], files: RootFiles, names: frozenset[str], policy: Policy, *, is_wrapped: bool
) -> dict[Environment, Doubt | None]:
    """The environments of the root `reached[0]` (the rest are the modules that it reaches), from its `files` and the
    `names` of its directory. `is_wrapped`: Terragrunt runs it.
    """
    if len(names) > 1:
        return {}
    candidates = _of_own_directory(next(iter(names)), files) if names else files.by_environment
    root = reached[0]
    sharing = [c for c in candidates.values() if not c.backends]
    shares_state = root.has_backend and not root.needs_backend_file and len(sharing) > 1
    found: dict[Environment, Doubt | None] = {}
    for _, one in sorted(candidates.items()):
        doubt = _doubt(reached, one, policy, is_wrapped=is_wrapped, shares_state=shares_state)
        environment = Environment(
            name=one.name,
            account=environment_account(one.name, policy),
            backend_file=None if doubt else next(iter(one.backends), None),
            var_files=() if doubt else tuple(one.variables),
            unsettled=doubt.why if doubt else "",
        )
        found[environment] = doubt
    return found


def _of_own_directory(name: str, files: RootFiles) -> dict[str, Candidates]:
    """A directory that is an environment: its files are that environment's, unless one names another."""
    others = {c.name for key, c in files.by_environment.items() if key != canonical(name)}
    named = files.by_environment.get(canonical(name), Candidates(name))
    own = Candidates(name, list(named.backends), list(named.variables))
    for path in files.unnamed:
        (own.backends if is_backend(path) else own.variables).append(path)
    if others:
        own.doubted = f"files of {_words(others)} lie in its directory"
    elif len(own.variables) > 1:
        own.doubted = f"{len(own.variables)} variable files lie in its directory"
    return {canonical(name): own}


def _doubt(
    reached: tuple[Module, ...], candidates: Candidates, policy: Policy, *, is_wrapped: bool, shares_state: bool
) -> Doubt | None:
    root, name = reached[0], candidates.name
    where = root.directory
    if is_wrapped:
        return Doubt("terragrunt", f"`{where}` is run by Terragrunt, which is not supported")
    if root.backend not in ("", "s3"):
        return Doubt("backend-type", f"the state of `{where}` is kept by `{root.backend}`, which is not supported")
    if environment_account(name, policy) is None:
        return Doubt("unknown-environment", f"the environment `{name}` has no account in `aws_accounts`")
    if candidates.doubt:
        return Doubt("several-files", f"it is unclear which files are meant: {candidates.doubt}")
    if not candidates.backends and any(module.reads_workspace for module in reached):
        return Doubt("workspaces", f"`{where}` reads `terraform.workspace`, and workspaces are not selected here")
    if not candidates.backends and root.needs_backend_file:
        return _no_backend(root, name)
    if not candidates.backends and shares_state:
        return Doubt("shared-state", f"the environments of `{where}` would share one state")
    return None


def _no_backend(root: Module, name: str) -> Doubt:
    why = f"no backend file was found for the environment `{name}` of `{root.directory}`"
    return Doubt("backend-file-missing", why)


def _words(names: Collection[str]) -> str:
    return " and ".join(f"`{name}`" for name in sorted(names))


# What a change touches of a layout.


class LayoutUses:
    """Who uses what of a layout: its roots by the directories that they load and by the files of their environments, and
    the environments by their files.
    """

    def __init__(self, layout: Layout) -> None:
        self.by_directory: dict[str, list[TerraformRoot]] = {}
        self.environment_of: dict[str, str] = {}
        self._by_file: dict[str, list[TerraformRoot]] = {}
        environments = [(root, e) for root in layout.roots for e in root.environments]
        self.backend_files = frozenset(e.backend_file for _, e in environments if e.backend_file)
        for root in layout.roots:
            for directory in (root.path, *root.local_modules):
                self.by_directory.setdefault(directory, []).append(root)
        for root, environment in environments:
            for path in filter(None, (environment.backend_file, *environment.var_files)):
                self.environment_of.setdefault(path, environment.name)
                self._by_file.setdefault(path, []).append(root)

    def affected(self, paths: Iterable[str]) -> tuple[TerraformRoot, ...]:
        """The roots that a change of these files can affect: a file of the root, of an environment of it, or of a module
        that it reaches. Files that are no configuration belong to the nearest directory above that is one of a root.
        """
        found: dict[str, TerraformRoot] = {}
        for path in paths:
            nearest = directory_of(path)
            while not is_configuration(path) and nearest not in self.by_directory and nearest != ".":
                nearest = directory_of(nearest)
            of_path = (*self._by_file.get(path, ()), *self.by_directory.get(nearest, ()))
            found.update((root.path, root) for root in of_path)
        return tuple(found[path] for path in sorted(found))


def targets(roots: Iterable[TerraformRoot]) -> tuple[TerraformTarget, ...]:
    """Every root in every environment of it."""
    return tuple(TerraformTarget(root=r, environment=e) for r in roots for e in r.environments)


def unsettled_by(before: Layout, after: Layout) -> tuple[Finding, ...]:
    """A blocking finding for each environment that could be planned on the base and is unsettled on the head:
    nothing would prove the change.

    An environment that is gone with its files is none of these: its removal is seen for what it is.
    """
    found = []
    head = {(root.path, e.name): e for root in after.roots for e in root.environments}
    emptied = {root.path for root in after.roots if not root.environments}
    for root in before.roots:
        for environment in (e for e in root.environments if not e.unsettled):
            now = head.get((root.path, environment.name))
            why = now.unsettled if now else "its directory and files no longer name it" if root.path in emptied else ""
            if why:
                found.append(
                    Finding(
                        rule="layout/unsettled-by-this-change",
                        title="The repository's layout leaves a question open",
                        place=Place(path=root.path),
                        what=f"after this change `{environment.name}` of `{root.path}` cannot be planned any more: {why}",
                        remedy="Take back the file that made it so, or write into the files that exist already.",
                    )
                )
    return tuple(found)
