"""Tools that look at the repository and at written standards."""

from __future__ import annotations

from io import StringIO
from typing import Annotated, Any

from pydantic import Field

from ops_agent.agent.briefing import plain_name
from ops_agent.agent.globs import compiled
from ops_agent.agent.workbench import Answer, Count, PlainPath, ToolRefusal, Workbench
from ops_agent.model.ports import ScratchRefusal
from ops_agent.terraform.modules import directory_of

MAX_LISTED = 500
MAX_NEIGHBOURS = 60
MAX_LINES = 2_000
MAX_CHARACTERS = 60_000
MAX_MATCHES = 100
MAX_SEARCHED_FILES = 2_000
MAX_SEARCHED_BYTES = 1_000_000
MAX_LINE = 300
SEARCH_SECONDS = 5.0


def list_(
    bench: Workbench,
    glob: Annotated[str, "Pattern over whole paths: `**/*.tf`, `infra/*`, `.github/workflows/*`."] = "**",
) -> Any:
    """List the repository's files whose path matches a glob, sorted. At most 500 are shown; `matching` counts all."""
    pattern = compiled(glob)
    found = [p for p in bench.scratch.paths() if pattern.fullmatch(p)]
    return {"matching": len(found), "paths": found[:MAX_LISTED]}


def read(
    bench: Workbench,
    paths: Annotated[
        list[PlainPath],
        Field(max_length=20),
        "Paths relative to the repository's root: every file that you know you need, at most 20.",
    ],
    offset: Annotated[Count, "First line of each, counted from 1."] = 1,
    limit: Annotated[Count, "How many lines of each, at most 2000."] = 1_000,
) -> Answer:
    """Read text files. Each text is exact, so that parts of it can be given to `edit` as `old`; what is odd about a
    file (line ends, only a part shown) stands beside its path.
    """
    texts, missing, room = [], {}, MAX_CHARACTERS
    for path in dict.fromkeys(paths):
        try:
            content = bench.scratch.read(path)
        except ScratchRefusal as refusal:
            missing[path[:MAX_LINE]] = f"{refusal}. {_neighbours(bench, path)}".strip()
            continue
        if room <= 0:
            missing[path] = f"not shown: one call shows {MAX_CHARACTERS:,} characters; read it in another"
            continue
        text, notes = part(content, offset, limit)
        if len(text) > room:
            text = text[:room]
            notes.append(f"cut after {room:,} characters")
        room -= len(text)
        texts.append((", ".join((plain_name(path), *notes)), text))
    if not texts:
        raise ToolRefusal("; ".join(f"`{path}`: {why}" for path, why in missing.items()) or "`paths` is empty")
    return Answer({"not_read": missing} if missing else {}, tuple(texts))


def part(content: bytes, offset: int = 1, limit: int = MAX_LINES) -> tuple[str, list[str]]:
    """The lines that are asked for, and what is odd about them."""
    text, notes = _decoded(content)
    lines = StringIO(text, newline="\n").readlines()
    start, count = max(1, offset), max(1, min(limit, MAX_LINES))
    if start > 1 or start - 1 + count < len(lines):
        notes.append(f"lines {start} to {min(len(lines), start - 1 + count)} of {len(lines)}")
    elif not content.endswith(b"\n"):
        notes.append("no line end at its end" if content else "empty")
    return "".join(lines[start - 1 : start - 1 + count]), notes


def _decoded(content: bytes) -> tuple[str, list[str]]:
    notes = []
    if b"\x00" in content:
        notes.append("with NUL bytes: it is binary or UTF-16, and is shown lossily")
    if content.startswith(b"\xef\xbb\xbf"):
        notes.append("it starts with a byte order mark")
    if b"\r\n" in content:
        notes.append("its line ends are those of Windows (CRLF), shown and taken by `edit` as plain ones")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        notes.append("not UTF-8: it is shown lossily and cannot be edited in place")
        text = content.decode("utf-8", "replace")
    return text.replace("\r\n", "\n"), notes


def _neighbours(bench: Workbench, path: str) -> str:
    """The files of the nearest folder that there is."""
    folder, known = directory_of(path), bench.scratch.paths()
    while True:
        above = "" if folder == "." else f"{folder}/"
        if found := sorted({p[len(above) :].partition("/")[0] for p in known if p.startswith(above)}):
            more = f" and {len(found) - MAX_NEIGHBOURS} more" if len(found) > MAX_NEIGHBOURS else ""
            names = ", ".join(plain_name(name) for name in found[:MAX_NEIGHBOURS])
            return f"In `{plain_name(folder)}` there are: {names}{more}"
        if folder == ".":
            return ""
        folder = directory_of(folder)


def search(
    bench: Workbench,
    text: Annotated[
        str,
        "Text to find in one line, upper and lower case alike. `*` matches any characters; nothing else is special.",
    ],
    glob: Annotated[str, "Only in files whose path matches."] = "**",
) -> Answer:
    """Find lines that hold a text, as `path:line: text`. At most 100; when `notes` says that it was cut short, narrow
    the glob.
    """
    pieces = [piece for piece in text.casefold().split("*") if piece]
    if not pieces or len(text) > 500:
        raise ToolRefusal("`text` has 1 to 500 characters besides `*`")
    pattern, end = compiled(glob), bench.clock.monotonic() + SEARCH_SECONDS
    candidates = sorted((p for p in bench.scratch.paths() if pattern.fullmatch(p)), key=_likely_first)
    matches: list[str] = []
    facts: dict[str, Any] = {}
    for number, path in enumerate(candidates):
        if len(matches) >= MAX_MATCHES or number >= MAX_SEARCHED_FILES or bench.clock.monotonic() > end:
            facts["notes"] = [f"searched {number} of {len(candidates)} files only: narrow the glob"]
            break
        matches += _matches(bench, path, pieces)
    if not matches:
        return Answer({"matches": 0, **facts})
    shown = matches[:MAX_MATCHES]
    return Answer(facts, ((f"{len(shown)} matching lines", "\n".join(shown)),))


def _likely_first(path: str) -> tuple[bool, str]:
    return (not path.endswith((".tf", ".tfvars", ".hcl", ".yml", ".yaml", ".md")), path)


def _matches(bench: Workbench, path: str, pieces: list[str]) -> list[str]:
    try:
        content = bench.scratch.read(path)
    except ValueError:
        return []
    if len(content) > MAX_SEARCHED_BYTES or b"\x00" in content[:8000]:
        return []
    lines = enumerate(content.decode("utf-8", "replace").split("\n"), start=1)
    name = plain_name(path)
    return [f"{name}:{number}: {line.strip()[:MAX_LINE]}" for number, line in lines if _holds(line.casefold(), pieces)]


def _holds(line: str, pieces: list[str]) -> bool:
    at = 0
    for piece in pieces:
        at = line.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def read_standard(
    bench: Workbench,
    id: Annotated[str, "The standard's id, as listed in the task."],  # noqa: A002 - the llm reads it
) -> Answer:
    """Read one of the team's written standards that was not loaded into the task."""
    text = bench.standards.get(id)
    if text is None:
        raise ToolRefusal(f"there is no such standard; there are {', '.join(sorted(bench.standards)) or 'none'}")
    return Answer(texts=((id, text),))
