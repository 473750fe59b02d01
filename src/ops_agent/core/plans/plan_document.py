"""The JSON of a plan, read piece by piece: no second copy as text, no objects for what nobody asks about, and its hash on the way.

`json.loads` builds the whole document at once: five times its size in memory, most of it for parts that are not used (`planned_values`,
`prior_state`). Here a window of text slides over the bytes; a long list comes in batches, a part that is not wanted is only checked.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ops_agent.errors import ToolchainError

WINDOW: Final = 200_000
"""Characters that are held as text; a single value may need more. Small, so that what is decoded stays in the processor's cache."""
_LEAST_BATCH: Final = 4_000
_NUMBER_TAIL: Final = 2
"""`1` may be the beginning of `1e+5`: so many characters more must be seen before a number is known to end."""
_BLANKS = re.compile(r"[ \t\n\r]*")
_FIRST_NAME = re.compile(r'\{"[^"\\]{1,60}"')


class PlanDocument:
    """One pass over the top level of a JSON object: `members`, and for each name one of `value`, `elements` or `skip`.

    `canonical_hash` is known after the pass. Raises ToolchainError for what is not one JSON object in UTF-8 with each name once.
    """

    def __init__(self, document: bytes, unhashed: frozenset[str] = frozenset()) -> None:
        self._bytes = memoryview(document)
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
        self._read = 0
        self._text = ""
        self._at = 0
        self._hashed_to = 0
        self._is_hashing = False
        self._unhashed = unhashed
        self._digest = hashlib.sha256()

    @property
    def canonical_hash(self) -> str:
        """SHA-256 over the JSON as it was written, without the `unhashed` members: two plans of the same change have the same hash.

        The engines write one line, their keys in a fixed order and no key twice. By hand, for `timestamp`, which no list holds after them:
        `terraform show -json FILE | sed -E 's/^(.*),"timestamp":"[^"]*"/\\1/' | sha256sum`.
        """
        return self._digest.hexdigest()

    def members(self) -> Iterator[str]:
        """The names of the document's members, in order. The value of each must be taken before the next is asked for."""
        if self._next() != "{":
            raise ToolchainError("the plan's JSON is not an object")
        self._at += 1
        seen: set[str] = set()
        opened = "{"
        while (mark := self._next()) != "}":
            if seen:
                self._expect(mark, ",")
            name = self._name()
            if name in seen:
                raise ToolchainError(f"the plan's JSON names `{name[:60]}` twice")
            seen.add(name)
            if name not in self._unhashed:
                self._feed(f"{opened}{json.dumps(name, ensure_ascii=False)}:")
                opened = ","
            self._hashed_to, self._is_hashing = self._at, name not in self._unhashed
            yield name
            self._flush()
            self._is_hashing = False
        self._at += 1
        if self._next():
            raise self._broken()
        self._feed("}\n" if opened == "," else "{}\n")

    def value(self) -> Any:
        """The member's value, whole."""
        return self._decoded()

    def elements(self, name: str) -> Iterator[Any]:
        """The elements of the member's list, a few of them in memory at a time; none for null. `name` is for the error."""
        if self._next() == "[":
            yield from self._list(wanted=True)
        elif self._decoded():
            raise ToolchainError(f"the plan's `{name}` are not a list")

    def skip(self) -> None:
        """The member's value is read, checked and hashed, and not kept."""
        opening = self._next()
        if opening not in ("{", "[") or self._is_small():
            self._decoded()
        elif opening == "[":
            for _ in self._list(wanted=False):
                pass
        else:
            self._at += 1
            mark, first = self._next(), True
            while mark != "}":
                if not first:
                    self._expect(mark, ",")
                self._name()
                self.skip()
                mark, first = self._next(), False
            self._at += 1

    def _is_small(self) -> bool:
        """Whether the next value ends within a few thousand characters: then it is not worth to be taken apart."""
        try:
            self._scan(self._text[self._at : self._at + _LEAST_BATCH], 0)
        except ValueError:
            return False
        return True

    def _list(self, *, wanted: bool) -> Iterator[Any]:
        self._at += 1
        size = WINDOW
        mark = self._next()
        while mark != "]":
            found = self._batch(size)
            size = min(WINDOW, size * 2) if found else max(_LEAST_BATCH, size // 2)
            if found or wanted:
                yield from found or [self._decoded()]
            else:
                self.skip()
            mark = self._next()
            if mark != "]":
                self._expect(mark, ",")
                mark = self._next()
                if mark == "]":
                    raise self._broken()
        self._at += 1

    def _batch(self, size: int) -> list[Any]:
        """As many elements as end within `size` characters, decoded in one go: they share the strings of their keys. None: cannot be told.

        The cut is a guess, before the last object that begins as this one does. It needs no proof: what decodes as a list when it stands in
        brackets is a list, and when the text's own bracket closes it first, it is the rest of this one.
        """
        while len(self._text) - self._at < size and self._more(size):
            pass
        first = _FIRST_NAME.match(self._text, self._at)
        cut = self._text.rfind("}," + first.group(), self._at, self._at + size) if first else -1
        if cut < 0:
            return []
        try:
            found, end = self._scan(f"[{self._text[self._at : cut + 1]}]", 0)
        except ValueError:
            return []
        self._at += end - 2
        return list(found)

    def _decoded(self) -> Any:
        """The next value, however long it is."""
        self._next()
        while True:
            held = len(self._text) - self._at
            try:
                value, end = self._scan(self._text, self._at)
            except ValueError:
                if not self._more(max(WINDOW, held)):
                    raise self._broken() from None
                continue
            if end + _NUMBER_TAIL < len(self._text) or not self._more(WINDOW):
                self._at = end
                return value

    def _name(self) -> str:
        name = self._decoded() if self._next() == '"' else None
        if not isinstance(name, str):
            raise self._broken()
        self._expect(self._next(), ":")
        return name

    def _next(self) -> str:
        """The next character that is not blank, which is not taken; empty at the end."""
        while True:
            found = _BLANKS.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(WINDOW):
                return ""

    def _expect(self, found: str, wanted: str) -> None:
        if found != wanted:
            raise self._broken()
        self._at += 1

    def _more(self, size: int) -> bool:
        """Slide the window: about `size` more characters after what is not taken yet; False at the document's end."""
        if self._read >= len(self._bytes):
            return False
        self._flush()
        piece = self._bytes[self._read : self._read + size]
        self._read += len(piece)
        try:
            text = self._utf8.decode(piece, final=self._read >= len(self._bytes))
        except UnicodeDecodeError:
            raise self._broken() from None
        self._text = self._text[self._at :] + text
        self._at = self._hashed_to = 0
        return True

    def _flush(self) -> None:
        if self._is_hashing and self._hashed_to < self._at:
            self._feed(self._text[self._hashed_to : self._at])
        self._hashed_to = self._at

    def _feed(self, text: str) -> None:
        self._digest.update(text.encode(errors="surrogatepass"))

    def _broken(self) -> ToolchainError:
        return ToolchainError(f"the plan's JSON cannot be read: broken at about byte {self._read} of {len(self._bytes)}")


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
