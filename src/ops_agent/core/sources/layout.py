"""Where Terraform stands: root modules told from modules, their environments, and the files of each (mission.md R42, R45, K1-K4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ops_agent.core.sources.layout_environments import EnvironmentFiles, environment_account, environment_of_directory, environments_of
from ops_agent.core.sources.module_calls import Module, is_configuration, read_modules
from ops_agent.domain.layout import Environment, Layout, MappedRoot, TerraformRoot, TerraformTarget
from ops_agent.domain.policy import ROOT, Policy
from ops_agent.domain.verdict import Finding, Place

_NOT_DEPLOYED = frozenset({"examples", "example", "tests", "test", "fixtures", "testdata", "node_modules", "vendor"})


def discover_layout(paths: Iterable[str], read: Callable[[str], bytes], policy: Policy) -> Layout:
    """Find every root module in `paths` (regular files, relative); `read(path)` gives the bytes.

    `policy.layout` replaces guessing where given.

    What is odd is a finding that does not block; nothing here raises on odd content.
    """
    files = tuple(sorted(paths))
    workflows = tuple(p for p in files if p.startswith(".github/workflows/") and p.count("/") == 2 and p.endswith((".yml", ".yaml")))
    modules = read_modules((p for p in files if _is_deployed(p)), read)
    called = {target for module in modules.values() for target in module.calls}
    mapped = {m.path: m for m in policy.layout}
    env_files = EnvironmentFiles(files, tuple(modules))
    findings: list[Finding] = []
    roots: list[TerraformRoot] = []
    for directory, module in modules.items():
        if directory in mapped:
            environments = _mapped_environments(mapped[directory], set(files), policy, findings)
        else:
            found = environments_of(directory, env_files)
            own_environment = environment_of_directory(directory, policy)
            if not _is_root(module, directory in called, bool(found), own_environment is not None):
                continue
            environments = _environments(module, found, own_environment, policy, findings)
        roots.append(
            TerraformRoot(
                path=directory, environments=environments, local_modules=_reached(directory, modules), has_backend=module.has_backend
            )
        )
    for missing in sorted(set(mapped) - set(modules)):
        findings.append(_finding("mapped-root-missing", missing, "the policy file names this root, but it holds no Terraform file"))
    if not roots and not modules:
        findings.append(_finding("no-terraform", ".", "the repository holds no Terraform file"))
    elif not roots:
        findings.append(_finding("no-root", ".", "there are modules, but none has a backend, a provider or files of an environment"))
    return Layout(roots=tuple(roots), workflows=workflows, findings=tuple(findings))


def affected_roots(layout: Layout, changed_paths: Iterable[str]) -> tuple[TerraformRoot, ...]:
    """The roots that `changed_paths` can change: a file of the root, of an environment of it, or of a module that it reaches."""
    changed = tuple(changed_paths)
    return tuple(r for r in layout.roots if any(_belongs(p, r, layout) for p in changed))


def targets(roots: Iterable[TerraformRoot]) -> tuple[TerraformTarget, ...]:
    """Every root in every environment of it."""
    return tuple(TerraformTarget(root=r, environment=e) for r in roots for e in r.environments)


def directory_of(path: str) -> str:
    """The directory of a path, `.` for the repository's root."""
    return path.rpartition("/")[0] or "."


def _belongs(path: str, root: TerraformRoot, layout: Layout) -> bool:
    named = {f for e in root.environments for f in (e.backend_file, *e.var_files)}
    if path in named or directory_of(path) in (root.path, *root.local_modules):
        return True
    if is_configuration(path):
        return False
    holders = {r.path for r in layout.roots} | {m for r in layout.roots for m in r.local_modules}
    nearest = directory_of(path)
    while nearest not in holders and nearest != ".":
        nearest = directory_of(nearest)
    return nearest in (root.path, *root.local_modules)


def _is_deployed(path: str) -> bool:
    segments = path.split("/")
    return not any(s.startswith(".") or s in _NOT_DEPLOYED for s in segments[:-1])


def _is_root(module: Module, is_called: bool, has_files: bool, is_environment: bool) -> bool:
    if module.has_backend or has_files:
        return True
    return not is_called and (module.has_provider or is_environment)


def _environments(
    module: Module, found: dict[str, tuple[str | None, tuple[str, ...]]], own: str | None, policy: Policy, findings: list[Finding]
) -> tuple[Environment, ...]:
    if not found and own is not None:
        return (Environment(name=own, account=environment_account(own, policy), backend_file=None),)
    if not found:
        findings.append(
            _finding("no-environment", module.directory, "no backend or variable file names an environment: nothing can be planned here")
        )
        return ()
    environments = []
    for name, (backend, var_files) in sorted(found.items()):
        if backend is None and module.needs_backend_file:
            findings.append(_missing("backend-file", module.directory, name, f"backend/{name}/backend.hcl"))
        if not var_files and module.required_variables:
            findings.append(_missing("variable-file", module.directory, name, f"environments/{name}/terraform.tfvars"))
        environments.append(Environment(name=name, account=environment_account(name, policy), backend_file=backend, var_files=var_files))
    if own is None:
        present = {e.account for e in environments}
        for name, account in sorted(policy.accounts.items()):
            if name != ROOT and account not in present:
                findings.append(_finding("environment-missing", module.directory, f"the environment `{name}` has no files here (K2)"))
    return tuple(environments)


def _mapped_environments(mapped: MappedRoot, files: set[str], policy: Policy, findings: list[Finding]) -> tuple[Environment, ...]:
    environments = []
    for entry in mapped.environments:
        for path in (entry.backend_file, *entry.var_files):
            if path is not None and path not in files:
                findings.append(
                    _finding("mapped-file-missing", path, f"the policy file names it for `{entry.name}`, but it does not exist")
                )
        backend = entry.backend_file if entry.backend_file in files else None
        var_files = tuple(p for p in entry.var_files if p in files)
        environments.append(
            Environment(name=entry.name, account=environment_account(entry.name, policy), backend_file=backend, var_files=var_files)
        )
    return tuple(environments)


def _reached(directory: str, modules: dict[str, Module]) -> tuple[str, ...]:
    reached: set[str] = set()
    pending = list(modules[directory].calls)
    while pending:
        target = pending.pop()
        if target in modules and target not in reached and target != directory:
            reached.add(target)
            pending.extend(modules[target].calls)
    return tuple(sorted(reached))


def _missing(kind: str, directory: str, environment: str, wanted: str) -> Finding:
    where = wanted if directory == "." else f"{directory}/{wanted}"
    return _finding(f"{kind}-missing", where, f"the environment `{environment}` of `{directory}` has no {kind.replace('-', ' ')} (K2)")


def _finding(rule: str, path: str, what: str) -> Finding:
    return Finding(
        rule=f"layout/{rule}",
        title="The repository's layout leaves a question open",
        place=Place(path=path),
        what=what,
        remedy="Add the file, or map roots and environments under `layout:` in `.github/ops-agent.yml` (docs/setup/policy-file.md).",
        blocks=False,
    )
