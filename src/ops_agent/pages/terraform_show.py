"""The text of `terraform show -no-color`, cut by resource and made into the lines of a `diff` block. Linear."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from ops_agent.text.markdown import inert

_HEADER = re.compile(r" {1,2}# (?=\S)")
_WORDS = re.compile(r" (?:will (?:be|no)|must be|has been|has (?:moved|changed)|is tainted|may have|should be)\b")
_MOVED: Final = " has moved to "
_SIGN = re.compile(r"( *)(-/\+|\+/-|[-+~])(?= |$)")
_HEREDOC = re.compile(r"(?:^| )<<-?([A-Z]+)(?: # forces replacement)?$")
_OUTPUT = re.compile(r" {2}[-+~] ([^ ]+) +=")
OUTPUTS: Final = "Changes to Outputs:"
_COLOURS: Final = {"+": "+", "-": "-", "~": "!", "-/+": "-", "+/-": "!"}
_DRIFT: Final = ("Note: Objects have changed", "Terraform detected the following changes made outside")
_PLANNED: Final = ("Terraform will perform", "Terraform used the selected", OUTPUTS)
_MAX_WORDS = 20


@dataclass(frozen=True, slots=True)
class ResourceText:
    """The lines of one resource, or of the outputs (`address` None); `drift`: it changed outside of Terraform."""

    address: str | None
    text: str
    drift: bool = False


def pieces_of(text: str, known: Collection[str]) -> tuple[ResourceText, ...]:
    """`text` by resource, in order, without the key of symbols and advice. `known`: the addresses in the plan's JSON.

    Terraform's own lines begin at the margin or, a resource's header, two columns in; user text is always further in.
    """
    return tuple(piece for piece in _pieces(text, known) if piece.text)


def outputs_in(text: str, names: Collection[str]) -> tuple[str, str] | None:
    """The piece of the outputs as two: those called `names`, and the others. None for any other text.

    An output's own line has its sign two columns in; whatever belongs to its value is further in.
    """
    title, *lines = text.split("\n")
    if title != OUTPUTS:
        return None
    parts: tuple[list[str], list[str]] = ([], [])
    current = parts[1]
    for line in lines:
        output = _OUTPUT.match(line)
        if output:
            current = parts[0] if output.group(1) in names else parts[1]
        current.append(line)
    named, others = ("\n".join([title, *part]) if part else "" for part in parts)
    return named, others


def as_diff(text: str) -> str:
    """`text` inert, each line's sign moved to the first column: `+` and `-` as they are, `!` for a change in place.

    A line of a heredoc is coloured by Terraform's own sign at its own column, never by what the line begins with.
    """
    return "\n".join(_diff_lines(inert(text).split("\n")))


def _pieces(text: str, known: Collection[str]) -> Iterator[ResourceText]:
    lines: list[str] = []
    address: str | None = None
    drift = inside = False
    for line in text.split("\n"):
        header = _HEADER.match(line)
        if header and not (lines and _HEADER.match(lines[-1])):
            yield ResourceText(address, "\n".join(lines).strip("\n"), drift)
            lines, inside = [line], True
            address = _address(line[header.end() :], known)
        elif line and line[0] != " " and not _SIGN.match(line):
            yield ResourceText(address, "\n".join(lines).strip("\n"), drift)
            drift = line.startswith(_DRIFT) or (drift and not line.startswith(_PLANNED))
            inside = line.startswith(OUTPUTS)
            lines, address = [line] if inside else [], None
        elif inside:
            lines.append(line)
    yield ResourceText(address, "\n".join(lines).strip("\n"), drift)


def _address(header: str, known: Collection[str]) -> str | None:
    """The known address that `header` begins with (a move: ends with). A key may hold Terraform's words."""
    for number, words in enumerate(_WORDS.finditer(header)):
        if number >= _MAX_WORDS:
            break
        if header[: words.start()] in known:
            return header[: words.start()]
        if header.startswith(_MOVED, words.start()) and header[words.start() + len(_MOVED) :] in known:
            return header[words.start() + len(_MOVED) :]
    return None


def _diff_lines(lines: list[str]) -> Iterator[str]:
    terminator: str | None = None
    column, around = 0, " "
    for line in lines:
        if terminator is not None:
            if line.startswith(terminator):
                terminator = None
                yield _coloured(line, around)
            elif line[column : column + 2] in ("+ ", "- ") and not line[:column].strip():
                yield _coloured(line[:column] + " " + line[column + 1 :], line[column])
            else:
                yield _coloured(line, around)
            continue
        sign = _SIGN.match(line)
        colour = _COLOURS[sign.group(2)] if sign else " "
        if "<<" in line and (heredoc := _HEREDOC.search(line)):
            start = len(line) - len(line.lstrip(" ")) + (2 if sign else 0)
            terminator, column = " " * start + heredoc.group(1), start + 2
            around = colour if colour in "+-" else " "
        if sign and line.startswith("-/+"):
            yield line
        elif sign and len(sign.group(2)) == 1:
            yield _coloured(line[: sign.end(1)] + " " + line[sign.end() :], colour)
        else:
            yield _coloured(line, colour)


def _coloured(line: str, colour: str) -> str:
    """`line` with `colour` in its first column, which is blank in all but Terraform's own lines at the margin."""
    return (colour + (line[1:] if line.startswith(" ") else line)).rstrip()
