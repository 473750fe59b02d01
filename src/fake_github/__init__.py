"""An embedded GitHub for the demo and the tests: REST and GraphQL on loopback, readable pages, faults on demand. See
docs/platform.md.
"""

from fake_github.accounts import Account, Token, TokenKind
from fake_github.objects import Board, Comment, Issue, PullRequest, Repository
from fake_github.platform import EmbeddedGitHub
from fake_github.recorder import Call, Recorder

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
