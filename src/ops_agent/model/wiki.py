"""What the team's wiki is asked, by MCP, and what it answers. Everything in an answer is from outside: hostile until
cleaned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """One server of the input `mcp_config`: a program (`command`) that speaks over its standard streams, or a `url`.

    `environment` and `headers` hold the secrets themselves once the references were resolved; `secrets` are those
    values.
    """

    name: str
    command: str = ""
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WikiPage:
    """A page as the server gave it: `id` are digits, `space` is one of the allowed ones."""

    id: str
    version: int
    space: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WikiAnswer:
    """Pages in the order of the queries, the read-only tools in use by server, and what could not be had, one sentence
    each.
    """

    pages: tuple[WikiPage, ...] = ()
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
