"""The files of one commit over the API: a listing, and the contents from one archive stream, each checked against its git blob SHA-1.

The archive is only a fast way: `git archive` leaves files out (`export-ignore`) and rewrites some (`export-subst`, line ends, LFS), so
every file is verified, and what is missing or different is fetched as a blob. Symlinks and submodules are listed, never read. Contents lie
in one unlinked temporary file, not in memory.

Caps: 250,000 entries (more is a ConfigError); a file over 1 MB is fetched on demand only; at most 1 GB is kept from an archive.
"""

from __future__ import annotations

import base64
import errno
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import requests
from urllib3.exceptions import HTTPError

from ops_agent.adapters.github.github_http import GitHubHttp
from ops_agent.domain.change_set import TreeEntry, blob_id
from ops_agent.errors import ConfigError, GitHubError, NoSpace, PolicyViolation

MOST_ENTRIES = 250_000
MOST_BYTES_OF_A_FILE = 1_000_000
MOST_BYTES_KEPT = 1_000_000_000
_MODES = ("100644", "100755", "120000", "160000")
_STREAM_FAILURES = (tarfile.TarError, requests.RequestException, HTTPError, EOFError, zlib.error)


class GitHubTree:
    """ports.BaseTree. Nothing is asked before the first use: the listing at `entries`, the archive at the first `read`."""

    def __init__(self, http: GitHubHttp, path: str, repository: str, commit: str) -> None:
        self.commit = commit
        self._http, self._path, self._repository = http, path, repository
        self._entries: dict[str, TreeEntry] | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._kept: IO[bytes] | None = None

    def entries(self) -> Mapping[str, TreeEntry]:
        if self._entries is None:
            found: dict[str, TreeEntry] = {}
            self._list(self.commit, "", found)
            self._entries = found
        return self._entries

    def read(self, path: str) -> bytes:
        entry = self.entries().get(path)
        if entry is None or not entry.is_regular:
            raise KeyError(path)
        if self._kept is None and entry.size <= MOST_BYTES_OF_A_FILE:
            self._take_archive()
        place = self._places.get(entry.blob)
        if place is not None and self._kept is not None:
            self._kept.seek(place[0])
            return self._kept.read(place[1])
        return self._blob(entry)

    def _list(self, tree: str, prefix: str, found: dict[str, TreeEntry]) -> None:
        """One call; a tree that GitHub cuts (`truncated`: over 100,000 entries or 7 MB) is walked folder by folder."""
        doing = f"listing the files of {self._repository} at {self.commit[:12]}"
        url = f"/repos/{self._path}/git/trees/{tree}"
        listing = self._http.rest("GET", url, doing, recursive="1")
        if not listing.get("truncated"):
            self._http.reading(doing, lambda: self._add(listing["tree"], prefix, found))
            return
        listing = self._http.rest("GET", url, doing)
        if listing.get("truncated"):
            raise ConfigError(f"A single folder ({prefix or 'the root'}) of {self._repository} has more entries than GitHub lists.")
        self._http.reading(doing, lambda: self._add([e for e in listing["tree"] if e["type"] != "tree"], prefix, found))
        for folder in listing["tree"]:
            if folder["type"] == "tree":
                self._list(str(folder["sha"]), f"{prefix}{folder['path']}/", found)

    def _add(self, listed: list[dict[str, Any]], prefix: str, found: dict[str, TreeEntry]) -> None:
        modes = {mode: mode for mode in _MODES}
        for entry in listed:
            if entry["type"] == "tree":
                continue
            path, mode = f"{prefix}{entry['path']}", str(entry["mode"])
            found[path] = TreeEntry(path=path, mode=modes.get(mode, mode), blob=str(entry["sha"]), size=int(entry.get("size") or 0))
            if len(found) > MOST_ENTRIES:
                raise ConfigError(
                    f"{self._repository} has more than {MOST_ENTRIES:,} files.",
                    hint="ops-agent lists at most that many; split the repository.",
                )

    def _take_archive(self) -> None:
        """Every wanted file of the archive into the temporary file. A stream that breaks leaves the rest to be fetched one by one."""
        wanted: dict[str, TreeEntry] = {p: e for p, e in self.entries().items() if e.is_regular and e.size <= MOST_BYTES_OF_A_FILE}
        doing = f"downloading {self._repository} at {self.commit[:12]}"
        try:
            self._kept = tempfile.TemporaryFile(prefix="ops-agent-base-")  # noqa: SIM115 - lives as long as the tree
            headers = self._http.redirect(f"/repos/{self._path}/tarball/{self.commit}", doing)
            with self._http.download(headers, doing) as answer, tarfile.open(fileobj=answer.raw, mode="r|gz") as archive:
                self._keep(archive, wanted)
        except _STREAM_FAILURES:
            return
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(f"The disk is full while {doing}.") from None
            return

    def _keep(self, archive: tarfile.TarFile, wanted: dict[str, TreeEntry]) -> None:
        kept = 0
        assert self._kept is not None  # noqa: S101 - for the type checker: opened by the only caller
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # tarfile would remember every member of a 200,000-file archive
            entry = wanted.get(member.name.partition("/")[2])
            if entry is None or not member.isreg() or member.size != entry.size or entry.blob in self._places:
                continue
            stream = archive.extractfile(member)
            content = stream.read() if stream else b""
            if blob_id(content) != entry.blob:
                continue
            if kept + len(content) > MOST_BYTES_KEPT:
                return
            self._kept.write(content)
            self._places[entry.blob] = (kept, len(content))
            kept += len(content)

    def _blob(self, entry: TreeEntry) -> bytes:
        doing = f"reading {entry.path} of {self._repository}"
        found = self._http.rest("GET", f"/repos/{self._path}/git/blobs/{entry.blob}", doing)
        if not isinstance(found, dict) or found.get("encoding") != "base64":
            raise GitHubError(f"GitHub's answer while {doing} has an unknown shape.")
        content = self._http.reading(doing, lambda: base64.b64decode(found["content"]))
        if blob_id(content) != entry.blob:
            raise PolicyViolation(f"GitHub sent other bytes for {entry.path} of {self._repository} than its tree names.")
        return content
