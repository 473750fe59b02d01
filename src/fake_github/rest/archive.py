"""The tarball of a commit: the API answers 302, the bytes come from another path without the token, as GitHub's
codeload does.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

from fake_github.git_objects import EXECUTABLE, SUBMODULE, SYMLINK
from fake_github.refusals import not_found
from fake_github.repositories import Repository
from fake_github.rest.branches import resolve, stocked
from fake_github.rest.routing import Answer, Asked, Route

if TYPE_CHECKING:
    from fake_github.platform import EmbeddedGitHub


def get_tarball(asked: Asked) -> Answer:
    r, ref = stocked(asked), asked.params["ref"]
    commit = resolve(r, ref)
    if commit is None:
        raise not_found()
    secret = asked.token.secret[-8:] if asked.token else ""
    return Answer(302, b"", {"Location": f"{r.github.base_url}/_codeload/{quote(r.full_name)}/{commit}?token={secret}"})


def download(github: EmbeddedGitHub, request: Request) -> Response:
    """`/_codeload/{owner}/{repo}/{commit}`."""
    _, _, owner, name, commit = request.path.split("/")
    repository = github.repositories.get(f"{owner}/{name}".lower())
    if repository is None or commit not in repository.store.commits:
        return Response("404: Not Found", 404)
    with github.lock:
        return Response(tarball(repository, commit), 200, content_type="application/x-gzip")


def tarball(r: Repository, commit: str) -> bytes:
    """A gzipped tar with one folder `owner-name-commit7/`, the commit's id in the archive's comment as `git archive`
    writes it.
    """
    buffer = io.BytesIO()
    root = f"{r.owner.login}-{r.name}-{commit[:7]}"
    with tarfile.open(
        fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": commit}
    ) as archive:
        for path, entry in sorted(r.store.files(commit).items()):
            member = tarfile.TarInfo(f"{root}/{path}")
            member.mtime = r.store.commits[commit].committer.at
            member.mode = 0o775 if entry.mode == EXECUTABLE else 0o664
            content = r.store.blob(entry.sha) or b""
            if entry.mode == SUBMODULE:
                member.type, member.mode, content = tarfile.DIRTYPE, 0o775, b""
            elif entry.mode == SYMLINK:
                member.type, member.linkname, content = tarfile.SYMTYPE, content.decode(), b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


ROUTES = (Route("GET", "/repos/{owner}/{repo}/tarball/{ref}", get_tarball, ("contents=read",)),)
