"""An embedded GitHub for the demo and the tests: REST and GraphQL on loopback, readable pages, faults on demand. See
docs/platform.md.
"""

from fake_github.accounts import Account, Token, TokenKind
from fake_github.boards import Board
from fake_github.issues import Comment, Issue
from fake_github.platform import EmbeddedGitHub
from fake_github.pulls import PullRequest
from fake_github.recorder import Call, Recorder
from fake_github.repositories import Repository

__all__ = [
    "Account",
    "Board",
    "Call",
    "Comment",
    "EmbeddedGitHub",
    "Issue",
    "PullRequest",
    "Recorder",
    "Repository",
    "Token",
    "TokenKind",
]
