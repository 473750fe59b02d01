"""Git's object store by plumbing commands only, without checkout, filter, hook, pager or a person's configuration.

Plumbing reads and writes objects as they are; porcelain (`status`, `add`, `checkout`) runs programs that a repository's
configuration names (fsmonitor, filters, hooks), so it is never used here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ops_agent.model.change_set import LINK, ChangeSet, TreeEntry
from ops_agent.model.errors import ConfigError, ToolchainError

_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.pager=cat", "-c", "safe.directory=*",
    "-c", "protocol.allow=never", "-c", "diff.external=", "-c", "core.attributesFile=/dev/null", "-c", "gc.auto=0",
)  # fmt: skip
_DEADLINE_SECONDS = 120


class GitObjects:
    """The objects and refs of one local repository.

    `quarantine` is a directory for new objects; while it is set nothing is written into the repository itself.
    """

    def __init__(self, repository: Path, quarantine: Path | None = None) -> None:
        binary = shutil.which("git", path="/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin")
        if binary is None:
            raise ToolchainError("git was not found in the system's directories", hint="Install git.")
        self._binary = binary
        self._variables = {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "HOME": "/nonexistent",
        }
        self._repository = repository
        self._batch: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        try:
            self.run("rev-parse", "--git-dir")
        except ToolchainError as error:
            known = "not a git repository" in str(error) or "No such file" in str(error)
            what = f"{repository.absolute()} is not a git repository" + ("" if known else f": {error}")  # dubious owner
            raise ConfigError(what, hint="Give --repo a git checkout.") from error
        if quarantine is not None:
            shared = repository / self.run("rev-parse", "--git-common-dir").decode().strip()
            self._variables |= {
                "GIT_OBJECT_DIRECTORY": str(quarantine),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(shared.resolve() / "objects"),
            }

    def run(self, *arguments: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> bytes:
        """Output of one plumbing command. Raises ToolchainError with git's own words when it fails."""
        argv = [self._binary, *_SAFE, "-C", str(self._repository), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - argv of ours, absolute binary, clean environment
                argv,
                input=stdin,
                capture_output=True,
                env={**self._variables, **(variables or {})},
                timeout=_DEADLINE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolchainError(f"git {arguments[0]} did not end within {_DEADLINE_SECONDS} s") from error
        if done.returncode != 0:
            raise ToolchainError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()[:500]}")
        return done.stdout

    def blob(self, identity: str) -> bytes:
        """Bytes of a blob, through one `cat-file --batch` child that serves all reads."""
        with self._lock:
            if self._batch is None:
                argv = [self._binary, *_SAFE, "-C", str(self._repository), "cat-file", "--batch"]
                pipe = subprocess.PIPE
                self._batch = subprocess.Popen(argv, stdin=pipe, stdout=pipe, env=self._variables)  # noqa: S603
            asks, answers = self._batch.stdin, self._batch.stdout
            if asks is None or answers is None:
                raise ToolchainError("git cat-file has no pipes")
            asks.write(identity.encode() + b"\n")
            asks.flush()
            header = answers.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise ToolchainError(
                    f"git has no blob {identity}: the repository is incomplete", hint="Fetch the base commit whole."
                )
            content = answers.read(int(header[2]))
            answers.read(1)
            return content

    def blobs(self, identities: Iterable[str]) -> dict[str, bytes]:
        """Bytes of many blobs, in one go. Raises ToolchainError when one is missing."""
        wanted = list(dict.fromkeys(identities))
        if not wanted:
            return {}
        answer = self.run("cat-file", "--batch", "--buffer", stdin="".join(f"{i}\n" for i in wanted).encode())
        found, place = dict[str, bytes](), 0
        for identity in wanted:
            end = answer.index(b"\n", place)
            header = answer[place:end].split()
            if len(header) != 3 or header[1] != b"blob":
                raise ToolchainError(
                    f"git has no blob {identity}: the repository is incomplete", hint="Fetch the base commit whole."
                )
            place = end + 2 + int(header[2])
            found[identity] = answer[end + 1 : place - 1]
        return found

    def close(self) -> None:
        """End the reading child."""
        with self._lock:
            if self._batch is not None:
                self._batch.communicate()
                self._batch = None

    def commit_of(self, revision: str) -> str | None:
        """The commit (40 hex digits) of a branch or revision, None when there is none."""
        return self._word_or_none("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")

    def branch_name(self) -> str | None:
        """The checked-out branch, None for a detached HEAD."""
        return self._word_or_none("symbolic-ref", "--quiet", "--short", "HEAD")

    def _word_or_none(self, *arguments: str) -> str | None:
        try:
            return self.run(*arguments).decode().strip()
        except ToolchainError:
            return None

    def commit_tree(self, base: str, headline: str, body: str, changes: ChangeSet) -> str:
        """Write a commit on `base` with the change set's files; modes of changed files stay, new files are 100644."""
        modes = {entry.path: entry.mode for entry in GitTree(self, base).entries().values()}
        with tempfile.TemporaryDirectory(prefix="ops-agent-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.run("read-tree", base, variables=index)
            lines = ""
            for change in changes.changes:
                mode, blob = "0", "0" * 40
                if change.after is not None:
                    mode = modes.get(change.path, "100644")
                    blob = self.run("hash-object", "-w", "--stdin", stdin=change.after).decode().strip()
                lines += f"{mode} {blob}\t{change.path}\0"
            self.run("update-index", "-z", "--index-info", stdin=lines.encode(), variables=index)
            tree = self.run("write-tree", variables=index).decode().strip()
        person = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in _IDENTITY.items()}
        message = f"{headline}\n\n{body}\n".encode()
        return self.run("commit-tree", tree, "-p", base, "-F", "-", stdin=message, variables=person).decode().strip()

    def patch(self, base: str, commit: str) -> bytes:
        """The change as `git apply` takes it, binary files included."""
        return self.run("diff-tree", "-p", "--binary", "--no-ext-diff", "--no-textconv", "--full-index", base, commit)

    def in_the_way_of(self, branch: str) -> str:
        """The branch of this name, or one that git cannot hold beside it (`a` and `a/b`); empty when it is free."""
        existing = self.run("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/").decode().split("\n")
        clash = (b for b in existing if b and (b == branch or b.startswith(f"{branch}/") or branch.startswith(f"{b}/")))
        return next(clash, "")

    def create_branch(self, branch: str, commit: str) -> bool:
        """Create `refs/heads/{branch}`; False when it exists. Never moves a ref."""
        try:
            self.run("update-ref", f"refs/heads/{branch}", commit, "0" * 40)
        except ToolchainError:
            if self.commit_of(f"refs/heads/{branch}") is None:
                raise
            return False
        return True


_IDENTITY = {"NAME": "ops-agent", "EMAIL": "ops-agent@users.noreply.github.com"}


_SINGLE_READS = 100
_LIKELY, _LARGEST = (".tf", ".tofu", ".tfvars", ".hcl", ".tfbackend", ".yml", ".yaml"), 200_000


class GitTree:
    """ports.BaseTree over a local repository: `ls-tree`, and one answer of `cat-file --batch` for each read. Who reads
    many files gets all of the Terraform in one go: in a large repository each answer costs more than its bytes.
    """

    def __init__(self, objects: GitObjects, commit: str) -> None:
        self.commit = commit
        self._objects = objects
        self._entries: dict[str, TreeEntry] | None = None
        self._reads, self._ahead = 0, dict[str, bytes]()

    def entries(self) -> Mapping[str, TreeEntry]:
        if self._entries is None:
            listing = self._objects.run("ls-tree", "-r", "-z", "-l", "--full-tree", self.commit)
            self._entries = {entry.path: entry for entry in _parse_listing(listing)}
        return self._entries

    def read(self, path: str) -> bytes:
        entry = self.entries()[path]
        if not entry.is_regular and entry.mode != LINK:
            raise KeyError(f"{path} is not a regular file (mode {entry.mode})")
        self._reads += 1
        if self._reads == _SINGLE_READS:
            likely = (e for e in self.entries().values() if e.is_regular and e.path.endswith(_LIKELY))
            with suppress(ToolchainError):  # a file that is not here matters when it is asked for
                self._ahead = self._objects.blobs(e.blob for e in likely if e.size <= _LARGEST)
        return self._ahead.get(entry.blob) or self._objects.blob(entry.blob)


def _parse_listing(listing: bytes) -> Iterator[TreeEntry]:
    """Records of `git ls-tree -r -l -z`: `mode type object size<TAB>path`."""
    for record in listing.split(b"\0"):
        if record:
            head, _, path = record.partition(b"\t")
            mode, _kind, blob, size = head.split()
            yield TreeEntry(
                path=path.decode("utf-8", "surrogateescape"),
                mode=mode.decode(),
                blob=blob.decode(),
                size=int(size) if size.isdigit() else 0,  # `BAD`: the object is not here
            )


@contextmanager
def quarantined(repository: Path) -> Iterator[GitObjects]:
    """Objects of `repository` with a throw-away place for new ones: nothing is left in the repository."""
    with tempfile.TemporaryDirectory(prefix="ops-agent-objects-") as folder:
        objects = GitObjects(repository, quarantine=Path(folder))
        try:
            yield objects
        finally:
            objects.close()
