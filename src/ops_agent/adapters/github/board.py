"""Projects v2 by GraphQL, from the issue's side: the board is never scanned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from ops_agent.adapters.github.client import GitHubHttp
from ops_agent.model.errors import GitHubError, NotFound, NotPermitted
from ops_agent.model.event import Issue, IssueRef
from ops_agent.model.ports import BoardCard

T = TypeVar("T")
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

    def statuses(self, repository: str) -> tuple[str, ...] | str:
        def read(found: dict[str, Any]) -> tuple[str, ...] | str:
            project = self._project(found)
            return project if isinstance(project, str) else tuple(str(o["name"]) for o in project["field"]["options"])

        return self._asked({}, {repository.partition("/")[0]}, read) if self._number else ""

    def _some(self, issues: tuple[Issue, ...]) -> dict[IssueRef, BoardCard | str]:
        ids = {f"i{place}": issue.node_id for place, issue in enumerate(issues)}

        def read(found: dict[str, Any]) -> dict[IssueRef, BoardCard | str]:
            return {issue.ref: self._card(found, f"i{n}", issue) for n, issue in enumerate(issues)}

        cards = self._asked(ids, {issue.ref.repository.partition("/")[0] for issue in issues}, read)
        return dict.fromkeys((issue.ref for issue in issues), cards) if isinstance(cards, str) else cards

    @property
    def _name(self) -> str:
        return f"project {self._number} of {self._owner}"

    def _asked(self, ids: dict[str, str], owners: set[str], read: Callable[[dict[str, Any]], T]) -> T | str:
        """What `read` makes of the project and of the issues `ids`, of `owners`; or why the board cannot be read."""
        variables = {"owner": self._owner, "number": self._number, "field": self._field, **ids}
        try:
            return self._http.graphql(_query(ids), f"reading the board ({self._name})", read, **variables)
        except (NotFound, NotPermitted):
            needed = "use a GitHub App with organisation projects read and write, or check the number"
            why = f"The token cannot read {self._name}: GITHUB_TOKEN never can; {needed}."
        except GitHubError as error:
            why = f"The board could not be read: {error}"
        if self._owner.casefold() not in {owner.casefold() for owner in owners}:
            named = f"The token cannot read {self._name}, and the issue belongs to {', '.join(sorted(owners))}"
            why = f"{named}: name your board (`project_owner`, `project_number`), or set `project_number: 0` for none."
        return why

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

    def _project(self, found: dict[str, Any]) -> dict[str, Any] | str:
        """The project with its field, or why it cannot be used."""
        project = (found.get("organization") or {}).get("projectV2")
        if not project:
            return f"There is no {self._name}, or the token may not see it."
        if not (project.get("field") or {}).get("id"):
            name = f"{self._name[0].upper()}{self._name[1:]}"
            return f'{name} has no single-select field named "{self._field}" (`status_field`).'
        return {**project, "field": {"options": [], **project["field"]}}

    def _card(self, found: dict[str, Any], alias: str, issue: Issue) -> BoardCard | str:
        project = self._project(found)
        if isinstance(project, str):
            return project
        field, name = project["field"], self._name
        for item in _items(found.get(alias)):
            if (item.get("project") or {}).get("id") == project["id"]:
                if item.get("isArchived"):
                    return f"The issue's card on {name} is archived."
                return BoardCard(
                    item_id=str(item["id"]),
                    project_id=str(project["id"]),
                    field_id=str(field["id"]),
                    status=(item.get("fieldValueByName") or {}).get("name"),
                    options=tuple((str(o["id"]), str(o["name"])) for o in field["options"]),
                )
        return f"{issue.ref} is not on {name}."


def _query(ids: Iterable[str]) -> str:
    variables = "".join(f", ${alias}: ID!" for alias in ids)
    nodes = "".join(f"\n  {alias}: node(id: ${alias}) {{ ...Items }}" for alias in ids)
    asked = f"query($owner: String!, $number: Int!, $field: String!{variables}) {{{_PROJECT}{nodes}\n}}"
    return f"{asked}{_ITEMS}" if nodes else asked


def _items(node: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The issue's items; those that the token cannot see come as null."""
    nodes = ((node or {}).get("projectItems") or {}).get("nodes") or []
    return (item for item in nodes if isinstance(item, dict))
