"""Tools that change files. Every write is judged for its path and content first."""

from __future__ import annotations

from typing import Annotated, Any

from ops_agent.agent.workbench import RepositoryPath, ToolRefusal, Workbench


def write_file(
    bench: Workbench,
    path: RepositoryPath,
    content: Annotated[str, "The whole file, UTF-8, `\\n` line ends."],
) -> Any:
    """Create a file or replace it whole. For a small change to an existing file use replace_in_file."""
    return _write(bench, path, content.encode())


def replace_in_file(
    bench: Workbench,
    path: RepositoryPath,
    old: Annotated[str, "Text that occurs exactly once in the file, whitespace included."],
    new: Annotated[str, "The text that replaces it."],
) -> Any:
    """Replace one piece of an existing file. The old text must occur exactly once: add neighbouring lines if needed."""
    content = bench.scratch.read(path)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ToolRefusal(f"`{path}` is not UTF-8, so it is not edited in place") from None
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")
    if not old or (count := text.count(old)) != 1:
        found = "is empty" if not old else f"occurs {count} times"
        raise ToolRefusal(
            f"`old` {found} in `{path}`; it must occur exactly once. Read the file again and take more lines."
        )
    return _write(bench, path, text.replace(old, new).encode())


def delete_file(bench: Workbench, path: RepositoryPath) -> Any:
    """Delete a file. Apply destroys the resources that leave with it: deletions of stateful ones are blocked."""
    bench.allow(path, None)
    bench.scratch.delete(path)
    bench.writes += 1
    return {"path": path, "deleted": True}


def _write(bench: Workbench, path: str, content: bytes) -> Any:
    bench.allow(path, content)
    try:
        unchanged = bench.scratch.read(path) == content
    except ValueError:
        unchanged = False
    if not unchanged:
        bench.scratch.write(path, content)
        bench.writes += 1
    return {"path": path, "bytes": len(content), **({"note": "the file already had this content"} if unchanged else {})}
