"""One commit in memory."""

from __future__ import annotations

from collections.abc import Mapping

from builders import BASE
from ops_agent.model.change_set import TreeEntry, blob_id


class MemoryTree:
    """ports.BaseTree over a dictionary; `modes` overrides 100644 for some paths."""

    def __init__(
        self, files: Mapping[str, bytes | str], modes: Mapping[str, str] | None = None, commit: str = BASE
    ) -> None:
        self.commit = commit
        self.files = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        self._modes = modes or {}

    def entries(self) -> Mapping[str, TreeEntry]:
        return {
            path: TreeEntry(path=path, mode=self._modes.get(path, "100644"), blob=blob_id(content), size=len(content))
            for path, content in self.files.items()
        }

    def read(self, path: str) -> bytes:
        if self._modes.get(path, "100644") not in ("100644", "100755", "120000"):
            raise KeyError(path)
        return self.files[path]
