"""Branches, refs, commits and comparisons."""

from __future__ import annotations

import base64
import io
import tarfile
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

from fake_github.diffs import diff_files
from fake_github.git_objects import EXECUTABLE, SUBMODULE, SYMLINK, Entry, Signature
from fake_github.objects import BranchRule, Platform, Repository
from fake_github.refusals import empty_repository, not_found, unprocessable
from fake_github.rest import shapes
from fake_github.rest.routing import Answer, Asked, Route
from fake_github.rest.shapes import Json

_R = "/repos/{owner}/{repo}"
_READ, _WRITE = ("contents=read",), ("contents=write",)


def stocked(asked: Asked) -> Repository:
    """The repository, if it has a commit: 409 otherwise."""
    if asked.repository.is_empty:
        raise empty_repository()
    return asked.repository


def resolve(r: Repository, ref: str) -> str | None:
    """Commit of a full or short ref name, a tag or a commit id (at least 7 digits)."""
    name = ref.removeprefix("refs/")
    for kind, known in (("heads/", r.branches), ("tags/", r.tags)):
        if name.startswith(kind) and name.removeprefix(kind) in known:
            return r.store.peel(known[name.removeprefix(kind)])
    for known in (r.branches, r.tags):
        if ref in known:
            return r.store.peel(known[ref])
    matching = [sha for sha in r.store.commits if len(ref) >= 7 and sha.startswith(ref.lower())]
    return matching[0] if len(matching) == 1 else None


def _ref(r: Repository, name: str, sha: str) -> Json:
    kind = "tag" if sha in r.store.tags else "commit"
    return {
        "ref": f"refs/{name}",
        "node_id": f"REF_kwDO{r.id}:{name}",
        "url": f"{shapes.api(r)}/git/refs/{quote(name)}",
        "object": {"sha": sha, "type": kind, "url": f"{shapes.api(r)}/git/{kind}s/{sha}"},
    }


def get_ref(asked: Asked) -> Answer:
    r, name = stocked(asked), asked.params["ref"]
    kind, _, short = name.partition("/")
    sha = {"heads": r.branches, "tags": r.tags}.get(kind, {}).get(short)
    if sha is None:
        raise not_found()
    return Answer(200, _ref(r, name, sha))


def create_ref(asked: Asked) -> Answer:
    r = stocked(asked)
    ref, sha = asked.text("ref"), asked.text("sha")
    if not ref.startswith("refs/") or ref.count("/") < 2:
        raise unprocessable("Reference name must start with 'refs/' and contain at least two slashes.")
    kind, _, short = ref.removeprefix("refs/").partition("/")
    if kind != "heads":
        raise unprocessable("Reference update failed")
    r.create_branch(short, sha)
    return Answer(201, _ref(r, f"heads/{short}", sha), {"Location": f"{shapes.api(r)}/git/refs/heads/{quote(short)}"})


def delete_ref(asked: Asked) -> Answer:
    kind, _, short = asked.params["ref"].partition("/")
    if kind != "heads":
        raise unprocessable("Reference does not exist")
    stocked(asked).delete_branch(short)
    return Answer(204)


def get_branch(asked: Asked) -> Answer:
    r, name = asked.repository, asked.params["branch"]
    if name not in r.branches:
        raise not_found()
    url = f"{shapes.api(r)}/branches/{quote(name)}"
    protection = {"enabled": any(rule for rule in r.rules), "required_status_checks": {"contexts": [], "checks": []}}
    built = {
        "name": name,
        "commit": shapes.commit(r, r.store.commits[r.branches[name]]),
        "_links": {"self": url, "html": f"{r.url}/tree/{quote(name)}"},
        "protected": bool(r.rules),
        "protection": protection,
        "protection_url": f"{url}/protection",
    }
    return Answer(200, built)


def branch_rules(asked: Asked) -> Answer:
    """The rules for a branch of this name, which need not exist. Who may bypass them is not in it."""
    r = asked.repository

    def shown(rule: BranchRule) -> Json:
        built = {
            "type": rule.kind,
            "ruleset_source_type": "Repository",
            "ruleset_source": r.full_name,
            "ruleset_id": rule.ruleset,
        }
        return {**built, "parameters": rule.parameters} if rule.parameters else built

    return asked.page([rule for rule in r.rules if rule.applies(asked.params["branch"])], shown)


def get_ruleset(asked: Asked) -> Answer:
    r, wanted = asked.repository, int(asked.params["ruleset_id"])
    rules = [rule for rule in r.rules if rule.ruleset == wanted]
    if not rules:
        raise not_found()
    built = {
        "id": wanted,
        "name": f"for {rules[0].pattern}",
        "target": "branch",
        "source_type": "Repository",
        "source": r.full_name,
        "enforcement": "active",
    }
    return Answer(200, {**built, "current_user_can_bypass": rules[0].bypass} if rules[0].bypass else built)


def list_commits(asked: Asked) -> Answer:
    r = stocked(asked)
    start = resolve(r, asked.query.get("sha", r.default_branch))
    if start is None:
        raise not_found()
    return asked.page(r.store.history(start), lambda sha: shapes.commit(r, r.store.commits[sha]))


def get_commit(asked: Asked) -> Answer:
    """Also resolves a tag or branch of an action to its commit."""
    r, ref = stocked(asked), asked.params["ref"]
    sha = resolve(r, ref)
    if sha is None:
        raise unprocessable(f"No commit found for SHA: {ref}")
    if "sha" in asked.accept:
        return Answer(200, sha.encode(), {"Content-Type": "application/vnd.github.sha; charset=utf-8"})
    one = r.store.commits[sha]
    files = diff_files(r.store, one.parents[0] if one.parents else None, sha)
    stats = {"additions": sum(f.additions for f in files), "deletions": sum(f.deletions for f in files)}
    built = {
        **shapes.commit(r, one),
        "stats": {**stats, "total": sum(stats.values())},
        "files": [shapes.file(r, f, sha) for f in files],
    }
    return Answer(200, built)


def compare(asked: Asked) -> Answer:
    r = stocked(asked)
    one, _, other = asked.params["basehead"].partition("...")
    base, head = resolve(r, one.rpartition(":")[2]), resolve(r, other.rpartition(":")[2])
    merge_base = r.store.merge_base(base, head) if base and head else None
    if base is None or head is None or merge_base is None:
        raise not_found()
    ahead, behind = r.store.ahead(base, head), r.store.ahead(head, base)
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}.get(
        (bool(ahead), bool(behind)), "diverged"
    )
    page = asked.page(ahead, lambda sha: shapes.commit(r, r.store.commits[sha]))
    first = int(asked.query.get("page", "1")) == 1
    html = f"{r.url}/compare/{quote(asked.params['basehead'])}"
    built = {
        "url": f"{shapes.api(r)}/compare/{quote(asked.params['basehead'])}",
        "html_url": html,
        "permalink_url": f"{r.url}/compare/{base[:7]}...{head[:7]}",
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": shapes.commit(r, r.store.commits[base]),
        "merge_base_commit": shapes.commit(r, r.store.commits[merge_base]),
        "status": status,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": page.body,
        "files": [shapes.file(r, f, head) for f in diff_files(r.store, merge_base, head)] if first else [],
    }
    return Answer(200, built, page.headers)


def update_ref(asked: Asked) -> Answer:
    """Fast-forward unless `force`: 422 otherwise."""
    r = stocked(asked)
    kind, _, short = asked.params["ref"].partition("/")
    sha = asked.text("sha")
    if kind != "heads" or short not in r.branches:
        raise unprocessable("Reference does not exist")
    if sha not in r.store.commits:
        raise unprocessable("Object does not exist")
    if not asked.body.get("force") and r.branches[short] not in r.store.history(sha):
        raise unprocessable("Update is not a fast forward")
    r.check_rules("update", "pull_request", "required_status_checks", short)
    r.branches[short] = sha
    return Answer(200, _ref(r, f"heads/{short}", sha))


def merge(asked: Asked) -> Answer:
    """`base` is the branch that is written. 204 when there is nothing to merge, 409 for a conflict."""
    r, branch = stocked(asked), asked.text("base")
    commit = resolve(r, asked.text("head"))
    if branch not in r.branches or commit is None:
        raise not_found()
    r.check_rules("update", "pull_request", "required_status_checks", branch)
    if asked.token is not None:
        there, arriving = (r.store.files(sha) for sha in (r.branches[branch], commit))
        r.check_workflow_files([p for p, entry in arriving.items() if there.get(p) != entry], asked.token)
    made = r.merge(branch, commit, asked.body.get("commit_message") or f"Merge {commit} into {branch}", by=asked.actor)
    return Answer(204) if made is None else Answer(201, shapes.commit(r, r.store.commits[made]))


# Git's objects: commits, trees, blobs, tags.

_G = "/repos/{owner}/{repo}/git"


def git_get_commit(asked: Asked) -> Answer:
    r = stocked(asked)
    found = r.store.commits.get(asked.params["commit_sha"])
    if found is None:
        raise not_found()
    return Answer(200, shapes.git_commit(r, found))


def create_blob(asked: Asked) -> Answer:
    r, given = stocked(asked), asked.text("content")
    is_encoded = asked.body.get("encoding") == "base64"
    sha = r.store.put_blob(base64.b64decode(given) if is_encoded else given.encode())
    return Answer(201, {"sha": sha, "url": f"{shapes.api(r)}/git/blobs/{sha}"})


def create_tree(asked: Asked) -> Answer:
    """`base_tree` with the entries of `tree`, by object alone; one whose `sha` is null is deleted."""
    r = stocked(asked)
    base = asked.body.get("base_tree")
    files = {} if base is None else {p: e for p, e in r.store.walk(base) if e.kind != "tree"}
    for entry in asked.body["tree"]:
        files.pop(entry["path"], None)
        if entry["sha"] is not None:
            files[entry["path"]] = Entry(entry["mode"], entry["sha"])
    tree = r.store.put_tree(files)
    shown = [_tree_entry(r, name, entry) for name, entry in r.store.children(tree)]
    built = {"sha": tree, "url": f"{shapes.api(r)}/git/trees/{tree}", "tree": shown, "truncated": False}
    return Answer(201, built)


def create_commit(asked: Asked) -> Answer:
    r, parents = stocked(asked), tuple(asked.body.get("parents") or ())
    if not r.store.is_tree(asked.text("tree")) or any(parent not in r.store.commits for parent in parents):
        raise unprocessable("Tree SHA does not exist")
    signature = Signature(asked.actor.login, "bot@users.noreply.github.com", int(asked.github.clock()))
    made = r.store.put_commit(asked.text("tree"), parents, asked.text("message"), signature, signature, verified=True)
    return Answer(201, shapes.git_commit(r, r.store.commits[made]))


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


# The tarball of a commit: the API answers 302, the bytes come from another path without the token, as GitHub's
# codeload does.


def get_tarball(asked: Asked) -> Answer:
    r, ref = stocked(asked), asked.params["ref"]
    commit = resolve(r, ref)
    if commit is None:
        raise not_found()
    secret = asked.token.secret[-8:] if asked.token else ""
    return Answer(302, b"", {"Location": f"{r.github.base_url}/_codeload/{quote(r.full_name)}/{commit}?token={secret}"})


def download(github: Platform, request: Request) -> Response:
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


ROUTES = (
    Route("GET", f"{_R}/git/ref/{{ref}}", get_ref, _READ),
    Route("POST", f"{_R}/git/refs", create_ref, _WRITE),
    Route("PATCH", f"{_R}/git/refs/{{ref}}", update_ref, _WRITE),
    Route("DELETE", f"{_R}/git/refs/{{ref}}", delete_ref, _WRITE),
    Route("GET", f"{_R}/branches/{{branch}}", get_branch, _READ),
    Route("GET", f"{_R}/rules/branches/{{branch}}", branch_rules, ("metadata=read",)),
    Route("GET", f"{_R}/rulesets/{{ruleset_id}}", get_ruleset, ("metadata=read",)),
    Route("GET", f"{_R}/commits", list_commits, _READ),
    Route("GET", f"{_R}/commits/{{ref}}", get_commit, _READ),
    Route("GET", f"{_R}/compare/{{basehead}}", compare, _READ),
    Route("POST", f"{_R}/merges", merge, _WRITE),
    Route("POST", f"{_G}/blobs", create_blob, _WRITE),
    Route("POST", f"{_G}/trees", create_tree, _WRITE),
    Route("POST", f"{_G}/commits", create_commit, _WRITE),
    Route("GET", f"{_G}/commits/{{commit_sha}}", git_get_commit, _READ),
    Route("GET", f"{_G}/trees/{{tree_sha}}", get_tree, _READ),
    Route("GET", f"{_G}/tags/{{tag_sha}}", get_tag, _READ),
    Route("GET", f"{_G}/blobs/{{file_sha}}", get_blob, _READ),
    Route("GET", "/repos/{owner}/{repo}/tarball/{ref}", get_tarball, ("contents=read",)),
)
