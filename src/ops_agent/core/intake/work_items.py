"""The cleaned text of an issue as a Request: sections by heading (English and Portuguese), criteria with stable ids."""

from __future__ import annotations

import re

from ops_agent.core.intake.work_item_sections import Section, items_of, split_sections, text_of
from ops_agent.domain.work_item import Criterion, Request

_PLACEHOLDER = re.compile(
    r"[\W_]*(?:no response|tbd|todo|n/?a|none|nothing|to be defined|a definir|nenhum[ao]?|sem resposta)[\W_]*", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_FEWEST_WORDS = 3


def parse_request(text: str) -> Request:
    """`text` is cleaned Markdown (see cleaning.py). Headings may come in any order and level, or be missing: then all is description.

    Criteria become AC1, AC2, ... in order of appearance. Without a criteria section the task list items of the whole text are the criteria.
    """
    read = [(block, *items_of(block)) for block in split_sections(text)]
    criteria = [item for block, _, items in read if block.section is Section.CRITERIA for item in items]
    if not criteria:
        criteria = [item for _, _, items in read for item in items if item.is_task]

    def listed(section: Section) -> tuple[str, ...]:
        found = [item.text for block, _, items in read if block.section is section for item in items]
        return tuple(text for text in found if not _is_placeholder(text))

    described = [text_of(block) for block, _, _ in read if block.section is Section.DESCRIPTION]
    intros = [intro for block, intro, _ in read if block.section is not Section.DESCRIPTION and intro]
    kept = [item for item in criteria if not _is_placeholder(item.text)]
    return Request(
        description="\n\n".join(part for part in described if part and not _is_placeholder(part)),
        user_stories=listed(Section.STORIES),
        criteria=tuple(Criterion(id=f"AC{number}", text=item.text, done=item.is_done) for number, item in enumerate(kept, 1)),
        notes=listed(Section.NOTES) + tuple(intros),
        assumptions=listed(Section.ASSUMPTIONS),
        references=listed(Section.REFERENCES),
    )


def missing(request: Request, removed: dict[str, int] | None = None) -> tuple[str, ...]:
    """Questions to the author when there is nothing to work on; empty when there is. `removed` is what cleaning took out."""
    said = [request.description, *request.user_stories, *(criterion.text for criterion in request.criteria), *request.notes]
    if sum(len(_WORD.findall(part)) for part in said) >= _FEWEST_WORDS:
        return ()
    questions = [
        "What should exist or change: which AWS resources, Terraform or workflows, for which service, and in which environments?",
        "How will you see that it is done? Please write it as acceptance criteria, one list item each.",
    ]
    if sum((removed or {}).values()):
        sorts = ", ".join(f"{count} {sort}" for sort, count in sorted((removed or {}).items()))
        questions.append(
            f"The issue's text held elements that a reader does not see ({sorts}), which are never read: can you write it as plain text?"
        )
    return tuple(questions)


def _is_placeholder(text: str) -> bool:
    return not re.search(r"\w", text) or _PLACEHOLDER.fullmatch(text) is not None
