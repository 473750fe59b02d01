"""Where Terraform stands: root modules told from modules, their environments, and the files of each.

A wrong guess (a module taken for a root, two environments in one, prod's files used for dev) is worse than none: what two answers fit is
left unsettled, never planned, and asked of people with the lines that answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ops_agent.core.sources.layout_environments import BACKEND_FOLDERS, environments_of_directory
from ops_agent.core.sources.layout_files import EnvironmentFiles, RootFiles, is_deployed
from ops_agent.core.sources.layout_questions import (
    NO_ROOT_REMEDY,
    UNREAD_REMEDY,
    foreign_tools,
    layout_finding,
    mapping_lines,
    open_question,
)
from ops_agent.core.sources.layout_roots import Open, environments_of_root, mapped_environments
from ops_agent.core.sources.module_calls import Module, is_configuration, read_modules
from ops_agent.domain.layout import Layout, TerraformRoot, TerraformTarget
from ops_agent.domain.policy import Policy
from ops_agent.domain.verdict import Finding


def discover_layout(paths: Iterable[str], read: Callable[[str], bytes], policy: Policy) -> Layout:
    """Find every root module in `paths` (regular files, relative); `read(path)` gives the bytes.

    `policy.layout` replaces guessing where given.

    What is odd is a finding that does not block; nothing here raises on odd content.
    """
    files = tuple(sorted(paths))
    workflows = tuple(p for p in files if p.startswith(".github/workflows/") and p.count("/") == 2 and p.endswith((".yml", ".yaml")))
    modules = read_modules((p for p in files if is_deployed(p)), read)
    called = {target for module in modules.values() for target in module.calls}
    mapped = {m.path: m for m in policy.layout}
    env_files = EnvironmentFiles(files, tuple(modules), policy)
    wrapped = {p.rpartition("/")[0] or "." for p in files if p.rpartition("/")[2].startswith("terragrunt.")}
    findings = foreign_tools(p for p in files if is_deployed(p))
    roots: list[TerraformRoot] = []
    unsettled: list[tuple[TerraformRoot, RootFiles]] = []
    for directory, module in modules.items():
        reached = _reached(directory, modules)
        open_ones = Open()
        if directory in mapped:
            environments = mapped_environments(mapped[directory], module, set(files), policy, findings)
        else:
            found = env_files.of(directory)
            own = environments_of_directory(directory, policy)
            if not _is_root(module, directory in called, bool(found.by_environment), bool(own), findings, bool(wrapped)):
                continue
            whole = (module, *(modules[m] for m in reached))
            environments = environments_of_root(whole, found, own, policy, open_ones, is_wrapped=directory in wrapped)
            findings += open_ones.findings
        root = TerraformRoot(path=directory, environments=environments, local_modules=reached, has_backend=module.has_backend)
        roots.append(root)
        if open_ones.mappable:
            unsettled.append((root, found if found.by_environment or found.unnamed else env_files.for_directory(directory)))
    for missing in sorted(set(mapped) - set(modules)):
        findings.append(layout_finding("mapped-root-missing", missing, "the policy file names this root, but it holds no Terraform file"))
    if not roots and not modules:
        remedy = "If Terraform is to be written here for the first time, nothing is wrong; if not, name the repository that holds it."
        findings.append(layout_finding("no-terraform", ".", "the repository holds no Terraform file", remedy))
    elif not roots and any(module.is_unreadable for module in modules.values()):
        findings.append(layout_finding("no-root", ".", "no root was found, and files that may tell cannot be read", UNREAD_REMEDY))
    elif not roots:
        what = "there are modules, but none has a backend, a provider or files of an environment"
        findings.append(layout_finding("no-root", ".", what, NO_ROOT_REMEDY))
    return Layout(roots=tuple(roots), workflows=workflows, findings=tuple(findings), suggestion=mapping_lines(unsettled))


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


def _is_root(module: Module, is_called: bool, has_files: bool, is_environment: bool, findings: list[Finding], has_terragrunt: bool) -> bool:
    """A directory that Terraform is run in. What others call, and what stands below `modules/`, is a module unless it has a backend
    (Terragrunt wants an empty one in its modules)."""
    segments = module.directory.split("/")
    if module.is_backend_only and not has_files and BACKEND_FOLDERS & {s.casefold() for s in segments}:
        what = "it holds a backend block alone, as if a pipeline copied it into a root: ops-agent reads a backend file instead"
        findings.append(open_question("backend-block-alone", module.directory, what))
        return False
    if is_called or {"modules", "module"} & set(segments):
        return module.has_backend and not (has_terragrunt and module.needs_backend_file and not has_files)
    return module.has_backend or has_files or module.has_provider or is_environment


def _reached(directory: str, modules: dict[str, Module]) -> tuple[str, ...]:
    reached: set[str] = set()
    pending = list(modules[directory].calls)
    while pending:
        target = pending.pop()
        if target in modules and target not in reached and target != directory:
            reached.add(target)
            pending.extend(modules[target].calls)
    return tuple(sorted(reached))
