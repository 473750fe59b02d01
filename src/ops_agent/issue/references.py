"""How a person names issues: `12`, `#12`, `12,14`, or the address of an issue of the same owner. Nothing else."""

from __future__ import annotations

import re

from ops_agent.model.errors import ConfigError
from ops_agent.model.event import IssueRef

MAX_ISSUES = 100
_NUMBER = re.compile(r"#?([1-9][0-9]{0,8})")
_ADDRESS = re.compile(r"/([A-Za-z0-9-]{1,39})/([A-Za-z0-9._-]{1,100})/issues/([1-9][0-9]{0,8})")
_FORMS = "write an issue's number (12 or #12), several by comma (12,14), or the address of an issue of this owner"


def parse_references(text: str, repository: str, server_url: str) -> tuple[IssueRef, ...]:
    """Issues named by `text`, in its order; a bare number is an issue of `repository` (`owner/name`).

    `server_url` is GitHub's address without a slash at its end. Raises ConfigError for everything else, and for an
    issue named twice.
    """
    refs: list[IssueRef] = []
    for part in text.split(","):
        ref = _reference(part.strip(" \t"), repository, server_url)
        if ref in refs:
            raise ConfigError(f"issue_number names {ref} twice", hint="Name each issue once.")
        refs.append(ref)
    if len(refs) > MAX_ISSUES:
        raise ConfigError(
            f"issue_number names {len(refs)} issues", hint=f"Name at most {MAX_ISSUES} issues for one run."
        )
    return tuple(refs)


def _reference(word: str, repository: str, server_url: str) -> IssueRef:
    owner = repository.partition("/")[0]
    if number := _NUMBER.fullmatch(word):
        return IssueRef(repository=repository, number=int(number[1]))
    if not word:
        raise ConfigError("issue_number is empty, or has an empty entry", hint=f"Please {_FORMS}.")
    if word.startswith(server_url + "/") and (address := _ADDRESS.fullmatch(word[len(server_url) :])):
        if address[1].lower() != owner.lower():
            raise ConfigError(
                f"issue_number names an issue of {address[1]}, this run belongs to {owner}", hint=f"Please {_FORMS}."
            )
        named = f"{address[1]}/{address[2]}"
        return IssueRef(repository=repository if named.lower() == repository.lower() else named, number=int(address[3]))
    shown = ascii(word if len(word) <= 60 else word[:57] + "...")
    raise ConfigError(f"issue_number holds {shown}, which names no issue", hint=f"Please {_FORMS}.")
