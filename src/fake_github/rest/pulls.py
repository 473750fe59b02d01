"""Pull requests."""

from __future__ import annotations

from fake_github.accounts import TokenKind
from fake_github.objects import open_pull_request
from fake_github.refusals import custom, invalid, not_found, pull_requests_by_actions_forbidden
from fake_github.rest import shapes
from fake_github.rest.routing import Answer, Asked, Route

_P = "/repos/{owner}/{repo}/pulls"
_N = _P + "/{pull_number}"
_READ, _WRITE = ("pull_requests=read",), ("pull_requests=write",)


def list_pulls(asked: Asked) -> Answer:
    """`head` is `owner:branch`; a head without an owner is ignored by GitHub, so every pull request comes back."""
    state, head, base = asked.query.get("state", "open"), asked.query.get("head", ""), asked.query.get("base")
    found = [p for p in asked.repository.pull_requests if state in ("all", p.state) and base in (None, p.base)]
    if ":" in head:
        owner, _, branch = head.partition(":")
        found = [p for p in found if p.head == branch and (p.fork or p.repository).owner.login.lower() == owner.lower()]
    if asked.query.get("direction") == "asc":
        found.reverse()
    return asked.page(found, shapes.pull_request_simple)


def create_pull(asked: Asked) -> Answer:
    r, body = asked.repository, asked.body
    head, base = asked.text("head").rpartition(":")[2], asked.text("base")
    title, text = asked.text("title"), body.get("body") or ""
    by_actions = asked.token is not None and asked.token.kind is TokenKind.ACTIONS
    # The fields first: a request that is invalid anyway does not show the setting.
    if by_actions and title and head in r.branches and not r.actions_may_open_pull_requests:
        raise pull_requests_by_actions_forbidden()
    draft = bool(body.get("draft"))
    pull = open_pull_request(r, head=head, base=base, title=title, body=text, by=asked.actor, draft=draft)
    return Answer(201, shapes.pull_request(pull))


def get_pull(asked: Asked) -> Answer:
    return Answer(200, shapes.pull_request(asked.pull_request))


def update_pull(asked: Asked) -> Answer:
    """`draft` is not among the fields: GitHub ignores it here, only GraphQL changes it."""
    pull, body = asked.pull_request, asked.body
    pull.edit(title=body.get("title"), body=body.get("body"), by=asked.actor)
    if "base" in body:
        if body["base"] not in asked.repository.branches:
            raise invalid("PullRequest", "base")
        pull.base = body["base"]
    if body.get("state") == "closed":
        pull.close(by=asked.actor)
    elif body.get("state") == "open" and not pull.merged:
        if pull.head not in asked.repository.branches:
            raise custom("PullRequest", f"state cannot be changed. The {pull.head} branch has been deleted.")
        pull.reopen(by=asked.actor)
    return Answer(200, shapes.pull_request(pull))


def list_files(asked: Asked) -> Answer:
    pull = asked.pull_request
    return asked.page(pull.files[:3000], lambda f: shapes.file(pull.repository, f, pull.head_commit))


def list_commits(asked: Asked) -> Answer:
    pull = asked.pull_request
    return asked.page(
        pull.commits[:250], lambda sha: shapes.commit(pull.repository, pull.repository.store.commits[sha])
    )


def list_reviews(asked: Asked) -> Answer:
    pull = asked.pull_request
    return asked.page(pull.reviews, lambda v: shapes.review(pull, v))


def reply(asked: Asked) -> Answer:
    """`comment_id` is the first of a thread: GitHub does not take a reply to a reply."""
    try:
        comment = asked.pull_request.reply(int(asked.params["comment_id"]), asked.text("body"), by=asked.actor)
    except KeyError:
        raise not_found() from None
    return Answer(201, shapes.review_comment(comment))


ROUTES = (
    Route("GET", _P, list_pulls, _READ),
    Route("POST", _P, create_pull, _WRITE),
    Route("GET", _N, get_pull, _READ),
    Route("PATCH", _N, update_pull, _WRITE),
    Route("GET", f"{_N}/files", list_files, _READ),
    Route("GET", f"{_N}/commits", list_commits, _READ),
    Route("GET", f"{_N}/reviews", list_reviews, _READ),
    Route("POST", f"{_N}/comments/{{comment_id}}/replies", reply, _WRITE),
)
