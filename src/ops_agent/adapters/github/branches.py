"""ports.Branches: refs, commits and the files of a commit."""

from __future__ import annotations

import base64
import errno
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import IO, Any
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from ops_agent.adapters.github import parsing
from ops_agent.adapters.github.client import GitHubHttp, in_repository
from ops_agent.adapters.github.failures import RequestFailed
from ops_agent.model.change_set import LINK, ChangeSet, TreeEntry, blob_id, needs_workflows_permission
from ops_agent.model.errors import (
    ConfigError,
    Conflict,
    GitHubError,
    NeedsWorkflowsPermission,
    NoSpace,
    NotFound,
    NotPermitted,
    PolicyViolation,
)
from ops_agent.model.event import Actor
from ops_agent.model.ports import BaseTree, BranchRule

SUBMODULE = "160000"
MAX_ENTRIES = 250_000
MAX_FILE_BYTES = 1_000_000
"""A larger file is fetched on demand only."""
MAX_BYTES_KEPT = 1_000_000_000


class GitHubTree:
    """ports.BaseTree: a listing, and the contents from one archive stream, each checked against its git blob SHA-1.

    The archive is only a short cut: `git archive` leaves files out (`export-ignore`) and rewrites some (`export-subst`,
    line ends, LFS), so every file is verified, and what is missing or different is fetched as a blob. Submodules are
    listed, never read. Contents lie in one unlinked temporary file, not in memory.

    Nothing is requested before the first use: the listing at `entries`, the archive at the first `read`.
    """

    def __init__(self, http: GitHubHttp, repository: str, commit: str) -> None:
        self.commit = commit
        self._http, self._repository = http, repository
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
        if entry is None or not (entry.is_regular or entry.mode == LINK):
            raise KeyError(path)
        if self._kept is None and entry.size <= MAX_FILE_BYTES:
            self._take_archive()
        place = self._places.get(entry.blob)
        if place is not None and self._kept is not None:
            self._kept.seek(place[0])
            return self._kept.read(place[1])
        return self._blob(entry)

    def _list(self, tree: str, prefix: str, found: dict[str, TreeEntry]) -> None:
        """One call; a tree that GitHub cuts (`truncated`: over 100,000 entries or 7 MB) is walked folder by folder."""
        doing = f"listing the files of {self._repository} at {self.commit[:12]}"
        url = in_repository(self._repository, f"/git/trees/{tree}")
        whole = self._http.get(url, doing, partial(_listing, prefix), recursive="1")
        files, folders = whole or self._http.get(url, doing, partial(_listing, prefix)) or (None, None)
        if files is None or folders is None:
            where = f"{prefix or 'the root'} of {self._repository}"
            raise ConfigError(f"A single folder ({where}) has more entries than GitHub lists.")
        found.update(files)
        if len(found) > MAX_ENTRIES:
            raise ConfigError(
                f"{self._repository} has more than {MAX_ENTRIES:,} files.",
                hint="ops-agent lists at most that many; split the repository.",
            )
        for path, folder in folders.items() if whole is None else ():
            self._list(folder, f"{path}/", found)

    def _take_archive(self) -> None:
        """The archive's files into the temporary file; what a stream that breaks lacks is fetched one by one."""
        doing = f"downloading {self._repository} at {self.commit[:12]}"
        try:
            self._kept = tempfile.TemporaryFile(prefix="ops-agent-base-")  # noqa: SIM115 - lives as long as the tree
            url = self._http.redirect(in_repository(self._repository, f"/tarball/{self.commit}"), doing)
            with self._http.download(url, doing) as answer, tarfile.open(fileobj=answer.raw, mode="r|gz") as archive:
                self._keep(archive, self._kept)
        except (tarfile.TarError, HTTPError, EOFError, zlib.error):
            return
        except OSError as error:  # of the disk, or of the connection
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(f"The disk is full while {doing}.") from None

    def _keep(self, archive: tarfile.TarFile, file: IO[bytes]) -> None:
        kept = 0
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # tarfile would remember all of a 200,000-file archive
            entry = self.entries().get(member.name.partition("/")[2])
            if entry is None or entry.blob in self._places or entry.size > MAX_FILE_BYTES:
                continue
            if entry.mode == LINK and member.issym():
                content = member.linkname.encode("utf-8", "surrogateescape")
            elif entry.is_regular and member.isreg() and member.size == entry.size:
                stream = archive.extractfile(member)
                content = stream.read() if stream else b""
            else:
                continue
            if blob_id(content) != entry.blob:
                continue
            if kept + len(content) > MAX_BYTES_KEPT:
                return
            file.write(content)
            self._places[entry.blob] = (kept, len(content))
            kept += len(content)

    def _blob(self, entry: TreeEntry) -> bytes:
        path = in_repository(self._repository, f"/git/blobs/{entry.blob}")
        content = self._http.get(path, f"reading {entry.path} of {self._repository}", _blob_content)
        if blob_id(content) != entry.blob:
            raise PolicyViolation(
                f"GitHub sent other bytes for {entry.path} of {self._repository} than its tree names."
            )
        return content


def _listing(prefix: str, found: dict[str, Any]) -> tuple[dict[str, TreeEntry], dict[str, str]] | None:
    """Files, and folders with the names of their trees, by path; None when GitHub has cut the listing."""
    if found.get("truncated"):
        return None
    files: dict[str, TreeEntry] = {}
    folders: dict[str, str] = {}
    for entry in found["tree"]:
        path, sha = f"{prefix}{entry['path']}", str(entry["sha"])
        if entry["type"] == "tree":
            folders[path] = sha
        else:
            mode = sys.intern(str(entry["mode"]))
            files[path] = TreeEntry(path=path, mode=mode, blob=sha, size=int(entry.get("size") or 0))
    return files, folders


def _blob_content(found: dict[str, Any]) -> bytes:
    if found["encoding"] != "base64":
        raise ValueError(found["encoding"])
    return base64.b64decode(found["content"])


_TREES_KEPT = 4
_TAG_DEPTH = 5


class GitHubBranches:
    """ports.Branches."""

    def __init__(self, http: GitHubHttp) -> None:
        self._http = http
        self._tree = lru_cache(maxsize=_TREES_KEPT)(partial(GitHubTree, http))
        self._commits: dict[tuple[str, str], str] = {}

    def head(self, repository: str, branch: str) -> str | None:
        doing = f"reading the branch {branch} of {repository}"
        try:
            return self._ref(repository, f"heads/{branch}", doing)[1]
        except (NotFound, Conflict):  # 409: "Git Repository is empty."
            return None

    def create(self, repository: str, branch: str, commit: str) -> bool:
        """GitHub's compare-and-set. After a lost answer a branch that exists is another run's: never both win."""
        doing = f"creating the branch {branch} in {repository}"

        def create() -> bool:
            try:
                self._http.post(in_repository(repository, "/git/refs"), {"ref": f"refs/heads/{branch}", "sha": commit})
            except RequestFailed as refused:
                if refused.status == 422 and "reference already exists" in refused.words.lower():
                    return False
                raise
            return True

        return self._http.ensure(doing, create, lambda: False if self.head(repository, branch) is not None else None)

    def delete(self, repository: str, branch: str) -> None:
        """A branch that is not there any more is fine."""
        doing = f"deleting the branch {branch} of {repository}"
        try:
            self._http.write("DELETE", in_repository(repository, f"/git/refs/heads/{quote(branch)}"), doing)
        except NotFound:
            return
        except GitHubError:
            if self.head(repository, branch) is not None:  # 422 "Reference does not exist"
                raise

    def commits_between(self, repository: str, base: str, head: str) -> tuple[tuple[str, Actor | None], ...]:
        return self._http.items(
            in_repository(repository, f"/compare/{quote(base)}...{quote(head)}"),
            f"comparing {base[:12]} with {head[:12]} in {repository}",
            lambda commit: (str(commit["sha"]), parsing.actor(commit.get("author"))),
            key="commits",
        )

    def parents(self, repository: str, commit: str) -> tuple[str, ...]:
        path, doing = in_repository(repository, f"/git/commits/{commit}"), f"reading {commit[:12]} of {repository}"
        return self._http.get(path, doing, lambda found: tuple(str(parent["sha"]) for parent in found["parents"]))

    def merge_base(self, repository: str, base: str, head: str) -> str:
        path = in_repository(repository, f"/compare/{quote(base)}...{quote(head)}")
        doing = f"comparing {base[:12]} with {head[:12]} in {repository}"
        return self._http.get(path, doing, lambda found: str(found["merge_base_commit"]["sha"]), per_page="1")

    def tree(self, repository: str, commit: str) -> BaseTree:
        """The same object for the same commit while it is among the last few: its listing costs one call."""
        return self._tree(repository, commit)

    def commit(
        self, repository: str, branch: str, expected_head: str, headline: str, body: str, changes: ChangeSet
    ) -> str:
        """After a lost answer the branch's head is this commit if it has this parent alone and this message."""
        doing = f"committing to {branch} of {repository}"
        wanted = {
            "branch": {"repositoryNameWithOwner": repository, "branchName": branch},
            "expectedHeadOid": expected_head,
            "message": {"headline": headline, "body": body},
            "fileChanges": {
                "additions": [
                    {"path": c.path, "contents": base64.b64encode(c.after).decode()}
                    for c in changes.changes
                    if c.after is not None
                ],
                "deletions": [{"path": c.path} for c in changes.changes if c.after is None],
            },
        }

        def create() -> str:
            return str(self._http.mutate("createCommitOnBranch", wanted, "commit { oid }")["commit"]["oid"])

        def look() -> str | None:
            head = self.head(repository, branch)
            if head is None or head == expected_head:
                return None
            path = in_repository(repository, f"/git/commits/{head}")
            parents, message = self._http.get(path, doing, lambda c: ([p["sha"] for p in c["parents"]], c["message"]))
            wrote = f"{headline}\n\n{body}".strip()
            if parents == [expected_head] and message.replace("\r\n", "\n").strip() == wrote:
                return head
            raise Conflict(
                f"The branch {branch} moved while {doing}: it is at {head[:12]}, not at {expected_head[:12]}."
            )

        try:
            return self._http.ensure(doing, create, look)
        except NotPermitted as error:
            refused = error
        workflows = [p for p in changes.paths if needs_workflows_permission(p)]
        if workflows and not isinstance(refused, NeedsWorkflowsPermission) and "not accessible" in str(refused).lower():
            raise NeedsWorkflowsPermission(f"{refused} The change holds workflow files: {', '.join(workflows[:5])}.")
        raise refused

    def merge(self, repository: str, branch: str, commit: str, message: str) -> bool:
        """Repeated after a lost answer it answers 204: there is nothing left to merge."""
        path, doing = in_repository(repository, "/merges"), f"merging {commit[:12]} into {branch} of {repository}"
        wanted = {"base": branch, "head": commit, "commit_message": message}

        def create() -> bool:
            try:
                self._http.post(path, wanted)
            except RequestFailed as refused:
                if refused.status != 409:
                    raise
                return False
            return True

        return self._http.ensure(doing, create)

    def commit_merge(
        self,
        repository: str,
        branch: str,
        parents: tuple[str, str],
        message: str,
        entries: Mapping[str, TreeEntry | bytes | None],
    ) -> str:
        """Objects may be made twice, they are named by their content; the ref moves forward from its head alone."""
        doing = f"committing a merge to {branch} of {repository}"

        def made(what: str, body: dict[str, Any]) -> str:
            url = in_repository(repository, f"/git/{what}")
            return self._http.ensure(doing, lambda: str(self._http.post(url, body)["sha"]))

        def entry(path: str, held: TreeEntry | bytes | None) -> dict[str, Any]:
            if isinstance(held, TreeEntry):
                kind = "commit" if held.mode == SUBMODULE else "blob"
                return {"path": path, "mode": held.mode, "type": kind, "sha": held.blob}
            given = {"path": path, "mode": "100644", "type": "blob"}
            if held is None:
                return {**given, "sha": None}
            return {**given, "sha": made("blobs", {"content": base64.b64encode(held).decode(), "encoding": "base64"})}

        path = in_repository(repository, f"/git/commits/{parents[0]}")
        base = self._http.get(path, doing, lambda found: str(found["tree"]["sha"]))
        tree = made("trees", {"base_tree": base, "tree": [entry(*one) for one in sorted(entries.items())]})
        commit = made("commits", {"message": message, "tree": tree, "parents": list(parents)})
        ref = in_repository(repository, f"/git/refs/heads/{quote(branch)}")
        try:
            self._http.write("PATCH", ref, doing, {"sha": commit, "force": False})
        except GitHubError as refused:
            if self.head(repository, branch) == parents[0]:
                raise
            raise Conflict(f"The branch {branch} moved while {doing}.") from refused
        return commit

    def resolve_action(self, uses: str, ref: str) -> str | None:
        """`uses` may name a folder. Tags win over branches, as in Actions; annotated ones are followed.

        A commit that was found stays the answer for the run: what is pinned is what the pin is held against.
        """
        repository = "/".join(uses.split("/")[:2])
        if (repository, ref) not in self._commits:
            commit = self._commit_of(repository, ref, f"resolving {uses}@{ref}")
            if commit is None:
                return None
            self._commits[repository, ref] = commit
        return self._commits[repository, ref]

    def _commit_of(self, repository: str, ref: str, doing: str) -> str | None:
        for kind in ("tags", "heads"):
            try:
                sort, sha = self._ref(repository, f"{kind}/{ref}", doing)
                for _ in range(_TAG_DEPTH):
                    if sort == "commit":
                        return sha
                    sort, sha = self._http.get(in_repository(repository, f"/git/tags/{sha}"), doing, _target)
            except NotFound:
                continue
        return None

    def rules(self, repository: str, branch: str) -> tuple[BranchRule, ...]:
        path = in_repository(repository, f"/rules/branches/{quote(branch, safe='')}")
        try:
            return self._http.items(path, f"reading the rules for the branch {branch} of {repository}", _rule)
        except (NotFound, NotPermitted):  # 403: rulesets are not in this plan
            return ()

    def ruleset(self, repository: str, ruleset: int) -> tuple[str, bool | None]:
        path = in_repository(repository, f"/rulesets/{ruleset}")
        try:
            return self._http.get(path, f"reading the ruleset {ruleset} of {repository}", _ruleset)
        except (NotFound, NotPermitted):
            return str(ruleset), None

    def _ref(self, repository: str, name: str, doing: str) -> tuple[str, str]:
        """(object type, SHA-1) of exactly this ref."""

        def exactly(found: dict[str, Any]) -> tuple[str, str]:
            if not isinstance(found, dict) or found.get("ref") != f"refs/{name}":
                raise NotFound(f"There is no {name} in {repository}.")
            return _target(found)

        return self._http.get(in_repository(repository, f"/git/ref/{quote(name)}"), doing, exactly)


def _target(found: dict[str, Any]) -> tuple[str, str]:
    """(object type, SHA-1) of a ref or an annotated tag."""
    return str(found["object"]["type"]), str(found["object"]["sha"])


def _rule(found: dict[str, Any]) -> BranchRule:
    return BranchRule(
        kind=str(found["type"]), ruleset=int(found.get("ruleset_id") or 0), parameters=found.get("parameters") or {}
    )


def _ruleset(found: dict[str, Any]) -> tuple[str, bool | None]:
    """`pull_requests_only` bypasses when a pull request is merged, not on a commit."""
    may = {"always": True, "exempt": True, "pull_requests_only": False, "never": False}
    return str(found["name"]), may.get(str(found.get("current_user_can_bypass")))
