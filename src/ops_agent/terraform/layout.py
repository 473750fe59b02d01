"""Root modules, their environments and the files of each, by the conventional layouts and the policy file's mapping.

A wrong answer (a module taken for a root, two environments in one, prod's files used for dev) is worse than none: what
two answers fit is left unsettled and is never planned. The doctor asks people about it (ops_agent.doctor.questions).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ops_agent.model.finding import Finding, Place
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import NO_ENVIRONMENT, Environment, Layout, MappedRoot, TerraformRoot, TerraformTarget
from ops_agent.terraform.environments import (
    BACKEND_FOLDERS,
    Candidates,
    EnvironmentFiles,
    RootFiles,
    canonical,
    environment_account,
    environments_of_directory,
    is_deployed,
)
from ops_agent.terraform.modules import Module, directory_of, is_configuration, modules_of


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why an environment must not be planned. `kind` is the question that the doctor asks, `why` one sentence."""

    kind: str
    why: str


_Environments = dict[Environment, Doubt | None]


@dataclass(frozen=True, slots=True)
class FoundRoot:
    """A directory that Terraform runs in. `names`: the environments that it names; `doubts`: by environment."""

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
    """Find every root module in `paths` (regular files, relative); `read(path)` gives the bytes. Never raises."""
    return survey_of(paths, read, policy).layout


def survey_of(paths: Iterable[str], read: Callable[[str], bytes], policy: Policy) -> Survey:
    """What `discover_layout` sees."""
    files = tuple(paths)
    return survey(files, modules_of(files, read), policy, read)


def survey(paths: Iterable[str], modules: Mapping[str, Module], policy: Policy, read: Callable[[str], bytes]) -> Survey:
    """What the files and the `modules` (by directory) say about roots and environments."""
    files = tuple(sorted(paths))
    known = frozenset(files)
    # Examples and tests are no roots, but a root may call them.
    deployed = {d: m for d, m in modules.items() if d == "." or is_deployed(f"{d}/")}
    called = {target for module in deployed.values() for target in module.calls}
    mapped = {m.path: m for m in policy.layout}
    of_environments = EnvironmentFiles(files, deployed, policy, read)
    wrapped = {directory_of(p) for p in files if p.rpartition("/")[2].startswith("terragrunt.")}
    roots = []
    for directory, module in deployed.items():
        reached = tuple(modules[m] for m in _reached(directory, modules))
        found, names = of_environments.of(directory), environments_of_directory(directory, policy)
        if directory in mapped:
            environments = _mapped(mapped[directory], (module, *reached), known, policy)
        elif is_backend_alone(module, found) or not _is_root(
            module, directory in called, bool(found.by_environment), bool(names), bool(wrapped)
        ):
            continue
        else:
            environments = _environments((module, *reached), found, names, policy, is_wrapped=directory in wrapped)
        doubts = {e.name: doubt for e, doubt in environments.items() if doubt is not None}
        roots.append(FoundRoot(module, reached, found, names, tuple(environments), doubts, directory in mapped))
    return Survey(files, deployed, of_environments, tuple(roots))


def is_backend_alone(module: Module, files: RootFiles) -> bool:
    """A backend block alone in a folder for backends, as if a pipeline copied it into a root: that is not a root."""
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


def _mapped(mapped: MappedRoot, reached: tuple[Module, ...], files: Collection[str], policy: Policy) -> _Environments:
    """The environments as the policy file names them; one whose files do not exist, or whose state could be another's,
    is not planned.
    """
    found: _Environments = {}
    states = Counter(entry.backend_file for entry in mapped.environments)
    for entry in mapped.environments:
        gone = [path for path in (entry.backend_file, *entry.var_files) if path is not None and path not in files]
        doubt: Doubt | None = None
        if gone:
            doubt = Doubt("mapped-file-missing", f"`{gone[0]}`, which the policy file names, does not exist")
        else:
            shares = reached[0].has_backend and states[entry.backend_file] > 1
            doubt = _doubt_about_state(reached, entry.name, entry.backend_file is not None, shares_state=shares)
        backend = entry.backend_file if entry.backend_file in files else None
        found[_environment(entry.name, backend, (p for p in entry.var_files if p in files), doubt, policy)] = doubt
    return found


def _environments(
    reached: tuple[Module, ...], files: RootFiles, names: frozenset[str], policy: Policy, *, is_wrapped: bool
) -> _Environments:
    """The environments of the root `reached[0]` (the rest are the modules that it reaches), from its `files` and the
    `names` of its directory. `is_wrapped`: Terragrunt runs it.
    """
    if len(names) > 1:
        return {}
    candidates = _of_own_directory(next(iter(names)), files) if names else files.by_environment
    sharing = [c for c in candidates.values() if not c.backends]
    shares_state = reached[0].has_backend and not reached[0].needs_backend_file and len(sharing) > 1
    found: _Environments = {}
    for _, one in sorted(candidates.items()):
        doubt = _doubt(reached, one, policy, is_wrapped=is_wrapped, shares_state=shares_state)
        backend, variables = (None, []) if doubt else (next(iter(one.backends), None), one.variables)
        found[_environment(one.name, backend, variables, doubt, policy)] = doubt
    return found


def _environment(
    name: str, backend: str | None, variables: Iterable[str], doubt: Doubt | None, policy: Policy
) -> Environment:
    return Environment(
        name=name,
        account=environment_account(name, policy),
        backend_file=backend,
        var_files=tuple(variables),
        unsettled=doubt.why if doubt else "",
    )


def _of_own_directory(name: str, files: RootFiles) -> dict[str, Candidates]:
    """A directory that is an environment: its files are that environment's, unless one names another."""
    others = {c.name for key, c in files.by_environment.items() if key != canonical(name)}
    named = files.by_environment.get(canonical(name), Candidates(name))
    own = Candidates(name, list(named.backends), list(named.variables))
    for path in files.unnamed:
        (own.backends if path in files.backends else own.variables).append(path)
    if others:
        own.doubted = f"files of {_words(others)} lie in its directory"
    elif len(own.variables) > 1:
        own.doubted = f"{len(own.variables)} variable files lie in its directory"
    return {canonical(name): own}


def _doubt(
    reached: tuple[Module, ...], candidates: Candidates, policy: Policy, *, is_wrapped: bool, shares_state: bool
) -> Doubt | None:
    name = candidates.name
    if is_wrapped:
        return Doubt("terragrunt", f"`{reached[0].directory}` is run by Terragrunt, which is not supported")
    if environment_account(name, policy) is None:
        return Doubt("unknown-environment", f"the environment `{name}` has no account in `aws_accounts`")
    if candidates.doubt:
        return Doubt("several-files", f"it is unclear which files are meant: {candidates.doubt}")
    has_backend_file = bool(candidates.backends)
    return _doubt_about_state(reached, name, has_backend_file, shares_state=shares_state and not has_backend_file)


def _doubt_about_state(
    reached: tuple[Module, ...], name: str, has_backend_file: bool, *, shares_state: bool
) -> Doubt | None:
    """Why it is unclear which state belongs to the environment `name` of the root `reached[0]`. A state in a workspace
    must never be taken for that of `default`.
    """
    root, where = reached[0], reached[0].directory
    if root.backend not in ("", "s3"):
        return Doubt("backend-type", f"the state of `{where}` is kept by `{root.backend}`, which is not supported")
    if any(module.reads_workspace for module in reached) and (shares_state or not has_backend_file):
        return Doubt("workspaces", f"`{where}` reads `terraform.workspace`, and workspaces are not selected here")
    if not has_backend_file and root.needs_backend_file:
        why = f"no backend file was found for the environment `{name}` of `{where}`"
        return Doubt("backend-file-missing", why)
    if shares_state:
        return Doubt("shared-state", f"the environments of `{where}` would share one state")
    return None


def _words(names: Collection[str]) -> str:
    return " and ".join(f"`{name}`" for name in sorted(names))


class LayoutUses:
    """Which roots load a directory or use a file of an environment, and which environment a file belongs to."""

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
        """The roots that a change of these files can affect: files of the root, its environments or its modules.

        What is no configuration belongs to the nearest directory above that a root loads.
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
    """Every root in every environment of it; one without environments in NO_ENVIRONMENT."""
    return tuple(TerraformTarget(root=r, environment=e) for r in roots for e in r.environments or (NO_ENVIRONMENT,))


def unsettled_by(before: Layout, after: Layout) -> tuple[Finding, ...]:
    """A blocking finding for each environment that only the base can plan: nothing would prove the change.

    An environment that is gone with its files is none of these: its removal is seen for what it is.
    """
    head = {(root.path, e.name): e for root in after.roots for e in root.environments}
    emptied = {root.path for root in after.roots if not root.environments}
    found = []
    for root, name in ((r, e.name) for r in before.roots for e in r.environments if not e.unsettled):
        now = head.get((root.path, name))
        why = now.unsettled if now else "its directory and files no longer name it" if root.path in emptied else ""
        if why:
            finding = Finding(
                rule="layout/unsettled-by-this-change",
                title="The repository's layout leaves a question open",
                place=Place(path=root.path),
                what=f"after this change `{name}` of `{root.path}` cannot be planned any more: {why}",
                remedy="Take back the file that made it so, or write into the files that exist already.",
            )
            found.append(finding)
    return tuple(found)
