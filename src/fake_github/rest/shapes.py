"""JSON of accounts, repositories, labels and git objects, as the REST API gives it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fake_github.accounts import Account, AccountKind, role_includes
from fake_github.git_objects import Commit, Signature, Tag
from fake_github.issues import Label
from fake_github.platform import EmbeddedGitHub
from fake_github.repositories import Repository
from fake_github.times import iso

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
    return f"{repository.github.base_url}/repos/{repository.full_name}"


def account(github: EmbeddedGitHub, who: Account) -> Json:
    base = f"{github.base_url}/users/{quote(who.login)}"
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
    """`full-repository`. For an integration every entry of `permissions` is false, whatever it may do: so does GitHub."""
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
    """GitHub signs what its API commits. The signature here is a stand-in: nothing of ours verifies it."""
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
