"""A project board (Projects v2): a single-select field Status, and items that are issues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_github.accounts import Account
from fake_github.issues import Issue

if TYPE_CHECKING:
    from fake_github.platform import EmbeddedGitHub

COLUMNS = ("Backlog", "Ready", "In Progress", "In Review", "Done")


@dataclass(slots=True, eq=False)
class Card:
    """One item of a board. `status` is an option's id, None for no status."""

    id: int
    board: Board
    issue: Issue
    status: str | None
    updated_at: str
    archived: bool = False

    @property
    def node_id(self) -> str:
        return f"PVTI_lADO{self.id}"

    @property
    def column(self) -> str | None:
        return self.board.options.get(self.status) if self.status else None


class Board:
    """`field` is the name of the single-select field, `options` its options by id, in the order of the columns."""

    def __init__(
        self, github: EmbeddedGitHub, owner: Account, number: int, title: str, columns: tuple[str, ...]
    ) -> None:
        self.github = github
        self.owner = owner
        self.number = number
        self.title = title
        self.id = github.next_id()
        self.field_id = github.next_id()
        self.field = "Status"
        self.options = {f"{github.next_id():08x}": name for name in columns}
        self.cards: list[Card] = []
        self.closed = False
        self.created_at = self.updated_at = github.now()

    @property
    def node_id(self) -> str:
        return f"PVT_kwDO{self.id}"

    @property
    def field_node_id(self) -> str:
        return f"PVTSSF_lADO{self.field_id}"

    @property
    def path(self) -> str:
        return f"/orgs/{self.owner.login}/projects/{self.number}"

    def card(self, issue: Issue) -> Card | None:
        return next((card for card in self.cards if card.issue is issue), None)

    def column(self, issue: Issue) -> str | None:
        """Name of the column that the issue stands in, None when it has no status or is not on the board."""
        card = self.card(issue)
        return card.column if card else None

    def add(self, issue: Issue) -> Card:
        """The issue's card; adding it again gives the same one, as on GitHub."""
        with self.github.lock:
            card = self.card(issue)
            if card is None:
                card = Card(self.github.next_id(), self, issue, None, self.github.now())
                self.cards.append(card)
            return card

    def put(self, issue: Issue, column: str) -> Card:
        """Add if needed, and move to the column of that exact name. Raises KeyError when the board has no such column."""
        with self.github.lock:
            option = next((key for key, name in self.options.items() if name == column), None)
            if option is None:
                raise KeyError(f"the board has no column {column!r}; it has {', '.join(self.options.values())}")
            card = self.add(issue)
            card.status, card.updated_at = option, self.github.now()
            return card

    def rename_column(self, old: str, new: str) -> None:
        with self.github.lock:
            option = next(key for key, name in self.options.items() if name == old)
            self.options[option] = new
