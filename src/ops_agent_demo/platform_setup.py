"""The embedded GitHub as the story needs it: a team, its repository, a board, issues, and the repositories of
allow-listed actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fake_github.objects import Board, Issue, Repository
from fake_github.platform import EmbeddedGitHub
from ops_agent_demo.story import REPOSITORY, Story, sample_files

ORGANISATION = REPOSITORY.partition("/")[0]
PERSON, TECH_LEAD = "maria", "henrique"
BOARD_NUMBER = 6
# Actions whose tags can be resolved to commits, as on github.com; the files do not matter.
ACTIONS = {"actions/checkout": "v7", "hashicorp/setup-terraform": "v4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that people would have prepared. `issues` is keyed by the story's folders, `token` is the app's."""

    github: EmbeddedGitHub
    repository: Repository
    board: Board
    parent: Issue
    issues: dict[str, Issue]
    token: str

    def label_ready(self, folder: str) -> dict[str, Any]:
        """A person labels the issue; returns the event `issues.labeled`."""
        return self.github.label(self.issues[folder], "ready", by=PERSON)

    def dispatch_parent(self) -> dict[str, Any]:
        """A person starts the workflow for the parent issue; returns the event `workflow_dispatch`."""
        return self.github.dispatch(self.repository, by=PERSON, inputs={"issue_number": str(self.parent.number)})


def set_up(github: EmbeddedGitHub, story: Story) -> Stage:
    """Fill an empty `github` with the story."""
    repository = github.add_repository(REPOSITORY, dict(sample_files()))
    for login, role in ((TECH_LEAD, "maintain"), (PERSON, "write")):
        repository.add_person(login, role=role)
    board = github.add_board(ORGANISATION, number=BOARD_NUMBER)
    parent = repository.add_issue(story.parent.title, story.parent.body, author=TECH_LEAD)
    board.put(parent, story.parent.status)
    issues = {}
    for item in story.children:
        issue = issues[item.folder] = repository.add_issue(item.title, item.body, author=TECH_LEAD)
        parent.add_sub_issue(issue)
        board.put(issue, item.status)
    for name, tag in ACTIONS.items():
        action = github.add_repository(name, {"action.yml": "name: action\n"}, private=False)
        action.tags[tag] = action.head()
    return Stage(
        github=github, repository=repository, board=board, parent=parent, issues=issues, token=github.app_token()
    )
