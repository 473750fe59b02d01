"""Git's objects: commits, trees, blobs, tags."""

from __future__ import annotations

import base64

from fake_github.git_objects import Entry
from fake_github.refusals import not_found
from fake_github.repositories import Repository
from fake_github.rest import shapes
from fake_github.rest.branches import resolve, stocked
from fake_github.rest.routing import Answer, Asked, Route
from fake_github.rest.shapes import Json

_G = "/repos/{owner}/{repo}/git"
_READ = ("contents=read",)


def get_commit(asked: Asked) -> Answer:
    r = stocked(asked)
    found = r.store.commits.get(asked.params["commit_sha"])
    if found is None:
        raise not_found()
    return Answer(200, shapes.git_commit(r, found))


def _tree_entry(r: Repository, path: str, entry: Entry) -> Json:
    mode = f"{int(entry.mode, 8):06o}"
    built: Json = {"path": path, "mode": mode, "type": entry.kind, "sha": entry.sha}
    if entry.kind == "blob":
        built["size"] = len(r.store.blob(entry.sha) or b"")
    if entry.kind != "commit":
        built["url"] = f"{shapes.api(r)}/git/{entry.kind}s/{entry.sha}"
    return built


def get_tree(asked: Asked) -> Answer:
    """By tree, commit or branch. `recursive` with any value walks down; more than the limit sets `truncated`."""
    r, name = stocked(asked), asked.params["tree_sha"]
    commit = resolve(r, name)
    tree = name if r.store.is_tree(name) else r.store.commits[commit].tree if commit else None
    if tree is None:
        raise not_found()
    entries = list(r.store.walk(tree) if "recursive" in asked.query else r.store.children(tree))
    shown = [_tree_entry(r, path, entry) for path, entry in entries[: r.tree_limit]]
    built = {
        "sha": tree,
        "url": f"{shapes.api(r)}/git/trees/{tree}",
        "tree": shown,
        "truncated": len(entries) > r.tree_limit,
    }
    return Answer(200, built)


def get_blob(asked: Asked) -> Answer:
    """JSON with base64 in lines of 60 as GitHub cuts them, or the bytes when the Accept header asks for raw."""
    r, sha = stocked(asked), asked.params["file_sha"]
    content = r.store.blob(sha)
    if content is None:
        raise not_found()
    if "raw" in asked.accept:
        return Answer(200, content, {"Content-Type": "application/vnd.github.raw; charset=utf-8"})
    encoded = base64.b64encode(content).decode()
    lines = "".join(f"{encoded[i : i + 60]}\n" for i in range(0, len(encoded), 60))
    built = {
        "sha": sha,
        "node_id": f"B_kwDO{sha}",
        "size": len(content),
        "url": f"{shapes.api(r)}/git/blobs/{sha}",
        "content": lines,
        "encoding": "base64",
    }
    return Answer(200, built)


def get_tag(asked: Asked) -> Answer:
    """An annotated tag."""
    r = stocked(asked)
    tag = r.store.tags.get(asked.params["tag_sha"])
    if tag is None:
        raise not_found()
    return Answer(200, shapes.tag(r, tag))


ROUTES = (
    Route("GET", f"{_G}/commits/{{commit_sha}}", get_commit, _READ),
    Route("GET", f"{_G}/trees/{{tree_sha}}", get_tree, _READ),
    Route("GET", f"{_G}/tags/{{tag_sha}}", get_tag, _READ),
    Route("GET", f"{_G}/blobs/{{file_sha}}", get_blob, _READ),
)
