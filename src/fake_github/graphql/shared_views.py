"""What every GraphQL view needs: connections, accounts, refs and commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fake_github.accounts import Account
from fake_github.git_objects import Commit
from fake_github.refusals import Refusal
from fake_github.repositories import Repository
from fake_github.times import iso

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
            words = f"Requesting {size} records on the `{name}` connection exceeds the `first` limit of {PAGE_LIMIT} records."
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
