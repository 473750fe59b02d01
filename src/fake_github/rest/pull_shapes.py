"""JSON of pull requests and their files."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fake_github.diffs import FileDiff
from fake_github.pulls import PullRequest
from fake_github.repositories import Repository
from fake_github.rest import shapes
from fake_github.rest.issue_shapes import issue
from fake_github.rest.shapes import Json, api


def _side(p: PullRequest, ref: str, sha: str) -> Json:
    r = p.repository
    owner = shapes.account(p.github, r.owner)
    return {"label": f"{r.owner.login}:{ref}", "ref": ref, "sha": sha, "user": owner, "repo": shapes.repository(r)}


def pull_request_simple(p: PullRequest) -> Json:
    base = f"{api(p.repository)}/pulls/{p.number}"
    shared = issue(p)
    kept = (
        "node_id",
        "number",
        "state",
        "locked",
        "title",
        "user",
        "body",
        "created_at",
        "updated_at",
        "closed_at",
        "html_url",
    )
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
