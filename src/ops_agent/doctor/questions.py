"""What discovery leaves open about a layout: as questions, and as lines of the policy file that answer them."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.policy import ROOT, Policy
from ops_agent.model.terraform import TerraformSource
from ops_agent.terraform.environments import Candidates, RootFiles, canonical, environments_of_file, is_deployed
from ops_agent.terraform.layout import FoundRoot, Survey, is_backend_alone
from ops_agent.terraform.modules import directory_of, is_configuration, read_source

_ADD: Final = (
    "Add the file, or map roots and environments under `layout:` in `.github/ops-agent.yml` "
    "(docs/setup/policy-file.md)."
)
_MAP: Final = "Write the lines below into `.github/ops-agent.yml` (docs/setup/policy-file.md)."
_WRITE_BACKEND: Final = (
    "Write `{path}` (bucket, key, region, encrypt, use_lockfile); or name an existing file with the lines below."
)
_UNREAD: Final = "Correct the file on the base branch, or let the issue ask for exactly that."
_NO_MAPPING_HELPS: Final = (
    "ops-agent cannot do that: keep the state of each environment in S3, with a backend file of its own."
)
_BY_TERRAGRUNT: Final = "Map it only if plain Terraform runs it as well; changes of it are judged by their text alone."
_NAME_BACKENDS: Final = "Name a backend file of its own for each environment in `.github/ops-agent.yml`."
_UNMAPPABLE: Final = frozenset({"backend-type", "workspaces", "terragrunt"})
"""Doubts that no line of the policy file settles."""
_NO_ROOT: Final = (
    "Give the directory that Terraform runs in a backend (`backend/ENVIRONMENT/backend.hcl` beside it for each "
    "environment), or map it under `layout:` in `.github/ops-agent.yml` (docs/setup/policy-file.md)."
)
_NO_TERRAFORM: Final = (
    "Nothing is wrong if Terraform is written here for the first time; if not, name the repository that holds it."
)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "y", "n", "on", "off", "null"})
_MISSING = "WRITE-THE-PATH-OF-ITS-BACKEND-FILE"
_STACKS = (".tfstack.hcl", ".tfcomponent.hcl", ".tfdeploy.hcl")
_RUN = re.compile(r"^[ \t]*source[ \t]*=[ \t]*\"(\.\.?/|\$\{get_repo_root\(\)\}/)([^\"?$]*)", re.MULTILINE)
_TERRAGRUNT = ("terragrunt.hcl", "terragrunt.hcl.json", "terragrunt.stack.hcl")


def questions(survey: Survey, policy: Policy, read: Callable[[str], bytes]) -> tuple[tuple[Finding, ...], str]:
    """What is unusual about a layout, and what to do about it; none of it blocks. `read` gives a file's bytes.

    Beside it the `layout:` of the policy file for what a mapping answers: the candidates that exist, the others as
    comments; empty when nothing is open. A path that nobody can know is in capitals; with it the file does not pass as
    it is, on purpose.
    """
    found = [*_foreign_tools(survey.paths)]
    lines: list[str] = []
    wrapped = _run_by_terragrunt(survey.paths, read)
    for root in survey.roots:
        if root.is_mapped:
            found += _of_mapping(root, survey, policy)
            continue
        asked = [*_of_root(root, policy, read, survey)]
        wants_lines = any(map(_asks_for_lines, asked))
        if wants_lines and root.module.directory in wrapped:
            what = f"Terragrunt runs it (`{wrapped[root.module.directory]}`), so it is not planned here"
            found.append(_question("terragrunt", root.module.directory, what, _BY_TERRAGRUNT))
            continue
        found += asked
        if wants_lines:
            has_own = root.files.by_environment or root.files.unnamed
            files = root.files if has_own else survey.files.for_directory(root.module.directory)
            lines += _lines(root, files, policy)
    return (*found, *_of_repository(survey, policy)), "\n".join(["layout:", *lines]) if lines else ""


def _asks_for_lines(question: Finding) -> bool:
    return question.remedy is _MAP or question.rule == "layout/backend-file-missing"


def _run_by_terragrunt(paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, str]:
    """The directories that a `terragrunt.hcl` elsewhere names as its source, each with the first one that does."""
    found: dict[str, str] = {}
    for path in sorted(p for p in paths if p.rpartition("/")[2] == _TERRAGRUNT[0]):
        for start, rest in _RUN.findall(read(path).decode(errors="replace")):
            base = directory_of(path) if start.startswith(".") else "."
            source = posixpath.normpath(posixpath.join(base, start if start.startswith(".") else "", rest.lstrip("/")))
            found.setdefault(source, path)
    return found


def _of_repository(survey: Survey, policy: Policy) -> Iterator[Finding]:
    roots = {root.module.directory for root in survey.roots}
    for module in survey.modules.values():
        if module.directory not in roots and is_backend_alone(module, survey.files.of(module.directory)):
            what = (
                "it holds a backend block alone, for a pipeline that copies it: ops-agent reads a backend file instead"
            )
            yield _question("backend-block-alone", module.directory, what)
    for gone in sorted({mapped.path for mapped in policy.layout} - survey.modules.keys()):
        yield _question("mapped-root-missing", gone, "the policy file names this root, but it holds no Terraform file")
    if survey.roots:
        return
    if not survey.modules:
        yield _question("no-terraform", ".", "the repository holds no Terraform file", _NO_TERRAFORM)
    elif any(module.is_unreadable for module in survey.modules.values()):
        yield _question("no-root", ".", "no root was found, and files that could be one cannot be read", _UNREAD)
    else:
        what = "there are modules, but none has a backend, a provider or files of an environment"
        yield _question("no-root", ".", what, _NO_ROOT)


def _lines(root: FoundRoot, files: RootFiles, policy: Policy) -> Iterator[str]:
    """The lines for one root. An environment is left out where no file can say which state is its own, and so is a path
    that cannot be printed.
    """
    anyone = next((name for name in policy.accounts if name != ROOT), "dev")
    settled = {canonical(e.name): e for e in root.environments if not e.unsettled}
    names = {key: candidates.name for key, candidates in files.by_environment.items()}
    names = {canonical(e.name): e.name for e in root.environments} | names
    unclear = {canonical(name) for name, doubt in root.doubts.items() if doubt.kind in _UNMAPPABLE}
    needs_file = root.module.needs_backend_file or any(d.kind == "shared-state" for d in root.doubts.values())
    entries = []
    for key, name in names.items() if names else [("", anyone)]:
        if key in unclear:
            continue
        candidates = files.by_environment.get(key, Candidates(name))
        backends, variables = ([*filter(str.isprintable, of)] for of in (candidates.backends, candidates.variables))
        if key in settled:
            backends, variables = [path] if (path := settled[key].backend_file) else [], [*settled[key].var_files]
        given = []
        if backends or (needs_file and key not in settled):
            given.append(f"backend: {_text(backends[0] if backends else _MISSING)}")
        if variables:
            given.append(f"variables: [{', '.join(map(_text, variables))}]")
        others = ", ".join(map(_text, backends[1:]))
        comment = f"  # or {others}: keep the one of this root" if others else ""
        comment = comment if names else "  # or the environment whose state it is"
        entries.append(f"      {_text(name)}: " + (f"{{ {', '.join(given)} }}" if given else "{}") + comment)
    if not entries or not root.module.directory.isprintable():
        return
    yield from [f"  - root: {_text(root.module.directory)}", "    environments:", *entries]
    loose = [*filter(str.isprintable, (*files.contradictory, *files.unnamed))]
    if loose:
        yield f"      # of no environment, or of two: {', '.join(_text(path) for path in loose[:5])}"


def _of_root(root: FoundRoot, policy: Policy, read: Callable[[str], bytes], survey: Survey) -> Iterator[Finding]:
    where, files = root.module.directory, root.files
    if len(root.names) > 1:
        named = " and ".join(f"`{name}`" for name in sorted(root.names))
        what = f"the directory names {named}: which one it is, is unclear"
        yield _question("two-environments", where, what, _MAP)
        return
    for path in files.contradictory:
        yield _question("two-environments", path, "its path names two environments: it is used for none", _MAP)
    if root.names:
        (name,) = root.names
        for other in (c for key, c in sorted(files.by_environment.items()) if key != canonical(name)):
            what = f"it names `{other.name}`, and it lies in the directory of `{name}`: it is used for neither"
            yield _question("two-environments", other.files[0], what, _MAP)
    elif not root.environments:
        reads = any(module.reads_workspace for module in (root.module, *root.reached))
        why = "it reads `terraform.workspace`, and workspaces are not selected here" if reads else "no file names one"
        what = f"no environment of this root was found ({why}): nothing can be planned here"
        remedy = _NO_MAPPING_HELPS if reads and not root.module.needs_backend_file else _MAP
        yield _question("no-environment", where, what, remedy)
        return
    else:
        for path in files.unnamed:
            what = "it names no environment: it is used for none, or say in which it is loaded"
            yield _question("file-of-no-environment", path, what, _MAP)
        for path in files.loaded_anyway:
            if environments_of_file(path.rpartition("/")[2], policy):
                what = "Terraform loads it by itself, so it counts in every environment, whatever its name says"
                yield _question("loaded-in-every-environment", path, what, "Name it without `.auto`.")
    yield from _of_environments(root, policy, read, survey)


def _of_environments(
    root: FoundRoot, policy: Policy, read: Callable[[str], bytes], survey: Survey
) -> Iterator[Finding]:
    where = root.module.directory
    of_others = bool(root.names) and bool(root.files.by_environment.keys() - {canonical(name) for name in root.names})
    for environment in root.environments:
        name, doubt = environment.name, root.doubts.get(environment.name)
        if doubt is None:
            if not environment.var_files and not root.files.loaded_anyway and _wants_variables(where, survey, read):
                inside = "" if root.names else f"environments/{name}/"
                path = f"{where}/{inside}terraform.tfvars".removeprefix("./")
                what = f"the environment `{name}` of `{where}` has no variable file"
                yield _question("variable-file-missing", path, what)
        elif doubt.kind == "unknown-environment":
            add = f"If it is an environment, add `{name}=<account>` to the input `aws_accounts`"
            remedy = f"{add}; it is never planned without one."
            yield _question(doubt.kind, where, doubt.why, remedy)
        elif doubt.kind == "several-files" and not of_others:
            yield _question(doubt.kind, where, f"for `{name}` {doubt.why}", _MAP)
        elif doubt.kind == "shared-state":
            what = f"{doubt.why}: the backend is written out in the code, and has no file for each of them"
            yield _question(doubt.kind, where, what, _MAP)
        elif doubt.kind == "backend-file-missing":
            inside = "" if root.names else f"backend/{name}/"
            path = f"{where}/{inside}backend.hcl".removeprefix("./")
            yield _question(doubt.kind, path, doubt.why, _WRITE_BACKEND.format(path=path))
        elif doubt.kind in _UNMAPPABLE and doubt.kind != "terragrunt":
            yield _question(doubt.kind, where, doubt.why, _NO_MAPPING_HELPS)
    present = {e.account for e in root.environments}
    for name, account in sorted(policy.accounts.items()) if not root.names else ():
        if name != ROOT and account not in present:
            files = (f"backend/{name}/backend.hcl", f"environments/{name}/terraform.tfvars")
            first, second = (f"{where}/{file}".removeprefix("./") for file in files)
            remedy = f"Add `{first}` and `{second}` if this root serves `{name}`; if not, nothing is wrong."
            yield _question("environment-missing", where, f"the environment `{name}` has no files here", remedy)


def _of_mapping(root: FoundRoot, survey: Survey, policy: Policy) -> Iterator[Finding]:
    for doubt in {doubt.kind: doubt for doubt in root.doubts.values()}.values():
        if doubt.kind != "mapped-file-missing":
            remedy = _NO_MAPPING_HELPS if doubt.kind in _UNMAPPABLE else _NAME_BACKENDS
            yield _question(doubt.kind, root.module.directory, doubt.why, remedy)
    mapped = next(m for m in policy.layout if m.path == root.module.directory)
    known = set(survey.paths)
    for entry in mapped.environments:
        for path in (entry.backend_file, *entry.var_files):
            if path is not None and path not in known:
                what = f"the policy file names it for `{entry.name}`, but it does not exist"
                yield _question("mapped-file-missing", path, what)


def _wants_variables(directory: str, survey: Survey, read: Callable[[str], bytes]) -> bool:
    """True when a variable of the module has no default."""
    for path in survey.paths:
        if directory_of(path) == directory and is_configuration(path):
            source = read_source(path, read(path))
            variables = source.of_type("variable") if isinstance(source, TerraformSource) else ()
            if any("default" not in block.members for block in variables):
                return True
    return False


def _foreign_tools(paths: Iterable[str]) -> Iterator[Finding]:
    """Tools that decide what Terraform runs with, and that are not run here: what they generate is not seen."""
    deployed = [path for path in paths if is_deployed(path)]
    terragrunt = next((p for p in deployed if p.rpartition("/")[2] in _TERRAGRUNT), None)
    stacks = next((p for p in deployed if p.endswith(_STACKS)), None)
    if terragrunt is not None:
        what = "Terragrunt is not supported: what it generates is not seen, and what it runs is not planned"
        remedy = "Map the roots that plain Terraform can run; changes of the others are judged by their text alone."
        yield _question("terragrunt", terragrunt, what, remedy)
    if stacks is not None:
        what = "Terraform Stacks are not supported: components and deployments are not planned"
        yield _question("stacks", stacks, what, "Changes of them are judged by their text alone.")


def _question(rule: str, path: str, what: str, remedy: str = _ADD) -> Finding:
    return Finding(
        rule=f"layout/{rule}",
        title="The repository's layout leaves a question open",
        place=Place(path=path),
        what=what,
        remedy=remedy,
        severity=Severity.NOTICE,
    )


def _text(value: str) -> str:
    """A text as the policy file takes it: quoted where it could be read as something else."""
    if _PLAIN.fullmatch(value) and value.casefold() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
