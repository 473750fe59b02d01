"""JSON of issues, comments, timeline and reviews."""

from __future__ import annotations

from fake_github.accounts import Account
from fake_github.issues import Comment, Issue, TimelineEvent
from fake_github.pulls import PullRequest, Review
from fake_github.repositories import Repository
from fake_github.rest import shapes
from fake_github.rest.shapes import Json, api

# In the timeline only, not in the list of events.
TIMELINE_ONLY = frozenset({"commented", "reviewed", "cross-referenced"})


def association(r: Repository, who: Account) -> str:
    if who is r.owner:
        return "OWNER"
    return "MEMBER" if r.roles.get(who.id, "none") != "none" else "NONE"


def _reactions(base: str) -> Json:
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {"url": f"{base}/reactions", "total_count": 0, **dict.fromkeys(kinds, 0)}


def issue(i: Issue, *, with_repository: bool = False) -> Json:
    r = i.repository
    base = f"{api(r)}/issues/{i.number}"
    done = sum(child.state == "closed" for child in i.sub_issues)
    open_blockers = sum(blocker.state == "open" for blocker in i.blocked_by)
    built: Json = {
        "id": i.id,
        "node_id": i.node_id,
        "url": base,
        "repository_url": api(r),
        "labels_url": f"{base}/labels{{/name}}",
        "comments_url": f"{base}/comments",
        "events_url": f"{base}/events",
        "timeline_url": f"{base}/timeline",
        "html_url": i.url,
        "number": i.number,
        "state": i.state,
        "state_reason": i.state_reason,
        "title": i.title,
        "body": i.body or None,
        "user": shapes.account(i.github, i.author),
        "labels": [shapes.label(r, one) for one in i.labels],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": i.locked,
        "active_lock_reason": None,
        "comments": len(i.comments),
        "closed_at": i.closed_at,
        "closed_by": shapes.account(i.github, i.closed_by) if i.closed_by else None,
        "created_at": i.created_at,
        "updated_at": i.updated_at,
        "author_association": association(r, i.author),
        "performed_via_github_app": None,
        "reactions": _reactions(base),
        "sub_issues_summary": {
            "total": len(i.sub_issues),
            "completed": done,
            "percent_completed": 100 * done // max(len(i.sub_issues), 1),
        },
        "issue_dependencies_summary": {
            "blocked_by": open_blockers,
            "total_blocked_by": len(i.blocked_by),
            "blocking": 0,
            "total_blocking": 0,
        },
    }
    if i.parent:
        built["parent_issue_url"] = f"{api(i.parent.repository)}/issues/{i.parent.number}"
    if isinstance(i, PullRequest):
        pull = f"{api(r)}/pulls/{i.number}"
        built["draft"] = i.draft
        built["pull_request"] = {
            "url": pull,
            "html_url": i.url,
            "diff_url": f"{i.url}.diff",
            "patch_url": f"{i.url}.patch",
            "merged_at": i.merged_at,
        }
    if with_repository:
        built["repository"] = shapes.repository(r)
    return built


def comment(c: Comment) -> Json:
    r = c.issue.repository
    return {
        "id": c.id,
        "node_id": c.node_id,
        "url": f"{api(r)}/issues/comments/{c.id}",
        "html_url": f"{c.issue.url}#issuecomment-{c.id}",
        "issue_url": f"{api(r)}/issues/{c.issue.number}",
        "user": shapes.account(r.github, c.author),
        "body": c.body,
        "created_at": c.created_at,
        "updated_at": c.updated_at,
        "author_association": association(r, c.author),
        "performed_via_github_app": None,
    }


def event(i: Issue, e: TimelineEvent) -> Json:
    """One entry of `events` or `timeline`."""
    if e.kind == "commented":
        said = comment(e.details["comment"])
        return {**said, "event": "commented", "actor": said["user"]}
    if e.kind == "reviewed":
        given = review(_pull(i), e.details["review"])
        return {**given, "event": "reviewed", "state": given["state"].lower()}
    if e.kind == "cross-referenced":
        source = {"type": "issue", "issue": issue(e.details["source"], with_repository=True)}
        actor = shapes.account(i.github, e.actor)
        return {"event": e.kind, "actor": actor, "created_at": e.at, "updated_at": e.at, "source": source}
    built: Json = {
        "id": e.id,
        "node_id": e.node_id,
        "url": f"{api(i.repository)}/issues/events/{e.id}",
        "actor": shapes.account(i.github, e.actor),
        "event": e.kind,
        "commit_id": e.details.get("commit"),
        "commit_url": f"{api(i.repository)}/commits/{e.details['commit']}" if "commit" in e.details else None,
        "created_at": e.at,
        "performed_via_github_app": None,
    }
    if "label" in e.details:
        built["label"] = {"name": e.details["label"].name, "color": e.details["label"].color}
    if "rename" in e.details:
        built["rename"] = e.details["rename"]
    if e.kind == "locked":
        built["lock_reason"] = None
    for relation in ("sub_issue", "parent_issue", "blocking_issue"):
        if relation in e.details:
            built[relation] = issue(e.details[relation])
    return built


def _pull(i: Issue) -> PullRequest:
    if not isinstance(i, PullRequest):
        raise TypeError(f"#{i.number} is no pull request")
    return i


def review(p: PullRequest, v: Review) -> Json:
    html, url = f"{p.url}#pullrequestreview-{v.id}", f"{api(p.repository)}/pulls/{p.number}"
    return {
        "id": v.id,
        "node_id": f"PRR_kwDO{v.id}",
        "user": shapes.account(p.github, v.author),
        "body": v.body,
        "state": v.state,
        "html_url": html,
        "pull_request_url": url,
        "author_association": association(p.repository, v.author),
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        "submitted_at": v.at,
        "commit_id": v.commit,
    }
