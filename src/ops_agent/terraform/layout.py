"""Where Terraform stands: root modules told from modules, their environments, and the files of each.

A wrong guess (a module taken for a root, two environments in one, prod's files used for dev) is worse than none: what
two answers fit is left unsettled, never planned, and asked of people with the lines that answer it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.policy import DEV, PROD, REGIONS, ROOT, Policy
from ops_agent.model.terraform import Environment, Layout, MappedRoot, TerraformRoot, TerraformTarget
from ops_agent.terraform.modules import Module, is_configuration, read_modules

# Which environment a path names, by the names that teams use. A name that could be read in two ways is no name.

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
_NO_ENVIRONMENT = frozenset(
    {"backend", "terraform", "common", "global", "shared", "default", "example", "modules", "config", "vars"}
)


def canonical(name: str) -> str:
    """`production` and `prd` are `prod`; a name that we do not know stands for itself."""
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
    """The environments that a root's own directory stands for (`environments/dev`, `live/prod/network`,
    `accounts/125611408459`), as they are spelled; an account's number stands for its environment. Two of them mean that
    nobody can tell."""
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

    One is the answer; none means a file of no environment or of all; two (`environments/dev/prod.tfvars`) that nobody
    can tell.
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
    """The files of one root: by environment (canonical name), those that name no environment, those that name two, and
    those that Terraform loads by itself in every environment."""

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
        """The files whose nearest Terraform directory is `directory`. What Terraform loads by itself belongs to no
        environment.
        """
        found = RootFiles()
        for path in self._by_owner.get(directory, []):
            relative = path if directory == "." else path.removeprefix(f"{directory}/")
            if "/" not in relative and (relative in _LOADED_ANYWAY or relative.endswith(_AUTO)):
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


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or "."


# What discovery cannot tell: as findings, and as lines of the policy file that answer it.

_ADD = "Add the file, or map roots and environments under `layout:` in `.github/ops-agent.yml` (docs/setup/policy-file.md)."
_MAP = "Write the mapping that `ops-agent doctor` prints into `.github/ops-agent.yml` (docs/setup/policy-file.md)."
UNREAD_REMEDY = "Correct the file on the base branch, or let the issue ask for exactly that."
NO_ROOT_REMEDY = (
    "Give the directory that Terraform runs in a backend (`backend/ENVIRONMENT/backend.hcl` beside it for each "
    "environment), or map it "
    "under `layout:` in `.github/ops-agent.yml` (docs/setup/policy-file.md)."
)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_MISSING = "WRITE-THE-PATH-OF-ITS-BACKEND-FILE"
_STACKS = (".tfstack.hcl", ".tfcomponent.hcl", ".tfdeploy.hcl")
_TERRAGRUNT = ("terragrunt.hcl", "terragrunt.hcl.json", "terragrunt.stack.hcl")


def layout_finding(
    rule: str, path: str, what: str, remedy: str = _ADD, *, severity: Severity = Severity.NOTICE
) -> Finding:
    """A finding about the layout; discovery's own never block. `rule` is the last part of its id."""
    return Finding(
        rule=f"layout/{rule}",
        title="The repository's layout leaves a question open",
        place=Place(path=path),
        what=what,
        remedy=remedy,
        severity=severity,
    )


def open_question(rule: str, path: str, what: str) -> Finding:
    """A finding that a mapping answers."""
    return layout_finding(rule, path, what, _MAP)


def foreign_tools(paths: Iterable[str]) -> list[Finding]:
    """Tools that decide what Terraform runs with, and that are not run here: what they generate or hand over is not
    seen.
    """
    found: dict[str, str] = {}
    for path in sorted(paths):
        name = path.rpartition("/")[2]
        if name in _TERRAGRUNT:
            found.setdefault("terragrunt", path)
        elif name.endswith(_STACKS):
            found.setdefault("stacks", path)
    findings = []
    if "terragrunt" in found:
        what = "Terragrunt is not supported: ops-agent does not see the backends and inputs that it makes, and plans nothing that it runs"
        remedy = "Map the roots that plain Terraform can run, if there are any; changes of the others are judged by their text alone."
        findings.append(layout_finding("terragrunt", found["terragrunt"], what, remedy))
    if "stacks" in found:
        what = "Terraform Stacks are not supported: components and deployments are not planned"
        findings.append(
            layout_finding("stacks", found["stacks"], what, "Changes of them are judged by their text alone.")
        )
    return findings


def mapping_lines(roots: Iterable[tuple[TerraformRoot, RootFiles]]) -> str:
    """The `layout:` of the policy file for roots with open questions: the candidates that were found, the others as
    comments.

    A path that nobody can know stands in capitals; with it the file does not pass as it is, on purpose.
    """
    lines: list[str] = []
    for root, files in roots:
        settled = {e.name: e for e in root.environments if not e.unsettled}
        names = dict.fromkeys([*(e.name for e in root.environments), *(c.name for c in files.by_environment.values())])
        lines += [f"  - root: {_text(root.path)}", "    environments:"]
        by_name = {c.name: c for c in files.by_environment.values()}
        for name in names or {"dev": None}:
            if name in settled:
                kept = settled[name]
                backends, variables = [kept.backend_file] if kept.backend_file else [], list(kept.var_files)
            else:
                candidates = by_name.get(name)
                backends = list(candidates.backends) if candidates else []
                variables = list(candidates.variables) if candidates else []
            wants_backend = root.has_backend and name not in settled
            given = [f"backend: {_text(backends[0] if backends else _MISSING)}"] if backends or wants_backend else []
            given += [f"variables: [{', '.join(_text(v) for v in variables)}]"] if variables else []
            others = (
                f"  # or {', '.join(_text(b) for b in backends[1:])}: keep the one of this root"
                if len(backends) > 1
                else ""
            )
            lines.append(
                f"      {_text(name)}: {{ {', '.join(given)} }}{others}" if given else f"      {_text(name)}: {{}}"
            )
        loose = [*files.contradictory, *files.unnamed]
        lines += (
            [f"      # of no environment, or of two: {', '.join(_text(path) for path in loose[:5])}"] if loose else []
        )
    return "\n".join(["layout:", *lines]) if lines else ""


def _text(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and not value.isdigit() else json.dumps(value)


# What a change set does to the layout itself: an environment that was plain on the base must stay plain, or nothing
# proves the change.


def unsettled_by(before: Layout, after: Layout) -> tuple[Finding, ...]:
    """A blocking finding for each environment that could be planned on the base and cannot be told apart on the head.

    An environment that is gone with its files is none of these: its removal is seen for what it is.
    """
    found = []
    standing = {(root.path, e.name): e for root in after.roots for e in root.environments}
    emptied = {root.path for root in after.roots if not root.environments}
    for root in before.roots:
        for environment in root.environments:
            if environment.unsettled:
                continue
            head = standing.get((root.path, environment.name))
            why = (
                head.unsettled
                if head is not None
                else "its directory and files no longer tell it"
                if root.path in emptied
                else ""
            )
            if why:
                what = f"after this change `{environment.name}` of `{root.path}` cannot be planned any more: {why}"
                remedy = "Take back the file that made it so, or write into the files that stood there already."
                found.append(
                    layout_finding("unsettled-by-this-change", root.path, what, remedy, severity=Severity.BLOCKS)
                )
    return tuple(found)


# The environments of one root: what its files and its directory tell, and why one of them must not be planned.

_WHICH_FILES = "it cannot be told which files are meant:"
_NO_MAPPING_HELPS = (
    "ops-agent cannot do that: keep the state of each environment in S3, with a backend file of its own."
)


@dataclass(slots=True)
class Open:
    """What stays open about one root; `mappable` when a mapping in the policy file would settle it."""

    findings: list[Finding] = field(default_factory=list)
    mappable: bool = False

    def ask(self, rule: str, path: str, what: str) -> None:
        self.mappable = True
        self.findings.append(open_question(rule, path, what))


def environments_of_root(
    reached: tuple[Module, ...],
    files: RootFiles,
    own: frozenset[str],
    policy: Policy,
    questions: Open,
    *,
    is_wrapped: bool,
) -> tuple[Environment, ...]:
    """The environments of the root `reached[0]` (the rest are the modules that it reaches), from its `files` and its
    `own` directory.

    `is_wrapped`: Terragrunt runs it. What cannot be told goes to `questions` and makes an environment unsettled.
    """
    root = reached[0]
    where = root.directory
    found = dict(files.by_environment)
    if len(own) > 1:
        questions.ask(
            "two-environments", where, f"the directory names {_words(own)}: it cannot be told which one it is"
        )
        return ()
    for path in files.contradictory:
        questions.ask("two-environments", path, "its path names two environments: it is used for none")
    if own:
        found = _of_own_directory(next(iter(own)), found, files, where, questions)
    elif not found:
        what = (
            "it reads `terraform.workspace`, and workspaces are not selected here"
            if _reads_workspace(reached)
            else "no file names one"
        )
        questions.ask(
            "no-environment", where, f"no environment of this root was found ({what}): nothing can be planned here"
        )
        return ()
    else:
        for path in files.unnamed:
            questions.ask(
                "file-of-no-environment",
                path,
                "it names no environment: it is used for none, or say in which it is loaded",
            )
    telling = [p for p in files.loaded_anyway if environments_of_file(p.rpartition("/")[2], policy)]
    for path in telling if not own else ():
        what = "Terraform loads it by itself, so it counts in every environment, whatever its name says"
        questions.findings.append(layout_finding("loaded-in-every-environment", path, what, "Name it without `.auto`."))
    sharing = [c for c in found.values() if not c.backends]
    shares_state = root.has_backend and not root.needs_backend_file and len(sharing) > 1
    environments = []
    for key in sorted(found):
        candidates = found[key]
        why = _why_unsettled(
            reached, candidates, files, policy, questions, is_wrapped=is_wrapped, shares_state=shares_state
        )
        environments.append(
            Environment(
                name=candidates.name,
                account=environment_account(candidates.name, policy),
                backend_file=None if why else next(iter(candidates.backends), None),
                var_files=() if why else tuple(candidates.variables),
                unsettled=why,
            )
        )
    if not own:
        present = {e.account for e in environments}
        for name, account in sorted(policy.accounts.items()):
            if name != ROOT and account not in present:
                expected = [
                    f"{where}/{file}".removeprefix("./")
                    for file in (f"backend/{name}/backend.hcl", f"environments/{name}/terraform.tfvars")
                ]
                remedy = (
                    f"Add `{expected[0]}` and `{expected[1]}` if this root serves `{name}`; if not, nothing is wrong."
                )
                questions.findings.append(
                    layout_finding("environment-missing", where, f"the environment `{name}` has no files here", remedy)
                )
    return tuple(environments)


def mapped_environments(
    mapped: MappedRoot, module: Module, files: Collection[str], policy: Policy, findings: list[Finding]
) -> tuple[Environment, ...]:
    """The environments as the policy file names them; one whose files are not there is not planned."""
    environments = []
    for entry in mapped.environments:
        gone = [path for path in (entry.backend_file, *entry.var_files) if path is not None and path not in files]
        for path in gone:
            findings.append(
                layout_finding(
                    "mapped-file-missing", path, f"the policy file names it for `{entry.name}`, but it does not exist"
                )
            )
        why = f"`{gone[0]}`, which the policy file names, does not exist" if gone else ""
        if not why and module.needs_backend_file and entry.backend_file is None:
            why = _no_backend(module, entry.name)
        environments.append(
            Environment(
                name=entry.name,
                account=environment_account(entry.name, policy),
                backend_file=entry.backend_file if entry.backend_file in files else None,
                var_files=tuple(p for p in entry.var_files if p in files),
                unsettled=why,
            )
        )
    return tuple(environments)


def _of_own_directory(
    name: str, found: dict[str, Candidates], files: RootFiles, where: str, questions: Open
) -> dict[str, Candidates]:
    """A directory that is an environment: its files are that environment's, unless one names another."""
    others = sorted(c.name for key, c in found.items() if key != canonical(name))
    for other in others:
        path = (found[canonical(other)].backends + found[canonical(other)].variables)[0]
        questions.ask(
            "two-environments",
            path,
            f"it names `{other}`, and it lies in the directory of `{name}`: it is used for neither",
        )
    candidates = found.get(canonical(name), Candidates(name))
    own = Candidates(name, list(candidates.backends), list(candidates.variables))
    for path in files.unnamed:
        (own.backends if path.endswith((".hcl", ".tfbackend")) else own.variables).append(path)
    if others:
        own.doubted = f"files of {_words(others)} lie in its directory"
    elif len(own.variables) > 1:
        own.doubted = f"{len(own.variables)} variable files lie in its directory"
        questions.ask("several-files", where, f"for `{name}` {_WHICH_FILES} {own.doubted}")
    return {canonical(name): own}


def _why_unsettled(
    reached: tuple[Module, ...],
    candidates: Candidates,
    files: RootFiles,
    policy: Policy,
    questions: Open,
    *,
    is_wrapped: bool,
    shares_state: bool,
) -> str:
    """One sentence, empty when everything is plain; findings repeat it and say what to do."""
    root, name = reached[0], candidates.name
    where = root.directory
    if is_wrapped:
        return f"`{where}` is run by Terragrunt, which is not supported"
    if root.backend not in ("", "s3"):
        what = f"the state of `{where}` is kept by `{root.backend}`, which is not supported"
        questions.findings.append(layout_finding("backend-type", where, what, _NO_MAPPING_HELPS))
        return what
    if environment_account(name, policy) is None:
        remedy = f"If it is an environment, add `{name}=<account>` to the input `aws_accounts`; it is never planned without one."
        what = f"the environment `{name}` has no account in `aws_accounts`"
        questions.findings.append(layout_finding("unknown-environment", where, what, remedy))
        return what
    if doubt := candidates.doubt:
        if not candidates.doubted:
            questions.ask("several-files", where, f"for `{name}` {_WHICH_FILES} {doubt}")
        return f"{_WHICH_FILES} {doubt}"
    if not candidates.backends and _reads_workspace(reached):
        what = f"`{where}` reads `terraform.workspace`, and workspaces are not selected here"
        questions.findings.append(layout_finding("workspaces", where, what, _NO_MAPPING_HELPS))
        return what
    if not candidates.backends and root.needs_backend_file:
        questions.ask(
            "backend-file-missing", f"{where}/backend/{name}/backend.hcl".removeprefix("./"), _no_backend(root, name)
        )
        return _no_backend(root, name)
    if not candidates.backends and shares_state:
        why = f"the environments of `{where}` would share one state"
        questions.ask(
            "shared-state", where, f"{why}: the backend is written out in the code, and has no file for each of them"
        )
        return why
    if not candidates.variables and root.required_variables and not files.loaded_anyway:
        path = f"{where}/environments/{name}/terraform.tfvars".removeprefix("./")
        what = f"the environment `{name}` of `{where}` has no variable file"
        questions.findings.append(layout_finding("variable-file-missing", path, what))
    return ""


def _no_backend(root: Module, name: str) -> str:
    return f"no backend file was found for the environment `{name}` of `{root.directory}`"


def _reads_workspace(reached: tuple[Module, ...]) -> bool:
    return any(module.reads_workspace for module in reached)


def _words(names: Collection[str]) -> str:
    return " and ".join(f"`{name}`" for name in sorted(names))


def discover_layout(paths: Iterable[str], read: Callable[[str], bytes], policy: Policy) -> Layout:
    """Find every root module in `paths` (regular files, relative); `read(path)` gives the bytes.

    `policy.layout` replaces guessing where given.

    What is odd is a finding that does not block; nothing here raises on odd content.
    """
    files = tuple(sorted(paths))
    workflows = tuple(
        p for p in files if p.startswith(".github/workflows/") and p.count("/") == 2 and p.endswith((".yml", ".yaml"))
    )
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
            if not _is_root(
                module, directory in called, bool(found.by_environment), bool(own), findings, bool(wrapped)
            ):
                continue
            whole = (module, *(modules[m] for m in reached))
            environments = environments_of_root(whole, found, own, policy, open_ones, is_wrapped=directory in wrapped)
            findings += open_ones.findings
        root = TerraformRoot(
            path=directory, environments=environments, local_modules=reached, has_backend=module.has_backend
        )
        roots.append(root)
        if open_ones.mappable:
            unsettled.append(
                (root, found if found.by_environment or found.unnamed else env_files.for_directory(directory))
            )
    for missing in sorted(set(mapped) - set(modules)):
        findings.append(
            layout_finding(
                "mapped-root-missing", missing, "the policy file names this root, but it holds no Terraform file"
            )
        )
    if not roots and not modules:
        remedy = "If Terraform is to be written here for the first time, nothing is wrong; if not, name the repository that holds it."
        findings.append(layout_finding("no-terraform", ".", "the repository holds no Terraform file", remedy))
    elif not roots and any(module.is_unreadable for module in modules.values()):
        findings.append(
            layout_finding("no-root", ".", "no root was found, and files that may tell cannot be read", UNREAD_REMEDY)
        )
    elif not roots:
        what = "there are modules, but none has a backend, a provider or files of an environment"
        findings.append(layout_finding("no-root", ".", what, NO_ROOT_REMEDY))
    return Layout(
        roots=tuple(roots), workflows=workflows, findings=tuple(findings), suggestion=mapping_lines(unsettled)
    )


def affected_roots(layout: Layout, changed_paths: Iterable[str]) -> tuple[TerraformRoot, ...]:
    """The roots that `changed_paths` can change: a file of the root, of an environment of it, or of a module that it
    reaches.
    """
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


def _is_root(
    module: Module,
    is_called: bool,
    has_files: bool,
    is_environment: bool,
    findings: list[Finding],
    has_terragrunt: bool,
) -> bool:
    """A directory that Terraform is run in. What others call, and what stands below `modules/`, is a module unless it
    has a backend (Terragrunt wants an empty one in its modules)."""
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
