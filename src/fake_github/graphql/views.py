"""Repositories, issues, pull requests and boards as GraphQL sees them: dictionaries, with functions for what costs.

graphql-core calls a function in a dictionary with `(info, **arguments)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fake_github.accounts import Account
from fake_github.git_objects import Commit, iso
from fake_github.objects import (
    Board,
    Card,
    Issue,
    Label,
    PullRequest,
    Repository,
    Review,
    ReviewComment,
    ReviewThread,
)
from fake_github.refusals import Refusal, not_accessible, unresolved

# What every GraphQL view needs: connections, accounts, refs and commits.

View = dict[str, Any]
PAGE_LIMIT = 100


def connection(everything: Sequence[Any], view: Callable[[Any], View]) -> Callable[..., View]:
    """A connection over a list. GitHub demands `first` or `last`, at most 100; the cursor is the position."""

    def resolve(
        info: Any, first: int | None = None, after: str | None = None, last: int | None = None, **_other: Any
    ) -> View:
        size, name = first or last, info.field_name
        if size is None:
            words = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
            raise Refusal(422, words, kind="MISSING_PAGINATION_BOUNDARIES")
        if size > PAGE_LIMIT:
            asked = f"Requesting {size} records on the `{name}` connection"
            words = f"{asked} exceeds the `first` limit of {PAGE_LIMIT} records."
            raise Refusal(422, words, kind="EXCESSIVE_PAGINATION")
        start = int(after) if after else 0
        if last and not first:
            start = max(len(everything) - size, 0)
        shown = everything[start : start + size]
        end = start + len(shown)
        pages = {
            "hasNextPage": end < len(everything),
            "hasPreviousPage": start > 0,
            "startCursor": str(start),
            "endCursor": str(end),
        }
        return {"nodes": [view(one) for one in shown], "totalCount": len(everything), "pageInfo": pages}

    return resolve


def actor(base_url: str, who: Account) -> View:
    return {
        "__typename": str(who.kind),
        "id": who.node_id,
        "login": who.graphql_login,
        "databaseId": who.id,
        "url": f"{base_url}/{who.graphql_login}",
        "name": None,
    }


def ref(r: Repository, name: str) -> View:
    target = commit(r, r.store.commits[r.branches[name]])
    return {
        "__typename": "Ref",
        "id": f"REF_kwDO{r.id}:heads/{name}",
        "name": name,
        "prefix": "refs/heads/",
        "target": target,
    }


def commit(r: Repository, c: Commit) -> View:
    headline, _, rest = c.message.partition("\n")
    signature = {
        "__typename": "GpgSignature",
        "isValid": True,
        "state": "VALID",
        "wasSignedByGitHub": True,
        "email": c.committer.email,
    }
    return {
        "__typename": "Commit",
        "id": f"C_kwDO{c.sha}",
        "oid": c.sha,
        "url": f"{r.url}/commit/{c.sha}",
        "message": c.message,
        "messageHeadline": headline,
        "messageBody": rest.strip("\n"),
        "committedDate": iso(c.committer.at),
        "author": {"name": c.author.name, "email": c.author.email, "date": iso(c.author.at)},
        "signature": signature if c.verified else None,
        "tree": {"id": f"T_kwDO{c.tree}", "oid": c.tree, "entries": lambda _info: _entries(r, c.tree)},
    }


def _entries(r: Repository, tree: str) -> list[View]:
    return [
        {"name": name, "mode": int(entry.mode, 8), "oid": entry.sha, "path": name, "type": entry.kind}
        for name, entry in r.store.children(tree)
    ]


_ROLE_NAMES = {
    "none": None,
    "read": "READ",
    "triage": "TRIAGE",
    "write": "WRITE",
    "maintain": "MAINTAIN",
    "admin": "ADMIN",
}


def organization(base_url: str, who: Account, project: Callable[..., View]) -> View:
    return {**actor(base_url, who), "projectV2": project}


def repository(r: Repository) -> View:
    def ref_of(_info: Any, qualifiedName: str) -> View | None:  # noqa: N803 - GitHub's argument
        name = qualifiedName.removeprefix("refs/heads/")
        return ref(r, name) if name in r.branches else None

    def issue_of(_info: Any, number: int) -> View:
        found = r.issues.get(number)
        if found is None or found.is_pull_request:
            raise unresolved("Issue", f"number of {number}")
        return issue(found)

    def pull_of(_info: Any, number: int) -> View:
        found = r.issues.get(number)
        if not isinstance(found, PullRequest):
            raise unresolved("PullRequest", f"number of {number}")
        return pull_request(found)

    def pulls(
        info: Any,
        states: list[str] | None = None,
        headRefName: str | None = None,  # noqa: N803
        **paging: Any,
    ) -> View:
        found = [
            p for p in reversed(r.pull_requests) if headRefName in (None, p.head) and (not states or state(p) in states)
        ]
        return connection(found, pull_request)(
            info, **{k: v for k, v in paging.items() if k in ("first", "after", "last")}
        )

    return {
        "__typename": "Repository",
        "id": r.node_id,
        "databaseId": r.id,
        "name": r.name,
        "nameWithOwner": r.full_name,
        "owner": actor(r.github.base_url, r.owner),
        "url": r.url,
        "resourcePath": f"/{r.full_name}",
        "isArchived": r.archived,
        "isDisabled": r.disabled,
        "isEmpty": r.is_empty,
        "isPrivate": r.private,
        "defaultBranchRef": ref(r, r.default_branch) if r.default_branch in r.branches else None,
        "ref": ref_of,
        "issue": issue_of,
        "pullRequest": pull_of,
        "pullRequests": pulls,
        "viewerPermission": lambda info: _ROLE_NAMES[r.role(info.context.actor)],
        "object": lambda _info, oid=None, **_other: commit(r, r.store.commits[oid]) if oid in r.store.commits else None,
    }


def label(one: Label) -> View:
    return {"id": one.node_id, "name": one.name, "color": one.color, "description": one.description}


def state(i: Issue) -> str:
    return "MERGED" if isinstance(i, PullRequest) and i.merged else i.state.upper()


def _issue_or_pull(i: Issue) -> View:
    return {
        "id": i.node_id,
        "databaseId": i.id,
        "number": i.number,
        "title": i.title,
        "body": i.body,
        "state": state(i),
        "url": i.url,
        "resourcePath": i.path,
        "author": actor(i.github.base_url, i.author),
        "labels": connection(i.labels, label),
        "repository": lambda _info: repository(i.repository),
        "projectItems": lambda info, **paging: _project_items(info, i, **paging),
        "createdAt": i.created_at,
        "updatedAt": i.updated_at,
        "lastEditedAt": i.edited_at,
        "locked": i.locked,
    }


def issue(i: Issue) -> View:
    done = sum(child.state == "closed" for child in i.sub_issues)
    total = len(i.sub_issues)
    return {
        **_issue_or_pull(i),
        "__typename": "Issue",
        "stateReason": i.state_reason.upper() if i.state_reason else None,
        "parent": lambda _info: issue(i.parent) if i.parent else None,
        "subIssues": connection(i.sub_issues, issue),
        "subIssuesSummary": {"total": total, "completed": done, "percentCompleted": 100 * done // max(total, 1)},
    }


def pull_request(p: PullRequest) -> View:
    return {
        **_issue_or_pull(p),
        "__typename": "PullRequest",
        "databaseId": p.pull_id,
        "isDraft": p.draft,
        "merged": p.merged,
        "mergedAt": p.merged_at,
        "closed": p.state == "closed",
        "baseRefName": p.base,
        "headRefName": p.head,
        "baseRefOid": p.base_commit,
        "headRefOid": p.head_commit,
        "closingIssuesReferences": connection(p.closes, issue),
        "reviews": connection(p.reviews, lambda v: _review(p, v)),
        "reviewThreads": connection(p.threads, _thread),
    }


def _review(p: PullRequest, v: Review) -> View:
    return {
        "id": f"PRR_kwDO{v.id}",
        "fullDatabaseId": str(v.id),
        "author": actor(p.github.base_url, v.author),
        "state": v.state,
        "body": v.body,
        "submittedAt": v.at,
        "lastEditedAt": v.edited_at,
    }


def _thread(t: ReviewThread) -> View:
    return {
        "id": f"PRRT_kwDO{t.id}",
        "isResolved": t.is_resolved,
        "isOutdated": t.is_outdated,
        "path": t.path,
        "line": None if t.is_outdated else t.line,
        "originalLine": t.line,
        "comments": connection(t.comments, _review_comment),
    }


def _review_comment(c: ReviewComment) -> View:
    return {
        "id": f"PRRC_kwDO{c.id}",
        "fullDatabaseId": str(c.id),
        "author": actor(c.thread.pull.github.base_url, c.author),
        "body": c.body,
        "createdAt": c.at,
        "lastEditedAt": c.edited_at,
        "diffHunk": c.thread.hunk,
    }


def _project_items(info: Any, i: Issue, **paging: Any) -> View:
    """Cards of this issue. Without the permission for the organisation's projects GitHub refuses the field."""
    token = info.context.token
    if not token.may("organization_projects", "read"):
        raise not_accessible(integration=token.is_integration)
    cards = [card for b in i.github.boards if (card := b.card(i)) is not None]
    paging = {k: v for k, v in paging.items() if k in ("first", "after", "last")}
    return connection(cards, card_view)(info, **paging)


def board(b: Board) -> View:
    return {
        "__typename": "ProjectV2",
        "id": b.node_id,
        "databaseId": b.id,
        "number": b.number,
        "title": b.title,
        "url": f"{b.github.base_url}{b.path}",
        "resourcePath": b.path,
        "closed": b.closed,
        "field": lambda _info, name: status_field(b) if name.lower() == b.field.lower() else None,
        "fields": connection([None, b], lambda one: status_field(one) if one else _title_field(b)),
        "items": connection(b.cards, card_view),
    }


def _title_field(b: Board) -> View:
    return {"__typename": "ProjectV2Field", "id": f"PVTF_lADO{b.id}", "name": "Title", "dataType": "TITLE"}


def status_field(b: Board) -> View:
    def options(_info: Any, names: list[str] | None = None) -> list[View]:
        wanted = None if names is None else {name.lower() for name in names}
        shown = [(key, name) for key, name in b.options.items() if wanted is None or name.lower() in wanted]
        return [{"id": key, "name": name, "description": "", "color": "GRAY"} for key, name in shown]

    return {
        "__typename": "ProjectV2SingleSelectField",
        "id": b.field_node_id,
        "name": b.field,
        "dataType": "SINGLE_SELECT",
        "options": options,
    }


def card_view(c: Card) -> View:
    def value(_info: Any, name: str) -> View | None:
        if name.lower() != c.board.field.lower() or c.status is None:
            return None
        kind = "ProjectV2ItemFieldSingleSelectValue"
        return {"__typename": kind, "id": f"PVTFSV_lADO{c.id}", "name": c.column, "optionId": c.status}

    return {
        "__typename": "ProjectV2Item",
        "id": c.node_id,
        "fullDatabaseId": str(c.id),
        "isArchived": c.archived,
        "type": "PULL_REQUEST" if c.issue.is_pull_request else "ISSUE",
        "project": lambda _info: board(c.board),
        "content": lambda _info: pull_request(c.issue) if isinstance(c.issue, PullRequest) else issue(c.issue),
        "fieldValueByName": value,
    }
