"""JSON of accounts, repositories, labels and git objects, as the REST API gives it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fake_github.accounts import READ, Account, AccountKind, role_includes
from fake_github.diffs import FileDiff
from fake_github.git_objects import Commit, Signature, Tag, iso
from fake_github.objects import (
    CheckRun,
    Comment,
    Issue,
    Label,
    Platform,
    PullRequest,
    Repository,
    Review,
    ReviewComment,
    TimelineEvent,
    WorkflowRun,
)

Json = dict[str, Any]
_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = {
    "archive_url": "{archive_format}{/ref}",
    "assignees_url": "assignees{/user}",
    "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}",
    "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}",
    "commits_url": "commits{/sha}",
    "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}",
    "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "issue_comment_url": "issues/comments{/number}",
    "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}",
    "keys_url": "keys{/key_id}",
    "labels_url": "labels{/name}",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}",
    "statuses_url": "statuses/{sha}",
    "trees_url": "git/trees{/sha}",
    **{
        f"{n}_url": n
        for n in ("contributors", "deployments", "downloads", "events", "forks", "hooks", "languages", "merges")
    },
    **{f"{n}_url": n for n in ("stargazers", "subscribers", "subscription", "tags", "teams")},
}


def api(repository: Repository) -> str:
    return f"{repository.github.api_url}/repos/{repository.full_name}"


def account(github: Platform, who: Account) -> Json:
    base = f"{github.api_url}/users/{quote(who.login)}"
    return {
        "login": who.login,
        "id": who.id,
        "node_id": who.node_id,
        "avatar_url": f"{github.base_url}/avatars/u/{who.id}",
        "gravatar_id": "",
        "url": base,
        "html_url": f"{github.base_url}/{who.graphql_login}",
        **{name: base + tail for name, tail in _USER_LINKS.items()},
        "type": str(who.kind),
        "user_view_type": "public",
        "site_admin": False,
    }


def repository(r: Repository, *, permissions_of: Account | None = None, integration: bool = False) -> Json:
    """`full-repository`. As on GitHub every entry of an integration's `permissions` is false, whatever it may do."""
    role = r.role(permissions_of) if permissions_of else "none"
    levels = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    flags = {name: not integration and role_includes(role, level) for name, level in levels.items()}
    open_issues = sum(issue.state == "open" for issue in r.issues.values())
    return {
        **repository_core(r),
        **dict.fromkeys(("forks", "forks_count", "stargazers_count", "watchers", "watchers_count"), 0),
        **dict.fromkeys(("network_count", "subscribers_count"), 0),
        **dict.fromkeys(("homepage", "language", "mirror_url", "license"), None),
        "open_issues": open_issues,
        "open_issues_count": open_issues,
        "size": sum(len(payload) for _, payload in r.store.objects.values()) // 1024,
        "clone_url": f"{r.url}.git",
        "git_url": f"git{r.url.removeprefix('http')}.git",
        "ssh_url": f"git@127.0.0.1:{r.full_name}.git",
        "svn_url": r.url,
        "default_branch": r.default_branch,
        **dict.fromkeys(("has_issues", "has_projects"), True),
        **dict.fromkeys(("has_wiki", "has_pages", "has_discussions", "has_downloads", "is_template"), False),
        "archived": r.archived,
        "disabled": r.disabled,
        "visibility": "private" if r.private else "public",
        "topics": [],
        "created_at": r.created_at,
        "updated_at": r.created_at,
        "pushed_at": iso(r.store.commits[r.head()].committer.at) if r.branches.get(r.default_branch) else r.created_at,
        **({"permissions": flags} if permissions_of else {}),
        **({"organization": account(r.github, r.owner)} if r.owner.kind is AccountKind.ORGANIZATION else {}),
    }


def repository_core(r: Repository) -> Json:
    """`minimal-repository`."""
    base = api(r)
    return {
        "id": r.id,
        "node_id": r.node_id,
        "name": r.name,
        "full_name": r.full_name,
        "private": r.private,
        "owner": account(r.github, r.owner),
        "html_url": r.url,
        "description": None,
        "fork": False,
        "url": base,
        **{name: f"{base}/{tail}" for name, tail in _REPOSITORY_LINKS.items()},
    }


def label(r: Repository, one: Label) -> Json:
    return {
        "id": one.id,
        "node_id": one.node_id,
        "url": f"{api(r)}/labels/{one.name}",
        "name": one.name,
        "color": one.color,
        "default": one.name in ("bug", "documentation", "enhancement"),
        "description": one.description,
    }


def verification(commit: Commit) -> Json:
    """GitHub signs the commits that its API creates. Nothing here verifies this placeholder of a signature."""
    signed = commit.verified
    return {
        "verified": signed,
        "reason": "valid" if signed else "unsigned",
        "signature": "-----BEGIN PGP SIGNATURE-----\n\nstand-in of the embedded platform\n-----END PGP SIGNATURE-----\n"
        if signed
        else None,
        "payload": f"tree {commit.tree}\n" if signed else None,
        "verified_at": iso(commit.committer.at) if signed else None,
    }


def _who(one: Signature) -> Json:
    return {"name": one.name, "email": one.email, "date": iso(one.at)}


def _parents(r: Repository, commit: Commit, tail: str) -> list[Json]:
    return [{"sha": p, "url": f"{api(r)}/{tail}/{p}", "html_url": f"{r.url}/commit/{p}"} for p in commit.parents]


def git_commit(r: Repository, commit: Commit) -> Json:
    return {
        "sha": commit.sha,
        "node_id": f"C_kwDO{commit.sha}",
        "url": f"{api(r)}/git/commits/{commit.sha}",
        "html_url": f"{r.url}/commit/{commit.sha}",
        "author": _who(commit.author),
        "committer": _who(commit.committer),
        "tree": {"sha": commit.tree, "url": f"{api(r)}/git/trees/{commit.tree}"},
        "message": commit.message,
        "parents": _parents(r, commit, "git/commits"),
        "verification": verification(commit),
    }


def commit(r: Repository, one: Commit) -> Json:
    inner = git_commit(r, one)
    author = r.github.accounts.get(one.author.name.lower())
    return {
        "sha": one.sha,
        "node_id": inner["node_id"],
        "commit": {k: inner[k] for k in ("url", "author", "committer", "message", "tree", "verification")}
        | {"comment_count": 0},
        "url": f"{api(r)}/commits/{one.sha}",
        "html_url": inner["html_url"],
        "comments_url": f"{api(r)}/commits/{one.sha}/comments",
        "author": account(r.github, author) if author else None,
        "committer": account(r.github, author) if author else None,
        "parents": _parents(r, one, "commits"),
    }


def tag(r: Repository, one: Tag) -> Json:
    return {
        "sha": one.sha,
        "node_id": f"TA_kwDO{one.sha}",
        "url": f"{api(r)}/git/tags/{one.sha}",
        "tag": one.name,
        "message": one.message,
        "tagger": _who(one.tagger),
        "object": {"sha": one.commit, "type": "commit", "url": f"{api(r)}/git/commits/{one.commit}"},
        "verification": {
            "verified": False,
            "reason": "unsigned",
            "signature": None,
            "payload": None,
            "verified_at": None,
        },
    }


# JSON of issues, comments, timeline and reviews.

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
        "user": account(i.github, i.author),
        "labels": [label(r, one) for one in i.labels],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": i.locked,
        "active_lock_reason": None,
        "comments": len(i.comments),
        "closed_at": i.closed_at,
        "closed_by": account(i.github, i.closed_by) if i.closed_by else None,
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
            "blocking": sum(other.state == "open" for other in i.blocking),
            "total_blocking": len(i.blocking),
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
        built["repository"] = repository(r)
    return built


def comment(c: Comment) -> Json:
    r = c.issue.repository
    return {
        "id": c.id,
        "node_id": c.node_id,
        "url": f"{api(r)}/issues/comments/{c.id}",
        "html_url": f"{c.issue.url}#issuecomment-{c.id}",
        "issue_url": f"{api(r)}/issues/{c.issue.number}",
        "user": account(r.github, c.author),
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
        actor = account(i.github, e.actor)
        return {"event": e.kind, "actor": actor, "created_at": e.at, "updated_at": e.at, "source": source}
    built: Json = {
        "id": e.id,
        "node_id": e.node_id,
        "url": f"{api(i.repository)}/issues/events/{e.id}",
        "actor": account(i.github, e.actor),
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
        "user": account(p.github, v.author),
        "body": v.body,
        "state": v.state,
        "html_url": html,
        "pull_request_url": url,
        "author_association": association(p.repository, v.author),
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        "submitted_at": v.at,
        "commit_id": v.commit,
    }


def review_comment(c: ReviewComment) -> Json:
    p, first = c.thread.pull, c.thread.comments[0]
    url, html = f"{api(p.repository)}/pulls/comments/{c.id}", f"{p.url}#discussion_r{c.id}"
    pull = f"{api(p.repository)}/pulls/{p.number}"
    return {
        "url": url,
        "id": c.id,
        "node_id": f"PRRC_kwDO{c.id}",
        "pull_request_review_id": c.review.id,
        "diff_hunk": c.thread.hunk,
        "path": c.thread.path,
        "commit_id": p.head_commit,
        "original_commit_id": c.thread.commit,
        **({"in_reply_to_id": first.id} if c is not first else {}),
        "user": account(p.github, c.author),
        "body": c.body,
        "created_at": c.at,
        "updated_at": c.edited_at or c.at,
        "html_url": html,
        "pull_request_url": pull,
        "author_association": association(p.repository, c.author),
        "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pull}},
        "line": c.thread.line,
        "original_line": c.thread.line,
        "side": "RIGHT",
    }


# JSON of pull requests and their files.


def _side(p: PullRequest, r: Repository, ref: str, sha: str) -> Json:
    owner = account(p.github, r.owner)
    return {"label": f"{r.owner.login}:{ref}", "ref": ref, "sha": sha, "user": owner, "repo": repository(r)}


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
        "merge_commit_sha": p.merge_commit or p.trial_merge,
        "requested_reviewers": [],
        "requested_teams": [],
        "head": _side(p, p.fork or p.repository, p.head, p.head_commit),
        "base": _side(p, p.repository, p.base, p.base_commit),
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
        "merged_by": account(p.github, p.merged_by) if p.merged_by else None,
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


# JSON of workflow runs and apps.


def run(r: Repository, one: WorkflowRun) -> Json:
    base = f"{api(r)}/actions/runs/{one.id}"
    links = {f"{n}_url": f"{base}/{n}" for n in ("jobs", "logs", "cancel", "rerun", "artifacts")}
    return {
        "id": one.id,
        "name": "ops-agent",
        "node_id": f"WFR_kwLO{one.id}",
        "head_branch": r.default_branch,
        "head_sha": r.branches.get(r.default_branch, "0" * 40),
        "path": ".github/workflows/ops-agent.yml",
        "display_title": "ops-agent",
        "run_number": 1,
        "event": one.event,
        "status": one.status,
        "conclusion": one.conclusion,
        "workflow_id": 1,
        "url": base,
        "html_url": f"{r.url}/actions/runs/{one.id}",
        "pull_requests": [],
        "created_at": r.created_at,
        "updated_at": r.created_at,
        "run_attempt": 1,
        **links,
        "check_suite_url": f"{api(r)}/check-suites/{one.id}",
        "workflow_url": f"{api(r)}/actions/workflows/1",
        "head_commit": None,
        "repository": repository_core(r),
        "head_repository": repository_core(r),
    }


def check_run(r: Repository, run: CheckRun) -> Json:
    base = f"{api(r)}/check-runs/{run.id}"
    slug = run.app.graphql_login
    return {
        "id": run.id,
        "node_id": f"CR_kwDO{run.id}",
        "head_sha": run.commit,
        "external_id": run.external_id,
        "url": base,
        "html_url": f"{r.url}/runs/{run.id}",
        "details_url": run.details_url,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.at,
        "completed_at": run.at if run.conclusion else None,
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": None,
            "annotations_count": len(run.annotations),
            "annotations_url": f"{base}/annotations",
        },
        "name": run.name,
        "check_suite": {"id": run.app.id},
        "app": app(r.github, slug, run.app),
        "pull_requests": [],
    }


def app(github: Platform, slug: str, bot: Account) -> Json:
    """`integration`: what the App asks for, which an installation may have narrowed."""
    return {
        "id": bot.id + 1,
        "slug": slug,
        "node_id": f"A_kgDO{bot.id + 1}",
        "owner": account(github, github.account("ghost")),
        "name": slug,
        "description": None,
        "external_url": f"{github.base_url}/apps/{slug}",
        "html_url": f"{github.base_url}/apps/{slug}",
        "created_at": "2026-01-05T09:00:00Z",
        "updated_at": "2026-01-05T09:00:00Z",
        "permissions": {"metadata": READ, **github.app_permissions[slug]},
        "events": [],
    }
