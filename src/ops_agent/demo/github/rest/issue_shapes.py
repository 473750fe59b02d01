"""JSON of issues, comments, timeline, pull requests and reviews."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ops_agent.demo.github.accounts import Account
from ops_agent.demo.github.diffs import FileDiff
from ops_agent.demo.github.issues import Comment, Issue, TimelineEvent
from ops_agent.demo.github.pulls import PullRequest, Review
from ops_agent.demo.github.repositories import Repository
from ops_agent.demo.github.rest import shapes
from ops_agent.demo.github.rest.shapes import Json, api

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


def _side(p: PullRequest, ref: str, sha: str) -> Json:
    r = p.repository
    owner = shapes.account(p.github, r.owner)
    return {"label": f"{r.owner.login}:{ref}", "ref": ref, "sha": sha, "user": owner, "repo": shapes.repository(r)}


def pull_request_simple(p: PullRequest) -> Json:
    base = f"{api(p.repository)}/pulls/{p.number}"
    shared = issue(p)
    kept = ("node_id", "number", "state", "locked", "title", "user", "body", "created_at", "updated_at", "closed_at", "html_url")
    links = {
        "self": base,
        "html": p.url,
        "issue": shared["url"],
        "comments": shared["comments_url"],
        "review_comments": f"{base}/comments",
        "review_comment": f"{api(p.repository)}/pulls/comments{{/number}}",
        "commits": f"{base}/commits",
        "statuses": f"{api(p.repository)}/statuses/{p.head_commit}",
    }
    return {
        # Here, and only here, the description wants a text even for a label without description.
        "labels": [{**label, "description": label["description"] or ""} for label in shared["labels"]],
        **{name: shared[name] for name in (*kept, "assignee", "assignees", "milestone", "active_lock_reason")},
        "id": p.pull_id,
        "url": base,
        "diff_url": f"{p.url}.diff",
        "patch_url": f"{p.url}.patch",
        "issue_url": links["issue"],
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "merged_at": p.merged_at,
        "merge_commit_sha": p.merge_commit,
        "requested_reviewers": [],
        "requested_teams": [],
        "head": _side(p, p.head, p.head_commit),
        "base": _side(p, p.base, p.base_commit),
        "_links": {name: {"href": href} for name, href in links.items()},
        "author_association": shared["author_association"],
        "auto_merge": None,
        "draft": p.draft,
    }


def pull_request(p: PullRequest) -> Json:
    files = p.files
    return {
        **pull_request_simple(p),
        "merged": p.merged,
        "mergeable": None if p.merged else True,
        "rebaseable": None if p.merged else True,
        "mergeable_state": "unknown" if p.merged else ("draft" if p.draft else "clean"),
        "merged_by": shapes.account(p.github, p.merged_by) if p.merged_by else None,
        "comments": len(p.comments),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": len(p.commits),
        "additions": sum(f.additions for f in files),
        "deletions": sum(f.deletions for f in files),
        "changed_files": len(files),
    }


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


def file(r: Repository, f: FileDiff, commit: str) -> Json:
    """`diff-entry`."""
    entry: Any = f.after or f.before
    path = quote(f.path)
    built = {
        "sha": entry.sha,
        "filename": f.path,
        "status": f.status,
        "additions": f.additions,
        "deletions": f.deletions,
        "changes": f.additions + f.deletions,
        "blob_url": f"{r.url}/blob/{commit}/{path}",
        "raw_url": f"{r.url}/raw/{commit}/{path}",
        "contents_url": f"{api(r)}/contents/{path}?ref={commit}",
    }
    return built if f.patch is None else {**built, "patch": f.patch}
