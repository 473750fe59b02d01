"""The cleaned text of an issue as a Request: sections by heading (English and Portuguese), criteria with stable ids.

`parse_request` cuts the text into blocks by heading, and a block into items: list entries, table rows and paragraphs.
A line-by-line reading that never fails: what it does not know is description. Linear in the text's length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from ops_agent.model.work_item import Criterion, Request


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
_QUOTE = re.compile(r" {0,3}>")
_TASK = re.compile(r"\[([ xX])\](?:[ \t]+|$)(.*)", re.DOTALL)
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_ROW_MARK = re.compile(r"(?:ac|ca|#|no\.?|us)?[ \t-]*[0-9]{0,4}[.)]?", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"[\W_]*(?:no response|tbd|todo|n/?a|none|nothing|to be defined|a definir|nenhum[ao]?|sem resposta)[\W_]*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_FEWEST_WORDS = 3
_LISTED = ("item", "row")


@dataclass(slots=True)
class _Block:
    """The lines under one heading; its `title` when the heading is not a known one."""

    section: Section
    title: str
    level: int
    lines: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    text: str
    kind: str
    is_task: bool
    is_done: bool


def parse_request(text: str) -> Request:
    """`text` is cleaned Markdown (visible_text.clean). Headings may come in any order and level, or be missing: then
    all is description.

    Criteria are items of lists and rows of tables; they become AC1, AC2, ... in order of appearance. Without such a
    section the task list items of the whole text are the criteria. A quotation or a loose paragraph between criteria
    is none: `beside_criteria` holds it as it is.
    """
    read = [(block, *_items_of(block)) for block in _blocks(text)]
    held = [item for block, _, items in read if block.section is Section.CRITERIA for item in items]
    criteria = [item for item in held if item.kind in _LISTED]
    if not criteria:
        criteria = [item for _, _, items in read for item in items if item.is_task]

    def listed(section: Section) -> tuple[str, ...]:
        found = [item.text for block, _, items in read if block.section is section for item in items]
        return tuple(text for text in found if not _is_placeholder(text))

    described = [_text_of(block) for block, _, _ in read if block.section is Section.DESCRIPTION]
    intros = [intro for block, intro, _ in read if block.section is not Section.DESCRIPTION and intro]
    kept = [item for item in criteria if not _is_placeholder(item.text)]
    return Request(
        description="\n\n".join(part for part in described if part and not _is_placeholder(part)),
        user_stories=listed(Section.STORIES),
        criteria=tuple(
            Criterion(id=f"AC{number}", text=item.text, done=item.is_done) for number, item in enumerate(kept, 1)
        ),
        beside_criteria=tuple(i.text for i in held if i.kind not in _LISTED and not _is_placeholder(i.text)),
        notes=listed(Section.NOTES) + tuple(intros),
        assumptions=listed(Section.ASSUMPTIONS),
        references=listed(Section.REFERENCES),
    )


def missing(request: Request, removed: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """Questions to the author when there is nothing to work on; empty when there is. `removed` is what cleaning took
    out.
    """
    criteria = (criterion.text for criterion in request.criteria)
    said = [request.description, *request.user_stories, *criteria, *request.beside_criteria, *request.notes]
    if sum(len(_WORD.findall(part)) for part in said) >= _FEWEST_WORDS:
        return ()
    questions = [
        "What should exist or change (AWS resources, Terraform, workflows), for which service, in which environments?",
        "How will you see that it is done? Please write it as acceptance criteria, one list item each.",
    ]
    if removed:
        sorts = ", ".join(f"{count} {sort}" for sort, count in sorted(removed.items()))
        questions.append(
            f"The issue's text held elements that a reader does not see ({sorts}), which are never read: can you write "
            "it as plain text?"
        )
    return tuple(questions)


def _is_placeholder(text: str) -> bool:
    return not re.search(r"\w", text) or _PLACEHOLDER.fullmatch(text) is not None


def _blocks(text: str) -> list[_Block]:
    """Blocks in order; the text before the first known heading, and unknown headings outside a section, are
    description.
    """
    lines = text.split("\n")
    block = _Block(Section.DESCRIPTION, "", 0, [])
    blocks = [block]
    fence, is_underline = "", False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if is_underline:
            is_underline = False
            continue
        in_code, fence = bool(fence), _fence_after(line, fence)
        heading = None if in_code or fence else _heading(line, following)
        if heading is None:
            block.lines.append(line)
            continue
        title, level, rest, is_underline = heading
        section = _BY_WORDING.get(_wording(title))
        if section is None and block.section is not Section.DESCRIPTION and level > block.level:
            block.lines.append(f"{'#' * level} {title}")
            continue
        shown = "" if section is not None else title
        block = _Block(section or Section.DESCRIPTION, shown, level, [rest] if rest else [])
        blocks.append(block)
    return blocks


def _fence_after(line: str, fence: str) -> str:
    """The mark of the code fence that is open after `line`, given the one before it; empty for none."""
    mark = _FENCE.match(line)
    if not mark or not fence:
        return mark[1] if mark else fence
    return "" if mark[1].startswith(fence) and not line.strip().strip(fence[0]) else fence


def _text_of(block: _Block) -> str:
    """The block's text as it is, under its heading when the heading is not one of the known ones."""
    body = "\n".join(block.lines).strip()
    if not block.title:
        return body
    return f"{block.title}\n{body}" if body else ""


def _items_of(block: _Block) -> tuple[str, list[_Item]]:
    """The lead-in before a list ("... must hold:"), then list entries, table rows, paragraphs and quotations in order.

    A deeper heading comes before each item under it, as `heading: item`.
    """
    items: list[_Item] = []
    intro = under = ""
    chunks = list(_chunks(block.lines))
    for position, (kind, text) in enumerate(chunks):
        if kind == "heading":
            under = text
            continue
        following = chunks[position + 1][0] if position + 1 < len(chunks) else ""
        if kind == "paragraph" and text.endswith(":") and following in _LISTED and not items:
            intro = text
            continue
        task = _TASK.fullmatch(text)
        words = (task[2] if task else text).strip()
        if words:
            full = f"{under}: {words}" if under else words
            is_done = task is not None and task[1] != " "
            items.append(_Item(text=full, kind=kind, is_task=task is not None and kind == "item", is_done=is_done))
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
    """(kind, text): item, row, paragraph, quotation or heading. Lines under a list entry belong to it, a code fence to
    what is around it. A quotation at the margin ends a list, as on GitHub's page.
    """
    kind, held, indent, fence = "", list[str](), 0, ""
    table = _table_lines(lines)
    for index, line in enumerate(lines):
        in_code, fence = bool(fence), _fence_after(line, fence)
        if in_code or fence:
            held.append(line.rstrip())
            kind = kind or "paragraph"
            continue
        item, atx, is_blank = _ITEM.fullmatch(line), _ATX.fullmatch(line), not line.strip()
        width = len(line) - len(line.lstrip(" \t"))
        is_deeper = kind == "item" and width > indent + 1
        opens_quote = kind != "quotation" and not is_deeper and _QUOTE.match(line)
        starts = atx or index in table or (item and not is_deeper) or opens_quote
        ends = is_blank if kind in ("paragraph", "quotation") else held[-1:] == [""] and not is_blank and not is_deeper
        if held and (starts or ends):
            yield kind, "\n".join(held).strip()
            kind, held = "", []
        if atx:
            yield "heading", _plain(atx[2])
        elif index in table:
            if table[index]:
                yield "row", table[index]
        elif item and not is_deeper:
            kind, held, indent = "item", [item[2]], width
        elif not is_blank:
            kind = kind or ("quotation" if opens_quote else "paragraph")
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
        if _QUOTE.match(line):
            inside = False
        elif inside and "|" in line and line.strip():
            found[index] = _row(line)
        elif (
            index
            and "|" in lines[index - 1]
            and not _QUOTE.match(lines[index - 1])
            and "|" in line
            and _RULE.fullmatch(line)
        ):
            inside = True
            found[index - 1] = found[index] = ""
        else:
            inside = False
    return found


def _row(line: str) -> str:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    words = [cell for cell in cells if cell and not _ROW_MARK.fullmatch(cell)]
    return " | ".join(words)
