"""Projects v2 by GraphQL, from the issue's side: the board is never scanned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from ops_agent.adapters.github.client import GitHubHttp
from ops_agent.model.errors import GitHubError, NotFound, NotPermitted
from ops_agent.model.event import Issue, IssueRef
from ops_agent.model.ports import BoardCard

CARDS_A_REQUEST = 50
_PROJECT = """
  organization(login: $owner) {
    projectV2(number: $number) {
      id
      field(name: $field) { ... on ProjectV2SingleSelectField { id options { id name } } }
    }
  }"""
_ITEMS = """
fragment Items on Issue {
  projectItems(first: 100) {
    nodes {
      id
      isArchived
      project { id number }
      fieldValueByName(name: $field) { ... on ProjectV2ItemFieldSingleSelectValue { name } }
    }
  }
}
"""


class GitHubBoard:
    """ports.Board. A board that cannot be used is reported in a sentence, never as an error: the run goes on without
    it.
    """

    def __init__(self, http: GitHubHttp, owner: str, number: int, field: str) -> None:
        self._http, self._owner, self._number, self._field = http, owner, number, field

    def card(self, issue: Issue) -> BoardCard | str:
        return self.cards_of((issue,))[issue.ref]

    def cards_of(self, issues: tuple[Issue, ...]) -> dict[IssueRef, BoardCard | str]:
        """50 issues a request: the project once, and each issue's items by an alias of `node`."""
        if self._number == 0:
            return dict.fromkeys((issue.ref for issue in issues), "")
        found: dict[IssueRef, BoardCard | str] = {}
        for start in range(0, len(issues), CARDS_A_REQUEST):
            found |= self._some(issues[start : start + CARDS_A_REQUEST])
        return found

    def _some(self, issues: tuple[Issue, ...]) -> dict[IssueRef, BoardCard | str]:
        name = f"project {self._number} of {self._owner}"
        ids = {f"i{place}": issue.node_id for place, issue in enumerate(issues)}
        variables = {"owner": self._owner, "number": self._number, "field": self._field, **ids}
        try:
            return self._http.graphql(
                _query(ids),
                f"reading the board ({name})",
                lambda found: {issue.ref: self._card(found, f"i{n}", name, issue) for n, issue in enumerate(issues)},
                **variables,
            )
        except (NotFound, NotPermitted):
            needed = "use a GitHub App with organisation projects read and write, or check the number"
            why = f"The token cannot read {name}: GITHUB_TOKEN never can; {needed}."
        except GitHubError as error:
            why = f"The board could not be read: {error}"
        owners = {issue.ref.repository.partition("/")[0] for issue in issues}
        if self._owner.casefold() not in {owner.casefold() for owner in owners}:
            named = f"The token cannot read {name}, and the issue belongs to {', '.join(sorted(owners))}"
            why = f"{named}: name your board (`project_owner`, `project_number`), or set `project_number: 0` for none."
        return dict.fromkeys((issue.ref for issue in issues), why)

    def move(self, card: BoardCard, status: str) -> str | None:
        option = {name.casefold(): option for option, name in card.options}.get(status.casefold())
        if option is None:
            known = ", ".join(name for _, name in card.options) or "none"
            return f'The board has no status "{status}" (it has: {known}).'
        doing = f'moving the card to "{status}"'
        wanted = {
            "projectId": card.project_id,
            "itemId": card.item_id,
            "fieldId": card.field_id,
            "value": {"singleSelectOptionId": option},
        }
        create = partial(self._http.mutate, "updateProjectV2ItemFieldValue", wanted, "projectV2Item { id }")
        try:
            self._http.ensure(doing, create)
        except NotPermitted:
            return "The token may read the board but not write to it (organisation projects: write is missing)."
        except GitHubError as error:
            return f"The card could not be moved: {error}"
        return None

    def _card(self, found: dict[str, Any], alias: str, name: str, issue: Issue) -> BoardCard | str:
        project = (found.get("organization") or {}).get("projectV2")
        if not project:
            return f"There is no {name}, or the token may not see it."
        field = project.get("field") or {}
        if not field.get("id"):
            return f'{name[0].upper()}{name[1:]} has no single-select field named "{self._field}" (`status_field`).'
        for item in _items(found.get(alias)):
            if (item.get("project") or {}).get("id") == project["id"]:
                if item.get("isArchived"):
                    return f"The issue's card on {name} is archived."
                return BoardCard(
                    item_id=str(item["id"]),
                    project_id=str(project["id"]),
                    field_id=str(field["id"]),
                    status=(item.get("fieldValueByName") or {}).get("name"),
                    options=tuple((str(o["id"]), str(o["name"])) for o in field.get("options") or []),
                )
        return f"{issue.ref} is not on {name}."


def _query(ids: Iterable[str]) -> str:
    variables = "".join(f", ${alias}: ID!" for alias in ids)
    nodes = "".join(f"\n  {alias}: node(id: ${alias}) {{ ...Items }}" for alias in ids)
    return f"query($owner: String!, $number: Int!, $field: String!{variables}) {{{_PROJECT}{nodes}\n}}{_ITEMS}"


def _items(node: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The issue's items; those that the token cannot see come as null."""
    nodes = ((node or {}).get("projectItems") or {}).get("nodes") or []
    return (item for item in nodes if isinstance(item, dict))
