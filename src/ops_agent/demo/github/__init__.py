"""An embedded GitHub for the demo and the tests: REST and GraphQL on loopback, readable pages, faults on demand. See docs/platform.md."""

from ops_agent.demo.github.accounts import Account, Token, TokenKind
from ops_agent.demo.github.boards import Board
from ops_agent.demo.github.issues import Comment, Issue
from ops_agent.demo.github.platform import EmbeddedGitHub
from ops_agent.demo.github.pulls import PullRequest
from ops_agent.demo.github.recorder import Call, Recorder
from ops_agent.demo.github.repositories import Repository

__all__ = ["Account", "Board", "Call", "Comment", "EmbeddedGitHub", "Issue", "PullRequest", "Recorder", "Repository", "Token", "TokenKind"]
