"""Shell text as lines, pipelines, commands and words: enough to see who gets which file, without running anything."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, product

COMPUTED = "\x00"
MOST_CHARACTERS = 20_000
"""Of a script that is read as a shell reads it."""
_COMMENT = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?P<quote>['"])|(?<!\S)(?P<comment>#.*)""")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_VARIABLE = re.compile(
    r"\$\{\{(?P<expression>(?:[^}]|\}(?!\}))*+)(?:\}\}|\}?\Z)|\$\{(?P<braced>[A-Za-z_]\w*)[^}]*+(?:\}|\Z)|\$(?P<plain>[A-Za-z_]\w*)"
    r"|\$[0-9*@#?!$-]|\$\{[^}]*+(?:\}|\Z)"
)
_WORD = re.compile(
    r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\|&;<>()]|['"])+|[0-9]*[<>]+[&|]?|\|\|?&?|&&?|;+|[()]""", re.DOTALL
)
_QUOTED = re.compile(r"""\$?(?:'([^']*)(?:'|\Z)|"((?:\\.|[^"\\])*+)(?:"|\\?\Z))""", re.DOTALL)
"""A quotation that does not end reaches to the end, so that nobody looks for its end again."""
_REDIRECT = re.compile(r"[0-9]*[<>]+[&|]?")
_ENDS_A_GROUP = frozenset({")", "}", "done", "fi", "esac"})
_MOST_FORMS = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line without its comment, and the here-document that it is given."""

    text: str
    body: str = ""


@dataclass(slots=True)
class Command:
    """`words` without quotes, `quoted` texts that may be scripts, files that it reads from and writes to."""

    words: list[str] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Pipeline:
    """Commands from left to right. `takes_all`: what stood before on this line, or in the loop, flows into it."""

    commands: list[Command] = field(default_factory=list)
    takes_all: bool = False


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


def plain_script(script: str) -> str:
    """Continued lines joined, quotes and needless backslashes gone: `c'u'rl` and `"terraform" apply` as a shell reads
    them.
    """
    return re.sub(r"\\(?=[A-Za-z])|[\"']", "", re.sub(r"\\\n\s*", " ", script))


@lru_cache(maxsize=256)
def logical_lines(script: str) -> list[Line]:
    """Continued lines joined, comments dropped, here-documents beside the command that reads them."""
    text = script.replace("\r", "").replace("\\\n", " ").replace("`\n", " ")
    raw = text.split("\n")
    ends: dict[str, list[int]] = {}
    for number, line in enumerate(raw):
        ends.setdefault(line.strip(), []).append(number)
    lines = [_without_comment(line) for line in raw]
    found: list[Line] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        while re.search(r"(\||&&)\s*$", line) and position < len(lines):
            line = f"{line} {lines[position]}"
            position += 1
        opened = _HEREDOC.search(line)
        body: list[str] = []
        if opened and "<<<" not in line:
            after = ends.get(opened[2], [])
            here = bisect_left(after, position)
            if here < len(after):
                end = after[here]
                body, position = raw[position:end], end + 1
                line = line[: opened.start()] + line[opened.end() :]
        if line.strip():
            found.append(Line(line, "\n".join(body)))
    return found


def _without_comment(line: str) -> str:
    """A `#` behind a quote that this line does not close stays: nobody knows whether it begins a comment."""
    for token in _COMMENT.finditer(line):
        if token["quote"]:
            return line
        if token["comment"] is not None:
            return line[: token.start()]
    return line


def forms(line: str, values: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The line with known variables written out, in each combination of their values; what is not known becomes a mark."""
    names = dict.fromkeys(n for found in _VARIABLE.finditer(line) if (n := _name(found)) in values)
    choices = product(*(values[n] for n in names))
    taken = [dict(zip(names, chosen, strict=True)) for chosen in islice(choices, _MOST_FORMS)]
    return [_VARIABLE.sub(lambda found, chosen=chosen: chosen.get(_name(found), COMPUTED), line) for chosen in taken]  # type: ignore[misc]


def _name(found: re.Match[str]) -> str:
    return (found["braced"] or found["plain"] or (found["expression"] or "").strip()).removeprefix("env.")


@lru_cache(maxsize=4096)
def substitutions(text: str) -> list[tuple[int, int, str]]:
    """The outermost `$( )`, `<( )` and backquotes: start, end, inside. Unclosed ones reach to the end."""
    found, depth, start, opened = [], 0, 0, ""
    position = 0
    while position < len(text):
        two = text[position : position + 2]
        character = text[position]
        if opened == "" and (two in ("$(", "<(", ">(") or character == "`"):
            opened, start, depth = character if character == "`" else "(", position, 1
            position += 1 if character == "`" else 2
            continue
        if opened:
            depth += (opened == "(") * ((character == "(") - (character == ")")) - (opened == "`" and character == "`")
            if depth == 0:
                found.append((start, position + 1, text[start + (1 if opened == "`" else 2) : position]))
                opened = ""
        position += 1
    if opened:
        found.append((start, len(text), text[start + (1 if opened == "`" else 2) :]))
    return found


@lru_cache(maxsize=4096)
def pipelines(text: str) -> list[Pipeline]:
    """The pipelines of one line, in order; a loop's or group's output belongs to the next one (`takes_all`)."""
    found = [Pipeline([Command()])]
    into: list[str] | None = None
    last = ""
    for token in _WORD.finditer(text):
        raw = token[0]
        command = found[-1].commands[-1]
        if raw in ("|", "|&"):
            takes_all = found[-1].takes_all or last in _ENDS_A_GROUP
            found[-1].commands.append(Command())
            found[-1].takes_all = takes_all
        elif raw[0] in "|&;()":
            found.append(Pipeline([Command()]))
        elif _REDIRECT.fullmatch(raw):
            into = command.reads if "<" in raw else command.writes
            last = raw
            continue
        elif into is not None:
            into.append(unquoted(raw))
        else:
            command.words.append(unquoted(raw))
            command.quoted += [t for t in _texts_of(raw) if re.search(r"[\s;|&<>(]", t)]
        into = None
        last = ")" if raw == ")" else unquoted(raw)
        if raw == ")" or last in _ENDS_A_GROUP:
            last = ")"
            if raw == ")":
                found[-1].commands[-1].words.append(")")
    return found


def unquoted(word: str) -> str:
    text = _QUOTED.sub(lambda q: q[1] if q[1] is not None else q[2], word)
    return (
        re.sub(r"\\(.)", r"\1", text.replace('"', "").replace("'", ""))
        if "/" in text or "\\" not in text
        else text.replace("\\", "/")
    )


def _texts_of(word: str) -> Iterator[str]:
    for quoted in _QUOTED.finditer(word):
        yield quoted[1] if quoted[1] is not None else re.sub(r'\\(["\\$`])', r"\1", quoted[2])
