"""What came for the modules from outside that a base commit calls: their Terraform, to be judged as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, kw_only=True)
class FetchedModules:
    """`files` are configurations and templates (path -> bytes), each below a directory that no path of a repository can have.

    `by_source` leads from the `(source, version)` of a call in the repository to the directory of what came for it, `by_call` from a
    fetched directory and the name of a call in it to the directory of what that calls.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    by_source: Mapping[tuple[str, str], str] = field(default_factory=dict)
    by_call: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def directories(self) -> frozenset[str]:
        return frozenset(self.by_source.values()) | frozenset(self.by_call.values())

    @classmethod
    def joined(cls, parts: Iterable[FetchedModules]) -> FetchedModules:
        """All of several roots; of two that answer for one source the first one counts."""
        files: dict[str, bytes] = {}
        by_source: dict[tuple[str, str], str] = {}
        by_call: dict[tuple[str, str], str] = {}
        for part in parts:
            files.update(part.files)
            by_source = {**part.by_source, **by_source}
            by_call.update(part.by_call)
        return cls(files=files, by_source=by_source, by_call=by_call)
