"""Review rounds as people read them: the list in our pull request's text, and the answer in a thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from ops_agent.model.review import ReviewRound
from ops_agent.pages.fragments import counted, joined
from ops_agent.text.markdown import cell, code, neutralise

TITLE: Final = "## Review rounds"
THIS_COMMIT: Final = "(the commit of this round)"
"""Stands for the commit until it is made."""
_HEAD: Final = "| Round | Asked by | Asked for | What was done | Commit |\n|---|---|---|---|---|"
_ROW: Final = re.compile(r"\| [0-9]+ \| [^\n]{1,2000} \|")
_ACTS: Final = re.compile(r"[#@<]|://|gh-", re.IGNORECASE)
"""What could close or mention something in a row that people wrote."""
_PEOPLE: Final = "Commits of people on this branch"
_MAX_ROUNDS: Final = 15
_MAX_FILES: Final = 8
_MAX_OTHERS: Final = 8
_MAX_REPLY: Final = 3_000


def rounds_section(
    earlier: str,
    asked: ReviewRound,
    approved_by: str,
    edited: Iterable[str],
    answered: int,
    others: tuple[str, ...],
    redact: Callable[[str], str],
    *,
    was_edited: bool,
) -> str:
    """The list, with the rows of `earlier`, the text as it is now. `edited` are the paths that this round's commit
    changes, `others` are commits of people on the branch; `was_edited`: people changed the text, which is written anew.
    """
    paths = [code(redact(path)) for path in edited]
    shown = ", ".join(paths[:_MAX_FILES]) + (f" and {len(paths) - _MAX_FILES} more" if len(paths) > _MAX_FILES else "")
    done = [f"changed {shown}" if paths else "changed no file"]
    done += [f"answered {counted(answered, 'thread')}"] if answered else []
    wanted = [counted(len(asked.reviews), "review")] if asked.reviews else []
    wanted += [counted(len(asked.threads), "thread")] if asked.threads else []
    wanted += [f"{counted(asked.left_out, 'comment')} left out, edited after the approval"] if asked.left_out else []
    who = ", ".join(cell(login) for login in asked.asked_by or (approved_by,))
    row = (
        f"| {asked.number} | {who} | {', '.join(wanted) or 'the issue, approved again'} | {'; '.join(done)} "
        f"| {THIS_COMMIT if paths else 'none'} |"
    )
    known = [
        line
        for line in earlier.partition(f"\n{TITLE}\n")[2].split("\n")
        if _ROW.fullmatch(line) and not _ACTS.search(line)
    ]
    rows = "\n".join([_HEAD, *known[-_MAX_ROUNDS:], row])
    return joined(
        TITLE,
        rows,
        commits_of_people(others, redact),
        "Somebody had edited this text; it was written anew. Its history has what it said." if was_edited else "",
    )


def commits_of_people(others: tuple[str, ...], redact: Callable[[str], str]) -> str:
    """Which commits on the branch are not ours; empty when all are."""
    theirs = ", ".join(cell(redact(one)) for one in others[:_MAX_OTHERS])
    more = f" and {len(others) - _MAX_OTHERS} more" if len(others) > _MAX_OTHERS else ""
    return f"{_PEOPLE}: {theirs}{more}. Plans include them; the agent's words do not." if others else ""


def reply_text(answer: str, run_url: str, redact: Callable[[str], str]) -> str:
    """The agent's answer in a thread of a review."""
    by = f" in [this run]({run_url})" if run_url else ""
    kept = neutralise(redact(answer).strip()[:_MAX_REPLY])
    return f"{kept}\n\n<sub>The agent's words{by}; {THIS_COMMIT}.</sub>"
