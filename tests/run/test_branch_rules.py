"""Rulesets that apply to our branch are known before the llm is asked: what stops, what warns, what the llm is told."""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.config.settings import Settings
from ops_agent.model.outcome import Conclusion
from ops_agent.model.ports import TokenAbilities
from ops_agent.run.branch_rules import BranchRules, branch_rules
from ops_agent.run.brief import token_trouble
from run.github_world import Workplace, make_world

BRANCH = "ops-agent/issue-12"


def rules_of(here: Workplace, *, is_new: bool = False) -> BranchRules:
    return branch_rules(make_world(here.connection(), here.clock), here.repository.full_name, BRANCH, is_new=is_new)


def pattern(operator: str, text: str, *, negate: bool = False) -> dict[str, Any]:
    return {"operator": operator, "pattern": text, "negate": negate}


CHECKS = {"strict_required_status_checks_policy": False, "required_status_checks": [{"context": "build"}]}
NO_CHECKS = {**CHECKS, "required_status_checks": []}
REVIEWS = {
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
    "required_approving_review_count": 1,
    "required_review_thread_resolution": False,
}


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        ("update", None, "updates are restricted"),
        ("pull_request", REVIEWS, "every commit must come through a pull request"),
        ("required_status_checks", CHECKS, "status checks must pass before a commit arrives"),
    ],
)
@pytest.mark.parametrize("bypass", ["never", "pull_requests_only", "always", "exempt", ""])
def test_a_rule_that_no_commit_of_ours_can_meet_stops_unless_the_token_bypasses_it(
    here: Workplace, kind: str, parameters: dict[str, Any] | None, says: str, bypass: str
) -> None:
    """Where GitHub does not say who bypasses, it is a warning. The embedded GitHub refuses the commit itself too."""
    here.repository.protect("ops-agent/**", kind, parameters=parameters, bypass=bypass)
    found = rules_of(here)
    assert (bool(found.refused), bool(found.doubtful)) == (bypass in ("never", "pull_requests_only"), not bypass)
    assert all(f"our branch `{BRANCH}`: {says}" in sentence for sentence in found.refused + found.doubtful)
    every = TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=True)
    stopped = token_trouble(Settings(), every, found)
    assert (stopped and stopped.conclusion) == (Conclusion.NOT_PERMITTED if found.refused else None)
    assert stopped is None or (says in stopped.reason and "branch_prefix" in stopped.remedy)
    assert token_trouble(Settings(dry_run=True), every, found) is None


def test_rules_that_our_commits_meet_cost_one_request_and_say_nothing(here: Workplace) -> None:
    """GitHub signs what its API commits; a rule for other branches is not among the answers."""
    harmless = ("required_signatures", "required_linear_history", "non_fast_forward", "deletion", "creation")
    here.repository.protect("ops-agent/**", *harmless)
    here.repository.protect("ops-agent/**", "required_status_checks", parameters=NO_CHECKS)
    here.repository.protect("ops-agent/**", "committer_email_pattern", parameters=pattern("ends_with", "@github.com"))
    author = pattern("regex", r"^\d+\+ops-agent\[bot\]@users\.noreply\.github\.com$")
    here.repository.protect("ops-agent/**", "commit_author_email_pattern", parameters=author)
    here.repository.protect("main", "update", "pull_request")
    here.github.recorder.restart()
    assert rules_of(here) == BranchRules()
    assert [c.operation for c in here.github.recorder.calls if c.operation != "query viewer"] == [
        "GET /repos/{owner}/{repo}/rules/branches/{branch}"
    ]


def test_a_branch_that_is_still_to_be_created_is_held_against_its_rules_too(here: Workplace) -> None:
    """The claim has created it before a run asks; the doctor asks before."""
    here.repository.protect("ops-agent/**", "creation")
    here.repository.protect("ops-agent/**", "branch_name_pattern", parameters=pattern("regex", "^(feature|fix)/"))
    here.repository.protect("ops-agent/**", "branch_name_pattern", parameters=pattern("contains", "/", negate=True))
    here.repository.protect("ops-agent/**", "branch_name_pattern", parameters=pattern("starts_with", "ops-agent/"))
    here.repository.protect("ops-agent/**", "branch_name_pattern", parameters=pattern("regex", r"\p{L}+"))
    new = rules_of(here, is_new=True)
    assert [sentence.partition(": ")[2] for sentence in new.refused] == [
        "creations are restricted, and the token may not bypass it.",
        "a branch's name must be one that matches `^(feature|fix)/`, and the token may not bypass it.".replace(
            "|", "¦"
        ),
        "a branch's name must be one that never contains `/`, and the token may not bypass it.",
    ]
    assert len(new.doubtful) == 1 and r"`\p{L}+`" in new.doubtful[0], "a pattern that is not Python's"
    assert rules_of(here) == BranchRules()


def test_what_the_llm_can_keep_is_told_and_not_refused(here: Workplace) -> None:
    paths = {"restricted_file_paths": ["infra/network/**/*", "README.md"]}
    here.repository.protect("ops-agent/**", "file_path_restriction", parameters=paths)
    endings = {"restricted_file_extensions": ["*.md", "hcl"]}
    here.repository.protect("ops-agent/**", "file_extension_restriction", parameters=endings)
    here.repository.protect("ops-agent/**", "commit_message_pattern", parameters=pattern("contains", "OPS-"))
    here.repository.protect("ops-agent/**", "file_path_restriction", parameters=paths, bypass="always")
    assert rules_of(here) == BranchRules(
        paths=("infra/network/**/*", "README.md", "**/*.md", "**/*.hcl"),
        messages=("a commit's message must be one that contains `OPS-`",),
    )


def test_what_may_be_in_the_way_is_a_warning(here: Workplace) -> None:
    here.repository.protect("ops-agent/**", "committer_email_pattern", parameters=pattern("ends_with", "@corp.example"))
    here.repository.protect("ops-agent/**", "required_deployments", parameters={"required_deployment_environments": []})
    found = rules_of(here)
    assert (len(found.doubtful), found.refused) == (2, ())
    assert all(sentence.endswith("GitHub may refuse the commit.") for sentence in found.doubtful)


@pytest.mark.parametrize("status", [403, 404])
def test_a_repository_without_rulesets_has_no_rules(here: Workplace, status: int) -> None:
    message = "Upgrade to GitHub Pro or make this repository public to enable this feature."
    here.github.faults.on("GET /repos/{owner}/{repo}/rules").answer(status, body={"message": message})
    assert rules_of(here) == BranchRules()
