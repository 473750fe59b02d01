"""What the doctor says about the repository: roots and environments, files that cannot be read, and what the rules say
of the code that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops_agent.config.policy_file import POLICY_FILE
from ops_agent.doctor.diagnosis import FAIL, OK, WARN, Diagnosis, Setup, from_finding
from ops_agent.doctor.questions import questions
from ops_agent.guard.judge import CRASHED, judge_existing
from ops_agent.guard.rules.workflow.conventions import missing_checks
from ops_agent.guard.tree import FilesInMemory, SourceTree, source_tree
from ops_agent.model.finding import Finding
from ops_agent.model.terraform import Layout, TerraformRoot
from ops_agent.run.checkout import rules_for_people
from ops_agent.terraform.modules import directory_of, is_configuration
from ops_agent.terraform.obstacles import broken_files, denied_reads

PLACE_RULES: Final = frozenset(
    {
        "terraform/foreign-region",
        "terraform/foreign-account",
        "terraform/account-of-another-environment",
        "terraform/shared-state",
    }
)
"""The rules about where things are: what they find matters for every plan."""
_ADD_BACKEND: Final = (
    'Add `backend "s3" {}` to its block `terraform`, and a backend file for each environment '
    "(docs/setup/policy-file.md)."
)
_MOST: Final = 3


def check_layout(setup: Setup) -> Iterator[Diagnosis]:
    """The root modules and their environments, what would not be planned and the lines that settle it; files that
    cannot be read.
    """
    layout, policy = setup.layout, setup.settings.policy
    if layout is None:
        return
    tree = source_tree(setup.tree, policy) if setup.tree is not None else SourceTree(FilesInMemory.of({}), policy)
    asked, mapping = questions(tree.survey, policy, tree.read) if setup.tree is not None else ((), "")
    shown: set[Finding] = set()
    for root in layout.roots:
        names = ", ".join(environment.name for environment in root.environments) or "no environment"
        yield Diagnosis("layout", OK, f"root module `{root.path}` with {names}")
        if _is_local(root, setup, tree):
            what = f"no backend in the code of `{root.path}`: its state is local"
            yield Diagnosis("layout", WARN, f"{what}, so a plan with the account shows everything as new", _ADD_BACKEND)
        for why in dict.fromkeys(environment.unsettled for environment in root.environments if environment.unsettled):
            unsettled = [f"`{environment.name}`" for environment in root.environments if environment.unsettled == why]
            repeating = [f for f in asked if why in f.what and _concerns(f, root.path)]
            shown.update(repeating)
            words = f"{' and '.join(unsettled)} of `{root.path}` {'are' if len(unsettled) > 1 else 'is'} not planned"
            yield Diagnosis("layout", WARN, f"{words}: {why}", repeating[0].remedy if repeating else "")
    yield from (from_finding("layout", WARN, finding) for finding in asked if finding not in shown)
    if mapping:
        what = f"add these lines to `{POLICY_FILE}` on the base branch, and correct what is in capitals or behind `or`"
        yield Diagnosis("layout", WARN, what, mapping)
    broken = broken_files(layout, tree.paths, tree.terraform)
    health = FAIL if broken and not loadable_roots(layout, broken) else WARN
    yield from (from_finding("sources", health, finding) for finding in broken)
    denied = denied_reads(layout, tree.paths, tree.terraform)
    yield from (from_finding("plans", WARN, finding) for finding in denied)


def _is_local(root: TerraformRoot, setup: Setup, tree: SourceTree) -> bool:
    """Whether environments with an account are planned without any state. A file that cannot be read may name one."""
    roles = setup.settings.aws_role_arns
    planned = any((e.account or e.name in roles) and not e.unsettled for e in root.environments)
    return planned and not root.has_backend and not any(tree.unread(root.path))


def _concerns(finding: Finding, root: str) -> bool:
    return root == "." or finding.place.path == root or finding.place.path.startswith(f"{root}/")


def loadable_roots(layout: Layout, broken: tuple[Finding, ...]) -> tuple[str, ...]:
    """Roots that hold none of `broken`, nor do their modules. A broken file of an environment does not count."""
    spoilt = {directory_of(f.place.path) for f in broken if is_configuration(f.place.path)}
    return tuple(root.path for root in layout.roots if not spoilt & {root.path, *root.local_modules})


def check_rules(setup: Setup) -> Iterator[Diagnosis]:
    """What the rules find in the Terraform and the workflows as they are: regions, accounts and states that are not
    yours, and how often the rest, which blocks no change of other lines; and whether a rule breaks on them.
    """
    if setup.tree is None:
        return
    tree = source_tree(setup.tree, setup.settings.policy)
    of_people, found = {rule.id for rule in rules_for_people("agent", "change")}, dict[str, list[Finding]]()
    for finding in judge_existing(tree):
        if finding.rule in PLACE_RULES and _is_used(finding.place.path, tree):
            yield from_finding("sources", WARN, finding, " Already on the base branch; does not block.")
        elif finding.rule == CRASHED:
            yield from_finding("rules", WARN, finding)
        elif finding.rule in of_people:
            found.setdefault(finding.rule, []).append(finding)
    for what in missing_checks(tree):
        hint = "examples/terraform-checks.yml of ops-agent is a workflow to begin with."
        yield Diagnosis("rules", OK, f"there already, blocks nothing: {what}", hint)
    for rule, findings in sorted(found.items(), key=lambda one: -len(one[1])):
        places = list(dict.fromkeys(str(finding.place) for finding in findings))
        more = f" and {len(places) - _MOST} more (`ops-agent judge` lists them)" if len(places) > _MOST else ""
        what = f"{findings[0].title} (`{rule}`): {', '.join(places[:_MOST])}{more}"
        yield Diagnosis("rules", OK, f"there already, blocks no change of other lines: {what}", findings[0].remedy)


def _is_used(path: str, tree: SourceTree) -> bool:
    return directory_of(path) in tree.reached_directories or path in tree.environment_of
