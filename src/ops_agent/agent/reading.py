"""Tools that look at the repository and at written standards."""

from __future__ import annotations

from io import StringIO
from typing import Annotated, Any

from ops_agent.agent.globs import compiled
from ops_agent.agent.workbench import Count, RepositoryPath, ToolRefusal, Workbench

MAX_LISTED = 500
MAX_LINES = 2_000
MAX_CHARACTERS = 60_000
MAX_MATCHES = 100
MAX_SEARCHED_FILES = 2_000
MAX_SEARCHED_BYTES = 1_000_000
MAX_LINE = 300
SEARCH_SECONDS = 5.0


def list_files(
    bench: Workbench,
    glob: Annotated[str, "Pattern over whole paths: `**/*.tf`, `infra/*`, `.github/workflows/*`."] = "**",
) -> Any:
    """List the repository's files whose path matches a glob, sorted. At most 500 are shown; `matching` counts all."""
    pattern = compiled(glob)
    found = [p for p in bench.scratch.paths() if pattern.fullmatch(p)]
    return {"matching": len(found), "paths": found[:MAX_LISTED]}


def read_file(
    bench: Workbench,
    path: RepositoryPath,
    offset: Annotated[Count, "First line, counted from 1."] = 1,
    limit: Annotated[Count, "How many lines, at most 2000."] = 1_000,
) -> Any:
    """Read a text file. The text is exact, so that parts of it can be given to replace_in_file.

    `notes` says when the file is not plain UTF-8 text with `\\n` line ends, or when only a part is shown.
    """
    text, notes = _decoded(bench.scratch.read(path))
    lines = StringIO(text, newline="\n").readlines()
    start, count = max(1, offset), max(1, min(limit, MAX_LINES))
    shown = "".join(lines[start - 1 : start - 1 + count])
    if start > 1 or start - 1 + count < len(lines):
        notes.append(f"lines {start} to {min(len(lines), start - 1 + count)} of {len(lines)}")
    if len(shown) > MAX_CHARACTERS:
        shown = shown[:MAX_CHARACTERS]
        notes.append(f"cut after {MAX_CHARACTERS} characters")
    return {"path": path, "lines": len(lines), "notes": notes, "text": shown}


def _decoded(content: bytes) -> tuple[str, list[str]]:
    """Text, and what is odd about it."""
    notes = []
    if b"\x00" in content:
        notes.append("the file holds NUL bytes: it is binary or UTF-16, and is shown lossily")
    if content.startswith(b"\xef\xbb\xbf"):
        notes.append("the file starts with a byte order mark")
    if b"\r\n" in content:
        notes.append("the file has Windows line ends (CRLF)")
    try:
        return content.decode(), notes
    except UnicodeDecodeError:
        notes.append("the file is not UTF-8: it is shown lossily and cannot be edited in place")
        return content.decode("utf-8", "replace"), notes


def search(
    bench: Workbench,
    text: Annotated[
        str,
        "Text to find in one line, upper and lower case alike. `*` matches any characters; nothing else is special.",
    ],
    glob: Annotated[str, "Only in files whose path matches."] = "**",
) -> Any:
    """Find lines that hold a text. At most 100 matches; when `notes` says that it was cut short, narrow the glob."""
    pieces = [piece for piece in text.casefold().split("*") if piece]
    if not pieces or len(text) > 500:
        raise ToolRefusal("`text` has 1 to 500 characters besides `*`")
    pattern, end = compiled(glob), bench.clock.monotonic() + SEARCH_SECONDS
    candidates = sorted((p for p in bench.scratch.paths() if pattern.fullmatch(p)), key=_likely_first)
    matches: list[dict[str, Any]] = []
    notes = []
    for number, path in enumerate(candidates):
        if len(matches) >= MAX_MATCHES or number >= MAX_SEARCHED_FILES or bench.clock.monotonic() > end:
            notes = [f"searched {number} of {len(candidates)} files only: narrow the glob"]
            break
        matches += _matches(bench, path, pieces)
    return {"matches": matches[:MAX_MATCHES], "notes": notes}


def _likely_first(path: str) -> tuple[bool, str]:
    return (not path.endswith((".tf", ".tfvars", ".hcl", ".yml", ".yaml", ".md")), path)


def _matches(bench: Workbench, path: str, pieces: list[str]) -> list[dict[str, Any]]:
    try:
        content = bench.scratch.read(path)
    except ValueError:
        return []
    if len(content) > MAX_SEARCHED_BYTES or b"\x00" in content[:8000]:
        return []
    lines = enumerate(content.decode("utf-8", "replace").split("\n"), start=1)
    return [
        {"path": path, "line": number, "text": line.strip()[:MAX_LINE]}
        for number, line in lines
        if _holds(line.casefold(), pieces)
    ]


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
) -> Any:
    """Read one of the team's written standards that was not loaded into the task."""
    text = bench.standards.get(id)
    if text is None:
        raise ToolRefusal(f"there is no such standard; there are {', '.join(sorted(bench.standards)) or 'none'}")
    return text
