"""One rule, one function: its id comes from its module and name, its words from its docstring, its subject from its annotation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

from ops_agent.core.guard.subjects import Hit

RuleFunction = Callable[[Any], Iterator[Hit]]
_PACKAGE = "ops_agent.core.guard.rules."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as the judge runs it and as the documents show it. `blocks` False: it is only mentioned; `leads`: it stands first.

    A list of findings is cut at some length: what a reviewer must not miss does not drown in what is merely nice to know.
    """

    id: str
    title: str
    reason: str
    remedy: str
    blocks: bool
    subject: type
    function: RuleFunction
    leads: bool = False


def blocking(function: RuleFunction) -> Rule:
    """A rule whose findings stop the change."""
    return _rule(function, blocks=True)


def mentioned(function: RuleFunction) -> Rule:
    """A rule whose findings are shown to the reviewer and to the agent."""
    return _rule(function, blocks=False)


def marked(function: RuleFunction) -> Rule:
    """A rule whose findings stop nothing and stand before all others."""
    return _rule(function, blocks=False, leads=True)


def _rule(function: RuleFunction, *, blocks: bool, leads: bool = False) -> Rule:
    name = function.__name__.replace("_", "-")
    group = function.__module__.removeprefix(_PACKAGE).split(".")[0]
    title, reason, remedy = _words(inspect.getdoc(function) or "", name)
    (subject,) = (t for n, t in get_type_hints(function).items() if n != "return")
    return Rule(
        id=f"{group}/{name}", title=title, reason=reason, remedy=remedy, blocks=blocks, subject=subject, function=function, leads=leads
    )


def _words(docstring: str, name: str) -> tuple[str, str, str]:
    title, _, rest = docstring.partition("\n\n")
    reason, found, remedy = rest.partition("Remedy:")
    if not title or not reason.strip() or not found or not remedy.strip():
        raise TypeError(f"the docstring of the rule `{name}` needs a title, a reason and a `Remedy:`")
    return " ".join(title.split()).rstrip("."), " ".join(reason.split()), " ".join(remedy.split())
