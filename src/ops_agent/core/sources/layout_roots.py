"""The environments of one root: what its files and its directory tell, and why one of them must not be planned."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from ops_agent.core.sources.layout_environments import canonical, environment_account, environments_of_file
from ops_agent.core.sources.layout_files import Candidates, RootFiles
from ops_agent.core.sources.layout_questions import layout_finding, open_question
from ops_agent.core.sources.module_calls import Module
from ops_agent.domain.layout import Environment, MappedRoot
from ops_agent.domain.policy import ROOT, Policy
from ops_agent.domain.verdict import Finding

_WHICH_FILES = "it cannot be told which files are meant:"
_NO_MAPPING_HELPS = "ops-agent cannot do that: keep the state of each environment in S3, with a backend file of its own."


@dataclass(slots=True)
class Open:
    """What stays open about one root; `mappable` when a mapping in the policy file would settle it."""

    findings: list[Finding] = field(default_factory=list)
    mappable: bool = False

    def ask(self, rule: str, path: str, what: str) -> None:
        self.mappable = True
        self.findings.append(open_question(rule, path, what))


def environments_of_root(
    reached: tuple[Module, ...], files: RootFiles, own: frozenset[str], policy: Policy, questions: Open, *, is_wrapped: bool
) -> tuple[Environment, ...]:
    """The environments of the root `reached[0]` (the rest are the modules that it reaches), from its `files` and its `own` directory.

    `is_wrapped`: Terragrunt runs it. What cannot be told goes to `questions` and makes an environment unsettled.
    """
    root = reached[0]
    where = root.directory
    found = dict(files.by_environment)
    if len(own) > 1:
        questions.ask("two-environments", where, f"the directory names {_words(own)}: it cannot be told which one it is")
        return ()
    for path in files.contradictory:
        questions.ask("two-environments", path, "its path names two environments: it is used for none")
    if own:
        found = _of_own_directory(next(iter(own)), found, files, where, questions)
    elif not found:
        what = "it reads `terraform.workspace`, and workspaces are not selected here" if _reads_workspace(reached) else "no file names one"
        questions.ask("no-environment", where, f"no environment of this root was found ({what}): nothing can be planned here")
        return ()
    else:
        for path in files.unnamed:
            questions.ask("file-of-no-environment", path, "it names no environment: it is used for none, or say in which it is loaded")
    telling = [p for p in files.loaded_anyway if environments_of_file(p.rpartition("/")[2], policy)]
    for path in telling if not own else ():
        what = "Terraform loads it by itself, so it counts in every environment, whatever its name says"
        questions.findings.append(layout_finding("loaded-in-every-environment", path, what, "Name it without `.auto`."))
    sharing = [c for c in found.values() if not c.backends]
    shares_state = root.has_backend and not root.needs_backend_file and len(sharing) > 1
    environments = []
    for key in sorted(found):
        candidates = found[key]
        why = _why_unsettled(reached, candidates, files, policy, questions, is_wrapped=is_wrapped, shares_state=shares_state)
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
                remedy = f"Add `{expected[0]}` and `{expected[1]}` if this root serves `{name}`; if not, nothing is wrong."
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
                layout_finding("mapped-file-missing", path, f"the policy file names it for `{entry.name}`, but it does not exist")
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


def _of_own_directory(name: str, found: dict[str, Candidates], files: RootFiles, where: str, questions: Open) -> dict[str, Candidates]:
    """A directory that is an environment: its files are that environment's, unless one names another."""
    others = sorted(c.name for key, c in found.items() if key != canonical(name))
    for other in others:
        path = (found[canonical(other)].backends + found[canonical(other)].variables)[0]
        questions.ask("two-environments", path, f"it names `{other}`, and it lies in the directory of `{name}`: it is used for neither")
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
        questions.ask("backend-file-missing", f"{where}/backend/{name}/backend.hcl".removeprefix("./"), _no_backend(root, name))
        return _no_backend(root, name)
    if not candidates.backends and shares_state:
        why = f"the environments of `{where}` would share one state"
        questions.ask("shared-state", where, f"{why}: the backend is written out in the code, and has no file for each of them")
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
