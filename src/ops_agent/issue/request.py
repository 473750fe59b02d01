"""The cleaned text of an issue as a Request: sections by heading (English and Portuguese), criteria with stable ids."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ops_agent.model.work_item import Criterion, Request

# Markdown of an issue cut into sections by heading, and a section into items: list entries, table rows, or paragraphs.
#
# A line-by-line reading that never fails: what it does not know is description. Linear in the text's length.


class Section(Enum):
    """What a heading announces; the value holds every wording that we know, without accents and in lower case."""

    DESCRIPTION = (
        "description, context, background, summary, overview, goal, objective, problem, "
        "descricao, contexto, resumo, objetivo, visao geral, problema"
    )
    STORIES = (
        "user stories, user story, stories, historias de usuario, historia de usuario, historias do usuario, "
        "historia do usuario, historias"
    )
    CRITERIA = (
        "acceptance criteria, acceptance criterion, acceptance, criteria, definition of done, done when, "
        "criterios de aceite, criterio de aceite, criterios de aceitacao, criterio de aceitacao, criterios, "
        "definicao de pronto"
    )
    NOTES = (
        "notes, note, technical notes, feasibility, feasibility notes, feasibility and notes, data notes, infra notes, "
        "infrastructure notes, data/infra notes, data and infra notes, constraints, dependencies, risks, out of scope, "
        "notas, notas tecnicas, observacoes, viabilidade, restricoes, dependencias, riscos, fora do escopo, fora de "
        "escopo"
    )
    ASSUMPTIONS = "assumptions, assumption, premissas, premissa, suposicoes, hipoteses"
    REFERENCES = "references, reference, links, related, see also, referencias, referencia, links uteis, veja tambem"


_BY_WORDING = {wording: section for section in Section for wording in section.value.split(", ")}
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(?:={2,}|-{2,})[ \t]*")
_BOLD = re.compile(r" {0,3}(?:\*\*|__)([^*_\n]{1,80})(?:\*\*|__)[ \t]*:?[ \t]*(.*)")
_COLON = re.compile(r" {0,3}([^:\n]{1,60}):[ \t]*")
_FENCE = re.compile(r" {0,12}(`{3,}|~{3,})")
_ITEM = re.compile(r"([ \t]*)(?:[-*+]|[0-9]{1,9}[.)])[ \t]+(.*)")
_TASK = re.compile(r"\[([ xX])\](?:[ \t]+|$)(.*)", re.DOTALL)
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_ROW_MARK = re.compile(r"(?:ac|ca|#|no\.?|us)?[ \t-]*[0-9]{0,4}[.)]?", re.IGNORECASE)


@dataclass(slots=True)
class Block:
    """The lines under one heading. `level` is the heading's; 7 for a line in bold or with a colon that serves as one."""

    section: Section
    heading: str
    level: int
    lines: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One list entry, table row or paragraph."""

    text: str
    is_task: bool = False
    is_done: bool = False


def split_sections(text: str) -> list[Block]:
    """Blocks in order; the text before the first known heading, and unknown headings outside a section, are
    description.
    """
    lines = text.split("\n")
    block = Block(Section.DESCRIPTION, "", 0, [])
    blocks = [block]
    fence = ""
    skip = False
    for index, line in enumerate(lines):
        if skip:
            skip = False
            continue
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            following = lines[index + 1] if index + 1 < len(lines) else ""
            found = _heading(line, following)
            if found is not None:
                title, level, rest, underlined = found
                section = _BY_WORDING.get(_wording(title))
                skip = underlined
                if section is None and block.section is not Section.DESCRIPTION and level > block.level:
                    block.lines.append(f"{'#' * min(level, 6)} {title}")
                    continue
                if section is None and level == 7:
                    block.lines.append(line)
                    skip = False
                    continue
                heading = "" if section is not None else title
                block = Block(section or Section.DESCRIPTION, heading, level, [rest] if rest else [])
                blocks.append(block)
                continue
        block.lines.append(line)
    return blocks


def text_of(block: Block) -> str:
    """The block's text as it is, under its heading when the heading is not one of the known ones."""
    body = "\n".join(block.lines).strip()
    if not block.heading:
        return body
    return f"{block.heading}\n{body}" if body else ""


def items_of(block: Block) -> tuple[str, list[Item]]:
    """The lead-in before a list ("... must hold:"), then list entries, table rows and paragraphs in order.

    A deeper heading comes before each item under it, as `heading: item`.
    """
    items: list[Item] = []
    intro = under = ""
    chunks = list(_chunks(block.lines))
    for position, (kind, text) in enumerate(chunks):
        if kind == "heading":
            under = text
            continue
        following = chunks[position + 1][0] if position + 1 < len(chunks) else ""
        if kind == "paragraph" and text.endswith(":") and following in ("item", "row") and not items:
            intro = text
            continue
        task = _TASK.fullmatch(text)
        words = (task[2] if task else text).strip()
        if words:
            full = f"{under}: {words}" if under else words
            items.append(
                Item(
                    text=full, is_task=task is not None and kind == "item", is_done=task is not None and task[1] != " "
                )
            )
    return intro, items


def _heading(line: str, following: str) -> tuple[str, int, str, bool] | None:
    """(title, level, text after it on the line, whether `following` is its underline), or None."""
    if atx := _ATX.fullmatch(line):
        return _plain(atx[2]), len(atx[1]), "", False
    if line.strip() and _UNDERLINE.fullmatch(following) and not _ITEM.match(line) and "|" not in line:
        return _plain(line), 1 if "=" in following else 2, "", True
    for pattern in (_BOLD, _COLON):
        found = pattern.fullmatch(line)
        if found and (_wording(found[1]) in _BY_WORDING):
            return _plain(found[1]), 7, found[2] if pattern is _BOLD else "", False
    return None


def _plain(title: str) -> str:
    return title.strip().strip("*_#").strip().rstrip(":").strip()


def _wording(title: str) -> str:
    """`title` without accents, emoji, numbering, brackets and punctuation around it, in lower case."""
    bare = "".join(c for c in unicodedata.normalize("NFD", title.casefold()) if unicodedata.category(c)[0] != "M")
    bare = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", bare.replace("&", " and "))
    return re.sub(r"\s+", " ", re.sub(r"^[^a-z]+|[^a-z]+$", "", bare))


def _chunks(lines: list[str]) -> Iterator[tuple[str, str]]:
    """(kind, text): item, row, paragraph or heading. Lines under a list entry belong to it, a code fence to what it
    stands in.
    """
    kind, held, indent, fence = "", list[str](), 0, ""
    table = _table_lines(lines)
    for index, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence or mark:
            held.append(line.rstrip())
            kind = kind or "paragraph"
            if not fence and mark:
                fence = mark[1]
            elif mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        item, atx = _ITEM.fullmatch(line), _ATX.fullmatch(line)
        width = len(line) - len(line.lstrip(" \t"))
        deeper = kind == "item" and width > indent + 1
        starts = atx or index in table or (item and not deeper)
        if held and (
            starts
            or (not line.strip() and kind == "paragraph")
            or (kind == "item" and not deeper and line.strip() and held[-1] == "")
        ):
            yield kind, "\n".join(held).strip()
            kind, held = "", []
        if atx:
            yield "heading", _plain(atx[2])
        elif index in table:
            if table[index]:
                yield "row", table[index]
        elif item and not deeper:
            kind, held, indent = "item", [item[2]], width
        elif line.strip():
            kind = kind or "paragraph"
            held.append(line.strip())
        elif held:
            held.append("")
    if held:
        yield kind, "\n".join(held).strip()


def _table_lines(lines: list[str]) -> dict[int, str]:
    """Line number -> text of the table row there; empty for a header and its rule."""
    found: dict[int, str] = {}
    inside = False
    for index, line in enumerate(lines):
        if inside and "|" in line and line.strip():
            found[index] = _row(line)
        elif index and "|" in lines[index - 1] and "|" in line and _RULE.fullmatch(line):
            inside = True
            found[index - 1] = found[index] = ""
        else:
            inside = False
    return found


def _row(line: str) -> str:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    words = [cell for cell in cells if cell and not _ROW_MARK.fullmatch(cell)]
    return " | ".join(words)


_PLACEHOLDER = re.compile(
    r"[\W_]*(?:no response|tbd|todo|n/?a|none|nothing|to be defined|a definir|nenhum[ao]?|sem resposta)[\W_]*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_FEWEST_WORDS = 3


def parse_request(text: str) -> Request:
    """`text` is cleaned Markdown (see cleaning.py). Headings may come in any order and level, or be missing: then all
    is description.

    Criteria become AC1, AC2, ... in order of appearance. Without a criteria section the task list items of the whole
    text are the criteria.
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
        criteria=tuple(
            Criterion(id=f"AC{number}", text=item.text, done=item.is_done) for number, item in enumerate(kept, 1)
        ),
        notes=listed(Section.NOTES) + tuple(intros),
        assumptions=listed(Section.ASSUMPTIONS),
        references=listed(Section.REFERENCES),
    )


def missing(request: Request, removed: dict[str, int] | None = None) -> tuple[str, ...]:
    """Questions to the author when there is nothing to work on; empty when there is. `removed` is what cleaning took
    out.
    """
    said = [
        request.description,
        *request.user_stories,
        *(criterion.text for criterion in request.criteria),
        *request.notes,
    ]
    if sum(len(_WORD.findall(part)) for part in said) >= _FEWEST_WORDS:
        return ()
    questions = [
        (
            "What should exist or change: which AWS resources, Terraform or workflows, for which service, and in which "
            "environments?"
        ),
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
