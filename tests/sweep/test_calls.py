"""How many requests a run makes: each is promised, so each is named, here and in docs/architecture.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_agent.run.select import select
from sweep.sweep_doubles import BODY
from sweep.sweep_world import GIVEN, PERSON, SweepGitHub

_REPO, _ISSUE = "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/issues/{issue_number}"
ADMIT = (
    f"GET {_REPO}",
    f"GET {_REPO}/collaborators/{{username}}/permission",
    f"GET {_ISSUE}",
    f"GET {_ISSUE}/timeline",
    f"GET {_ISSUE}/dependencies/blocked_by",
    "query organization,node",
    f"GET {_REPO}/git/ref/{{ref}}",
    f"GET {_ISSUE}/parent",
)
CLAIM = (
    f"GET {_REPO}/git/ref/{{ref}}",
    f"GET {_REPO}/pulls",
    f"GET {_ISSUE}/comments",
    "query viewer",
    f"POST {_REPO}/git/refs",
    f"POST {_ISSUE}/comments",
    f"GET {_ISSUE}/comments",
    "query organization,node",
    "mutation updateProjectV2ItemFieldValue",
)
TREE, ARCHIVE = READ_BASE = (f"GET {_REPO}/git/trees/{{tree_sha}}", f"GET {_REPO}/tarball/{{ref}}")
PROGRESS = f"PATCH {_REPO}/issues/comments/{{comment_id}}"
PIN = (f"GET {_REPO}/git/ref/{{ref}}",)
ASK_ABILITIES = (f"POST {_REPO}/git/refs", f"POST {_REPO}/pulls", f"POST {_REPO}/issues", "GET /apps/{app_slug}")
ASK_RULES = (f"GET {_REPO}/rules/branches/{{branch}}",)
BESIDE = (f"GET {_REPO}/pulls",)
PUBLISH = (
    f"GET {_ISSUE}",
    f"GET {_REPO}/git/ref/{{ref}}",
    f"GET {_REPO}/pulls",
    "mutation createCommitOnBranch",
    f"GET {_REPO}/git/trees/{{tree_sha}}",
    f"POST {_REPO}/pulls",
    f"GET {_REPO}/pulls",
    f"POST {_ISSUE}/labels",
    "query organization,node",
    "mutation updateProjectV2ItemFieldValue",
    PROGRESS,
)
RELEASE = (
    PROGRESS,
    "query organization,node",
    "mutation updateProjectV2ItemFieldValue",
    f"GET {_REPO}/git/ref/{{ref}}",
    f"GET {_REPO}/pulls",
    f"DELETE {_REPO}/git/refs/{{ref}}",
)
ANSWER = ("query viewer", f"GET {_ISSUE}/comments", f"POST {_ISSUE}/comments")
FREED = (f"GET {_ISSUE}/dependencies/blocking", f"GET {_ISSUE}/parent")
FOLLOW = (
    f"GET {_REPO}/pulls/{{pull_number}}",
    f"GET {_ISSUE}",
    "query viewer",
    "query organization,node",
    "mutation updateProjectV2ItemFieldValue",
    f"GET {_ISSUE}/comments",
    PROGRESS,
    f"GET {_ISSUE}/parent",
)
COMPARE = f"GET {_REPO}/compare/{{basehead}}"
ROUND = (
    "query repository",
    COMPARE,
    f"POST {_REPO}/merges",
    COMPARE,
    f"GET {_REPO}/commits/{{ref}}/check-runs",
    f"GET {_REPO}/actions/jobs/{{job_id}}/logs",
    "query repository",
    f"POST {_REPO}/pulls/{{pull_number}}/comments/{{comment_id}}/replies",
    f"PATCH {_REPO}/pulls/{{pull_number}}",
)
"""What only a review round asks, in its order; of one failed check and one thread."""
ADVISED = (PROGRESS,)
CALLS = (*ADMIT, *CLAIM, TREE, *ASK_ABILITIES, *ASK_RULES, ARCHIVE, *BESIDE, PROGRESS, *PIN, *ADVISED, *PUBLISH)
"""A clean run whose change set holds a workflow with an action by tag (PIN), with a label and a review status. It is
verified and gets its advice (ADVISED); what leaves the files as they are is not verified again.
"""
WRITES = tuple(
    n for n, call in enumerate(CALLS, start=1) if not call.startswith(("GET", "query")) and call not in ASK_ABILITIES
)
# The probes of the token's permissions look like writes and are refused by design; a claim and a pull request look like
# the probes.
WRITES += tuple(n for n, call in enumerate(CALLS, start=1) if call in (f"POST {_REPO}/git/refs", f"POST {_REPO}/pulls"))

PARENT = (
    "only for an item that has one; where our comment is among them also what `select` asks, our open pull "
    "requests, the comments of each ready sub-issue, and one edit"
)

ROUNDS = (
    "only in a review round, beside tree and archive of the branch: what was said, whose commits these are, the "
    "newest base, one failed check with its log, one answer, the text"
)


STAGES = (
    ("admit", "always", ADMIT),
    ("answer", "only when an item is not admitted; its earlier answer is edited (`PATCH`)", ANSWER),
    ("claim", "a first claim", CLAIM),
    ("brief", "the tree and its archive; the archive's own address is one more download", READ_BASE),
    ("brief", "once, before the first call of the llm: what the token may do; refused by design (422)", ASK_ABILITIES),
    ("brief", "the rules for our branch; each ruleset that stands in the way is one request more", ASK_RULES),
    (
        "brief",
        "what else is under way; each open pull request adds one (its files), a parent one (its sub-issues)",
        BESIDE,
    ),
    ("progress", "each new phase, and at most every 20 seconds within one", (PROGRESS,)),
    ("wanted", "before a call of the llm, at most every 30 seconds", (f"GET {_ISSUE}",)),
    ("judge", "for each action named by a tag, to pin it; asked once in a run", PIN),
    ("publish", "with a label and a review status; each open pull request of ours adds one", PUBLISH),
    ("round", ROUNDS, ROUND),
    ("release", "only when nothing is published", RELEASE),
    ("parent", PARENT, (f"GET {_ISSUE}/comments",)),
    ("closed", "an issue was closed for which nothing waited", FREED),
    ("follow", "a pull request of ours was merged or closed", FOLLOW),
)
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def select_calls(children: int) -> int:
    """Requests of one selection of a parent whose sub-issues are all open, ours and Ready."""
    permission_and_parent, pages = 2, max(1, -(-children // 100))
    return permission_and_parent + pages + -(-children // 50)


def table() -> str:
    """The section of the page, as Markdown."""
    rows = [
        f"| {stage} | {when} | {len(calls)} | {', '.join(f'`{_short(call)}`' for call in calls)} |"
        for stage, when, calls in STAGES
    ]
    made = f"{len(CALLS)} requests to GitHub's API"
    return f"""A clean run that changes a workflow makes {made}, with one page of each list.
Addresses without `/apps` begin with `/repos/{{owner}}/{{repo}}`.

| stage | when | requests | which |
|---|---|---|---|
{chr(10).join(rows)}

`select` makes 2 requests (permission, parent), one for each page of 100 sub-issues, one for each 50 cards of those that
are open and ours, and one for each that is ready and blocked: {select_calls(20)} for a parent with 20 unblocked,
{select_calls(100)} with 100, which is GitHub's limit."""


def _short(call: str) -> str:
    short = call.replace(f"{_REPO}/", "/").replace(_REPO, "/")
    return (
        short.replace("issue_number", "number")
        .replace("query organization,node", "query card")
        .replace("query repository", "query reviews")
    )


def test_the_page_lists_every_request() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"put this into {PAGE.name}:\n\n{table()}"


def test_a_clean_run_makes_exactly_the_listed_requests(sweep_github: SweepGitHub) -> None:
    scenario = sweep_github.scenario()
    assert scenario.run(scenario.labelled()).conclusion == "published"
    assert tuple(call.operation for call in sweep_github.github.recorder.calls) == CALLS
    assert [call.number for call in sweep_github.github.recorder.calls if call.status >= 400] == [8, 19, 20, 21], (
        "no parent; the probes"
    )


def test_an_answer_makes_exactly_the_listed_requests(sweep_github: SweepGitHub) -> None:
    scenario = sweep_github.scenario()
    scenario.issue.edit(body="", by=PERSON)
    assert scenario.run(scenario.labelled()).conclusion == "needs_info"
    assert tuple(call.operation for call in sweep_github.github.recorder.calls) == (*ADMIT[:-1], *ANSWER)


@pytest.mark.parametrize("children", [0, 1, 20, 100, 101])
def test_a_selection_makes_two_requests_for_each_ready_child_and_one_for_each_page(
    sweep_github: SweepGitHub, monkeypatch: pytest.MonkeyPatch, children: int
) -> None:
    """GitHub allows 100 sub-issues, which is one page; the second page comes when GitHub raises its limit."""
    monkeypatch.setattr("fake_github.objects.SUB_ISSUE_LIMIT", 101)
    scenario = sweep_github.scenario()
    parent = scenario.repository.add_issue("Orders in order", BODY, author=PERSON)
    for number in range(children):
        parent.add_sub_issue(scenario.add_issue(1000 + number))
    payload = scenario.github.dispatch(scenario.repository, by=PERSON, inputs={"issue_number": str(parent.number)})
    event, identity = scenario.read(payload, name="workflow_dispatch")
    selection = select(scenario.world(), GIVEN, event, identity)
    assert [issue.ref.number for issue in selection.items] == [1000 + number for number in range(children)]
    assert len(sweep_github.github.recorder.calls) == select_calls(children), str(sweep_github.github.recorder)
