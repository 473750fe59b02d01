"""Shell scripts as logical lines, words and variables: enough to judge them line by line, without running anything."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice, product

COMPUTED = "\x00"
"""Replaces an unknown value in a line."""
MAX_CHARACTERS = 20_000
"""Of a script that is read as a shell reads it."""
# No possessive quantifier over alternatives: Python before 3.11.5 matches those wrongly (python/cpython#106052).
_TOKEN = re.compile(
    r"""(?P<joins>\\\n[ \t]*|(?<=\|)[ \t]*\n[ \t]*|(?<=&&)[ \t]*\n[ \t]*)|\\.|'[^']*'|"[^"\\]*+(?:\\.[^"\\]*+)*\""""
    r"""|(?P<comment>(?<!\S)\#[^\n]*)|(?<!<)<<-?[ \t]*(?P<quote>['"]?)(?P<here>[A-Za-z_]\w*)(?P=quote)|(?P<ends>\n)""",
    re.DOTALL,
)
_VARIABLE = re.compile(
    r"\$\{\{(?P<expression>[^}]*+(?:\}(?!\})[^}]*+)*)(?:\}\}|\}?\Z)"
    r"|\$\{(?P<braced>[A-Za-z_]\w*)[^}]*+(?:\}|\Z)|\$(?P<plain>[A-Za-z_]\w*)|\$[0-9*@#?!$-]|\$\{[^}]*+(?:\}|\Z)"
)
_WORD = re.compile(
    r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\|&;<>()]|['"])+|[0-9]*[<>]+[&|]?|\|\|?&?|&&?|;+|[()]""", re.DOTALL
)
_BEFORE_A_NAME = re.compile(r"[A-Za-z_]\w*(\[.*\])?\+?=|(?:if|while|until|then|do|else|elif|!|\{)\Z")
_MAX_FORMS = 16


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: continued lines and quotations over several lines joined, without its comment.

    `number` is the script's line that it begins on, from 0. `is_text`: a line of a here-document.
    """

    number: int
    text: str
    is_text: bool = False

    @property
    def plain(self) -> str:
        """As a shell reads `c'u'rl` and `"terraform" apply`: without quotes and needless backslashes."""
        return re.sub(r"\\(?=[A-Za-z])|[\"']", "", self.text)


@lru_cache(maxsize=256)
def script_lines(script: str) -> tuple[Line, ...]:
    """The logical lines of a script that are not blank, and the lines of its here-documents."""
    text = script.replace("\r", "") + "\n"
    raw = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in raw)]
    ends: dict[str, list[int]] = {}
    for number, line in enumerate(raw):
        ends.setdefault(line.strip(), []).append(number)
    found: list[Line] = []
    pieces: list[str] = []
    words: list[str] = []
    first, number, position = 0, 0, 0
    while token := _TOKEN.search(text, position):
        pieces.append(text[position : token.start()])
        position = token.end()
        number += token[0].count("\n")
        if token["joins"]:
            pieces.append(" ")
        elif not token["ends"] and not token["comment"]:
            pieces.append(token[0])
            words += [token["here"]] if token["here"] else []
        elif token["ends"]:
            found.append(Line(first, "".join(pieces).strip()))
            for word in words:
                after = ends.get(word, [])
                if (here := bisect_left(after, number)) < len(after):
                    found += [Line(n, raw[n].strip(), is_text=True) for n in range(number, after[here])]
                    number = after[here] + 1
                    position = starts[number]
            pieces, words, first = [], [], number
    return tuple(line for line in found if line.text)


def forms(line: str, values: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The line with known variables written out, in each combination of their values; what is not known becomes
    `COMPUTED`.
    """
    names = dict.fromkeys(n for found in _VARIABLE.finditer(line) if (n := _name(found)) in values)
    choices = product(*(values[n] for n in names))

    def form(values: Mapping[str, str]) -> str:
        return _VARIABLE.sub(lambda found: values.get(_name(found), COMPUTED), line)

    return [form(dict(zip(names, chosen, strict=True))) for chosen in islice(choices, _MAX_FORMS)]


def _name(found: re.Match[str]) -> str:
    return (found["braced"] or found["plain"] or (found["expression"] or "").strip()).removeprefix("env.")


def commands_of(text: str) -> Iterator[list[str]]:
    """The words of each command of a line, as written; assignments before it and redirections are left out."""
    is_target, word, words = False, "", list[str]()
    is_list = False
    for token in _WORD.finditer(text):
        last, word = word, token[0]
        if word[0] in "|&;()":
            is_list = word == "(" and last.endswith("=")  # `names=($A $B)` is a list
            if words:
                yield words
            words = []
        elif word.strip("0123456789")[:1] in ("<", ">"):
            is_target = True
            continue
        elif not is_target and not is_list and (words or not _BEFORE_A_NAME.match(word)):
            words.append(word)
        is_target = False
    if words:
        yield words
