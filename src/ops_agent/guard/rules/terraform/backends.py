"""Where the state lives (D12 of the security bar)."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.paths import is_backend_file
from ops_agent.guard.rule import Hit, TerraformFile, WholeChange
from ops_agent.guard.tree import SourceTree
from ops_agent.model.terraform import Block, TerraformSource

_OPEN = frozenset({"bucket", "key", "region", "encrypt", "use_lockfile", "dynamodb_table", "kms_key_id"})


def backend_changed(change: WholeChange) -> Iterator[Hit]:
    """The backend or the required version of an existing module changes.

    Another backend is another state: the next apply would create everything again, or write where somebody else reads.

    Remedy: Leave `backend`, `cloud` and `required_version` as they are; ask people to move state.
    """
    directories = {p.rpartition("/")[0] or "." for p in change.changes.paths}
    for directory in sorted(directories):
        before, after = _settings(change.base, directory), _settings(change.head, directory)
        existed = bool(change.base.configurations(directory))
        if existed and before.keys() != after.keys():
            path, line = next((place for text, place in after.items() if text not in before), (directory, 0))
            yield Hit(
                path=path, line=line, what=f"the backend or required version of `{directory}` changes", anchor=directory
            )


def backend_block(file: TerraformFile) -> Iterator[Hit]:
    """A backend that is not an S3 backend filled by the environment's file.

    The team's state lives in S3, and each environment's backend file says where; HCP Terraform and other backends are
    not in use.

    Remedy: Write `backend "s3" {}` and put bucket, key, region, lock and encryption into
    `backend/{environment}/backend.hcl`.
    """
    for block in file.source.of_type("terraform"):
        for inner in block.blocks:
            if inner.type == "cloud" or (inner.type == "backend" and inner.labels != ("s3",)):
                yield file.hit(block, f"`{inner.name}` is not the S3 backend", inner)
            elif inner.type == "backend" and inner.members:
                what = f"`{inner.name}` sets `{min(inner.members)}` for all environments at once"
                yield file.hit(block, what, inner)


def backend_file_changed(change: WholeChange) -> Iterator[Hit]:
    """An existing backend file is changed or deleted.

    It says where the state of an environment is; a change would orphan or overwrite it.

    Remedy: Leave the file as it is; ask people to move state.
    """
    for entry in change.changes.changes:
        if entry.before is None or not _is_backend(entry.path, change.base):
            continue
        before = change.base.terraform(entry.path)
        after = change.head.terraform(entry.path) if entry.after is not None else None
        if (
            isinstance(before, TerraformSource)
            and isinstance(after, TerraformSource)
            and _arguments(before) == _arguments(after)
        ):
            continue
        yield Hit(
            path=entry.path,
            line=0,
            what="it is changed" if entry.after is not None else "it is deleted",
            anchor=entry.path,
        )


def backend_file(file: TerraformFile) -> Iterator[Hit]:
    """A backend file without what the standard demands, or with more.

    A backend file has literal bucket, key, region (the policy's), `encrypt = true` and a lock (`use_lockfile = true` or
    a table), and nothing that leads credentials elsewhere.

    Remedy: Write bucket, key, region, encrypt and use_lockfile as literals, and nothing else.
    """
    if file.kind != "backend":
        return
    values = {a.name: a.expression.value for a in file.source.attributes}
    wanted = {
        "bucket": bool(values.get("bucket")),
        "key": bool(values.get("key")),
        "region": values.get("region") == file.policy.region,
        "encrypt": values.get("encrypt") is True,
        "a lock": values.get("use_lockfile") is True or bool(values.get("dynamodb_table")),
    }
    for name, is_there in wanted.items():
        if not is_there:
            anchor = f"{name} {values.get(name)}"
            yield Hit(path=file.path, line=1, what=f"{name} is missing, wrong or not a literal", anchor=anchor)
    for piece in file.pieces():
        if piece.name not in _OPEN:
            yield file.hit(piece, f"`{piece.name}` is not open to the agent")


def shared_state(change: WholeChange) -> Iterator[Hit]:
    """Two environments or roots share one state.

    The same bucket and key twice means that one overwrites the other.

    Remedy: Give every environment its own bucket, and every root its own key.
    """
    for path, files in _with_the_same(change, "bucket", "key"):
        other = next(iter(files), None)
        if other is not None:
            yield Hit(path=path, line=1, what=f"bucket and key are those of `{other}`", anchor=f"{path} {other}")


def shared_bucket(change: WholeChange) -> Iterator[Hit]:
    """Two environments keep their state in one bucket or lock by one table.

    Whoever may write one environment's state can then write the other's.

    Remedy: Give every environment its own bucket and table.
    """
    names = change.head.environment_of
    for argument in ("bucket", "dynamodb_table"):
        for path, files in _with_the_same(change, argument):
            other = next((file for file in files if names[file] != names[path]), None)
            if other is not None:
                what = f"`{argument}` is that of `{other}`"
                yield Hit(path=path, line=1, what=what, anchor=f"{path} {other} {argument}")


def _settings(tree: SourceTree, directory: str) -> dict[str, tuple[str, int]]:
    """Text of every backend, cloud and required_version of a directory, with its place."""
    found: dict[str, tuple[str, int]] = {}
    for path, source in tree.module(directory):
        for block in source.of_type("terraform"):
            found.update({f"{b.name} {b.text}": (path, b.line) for b in block.blocks if b.type in ("backend", "cloud")})
            version = block.attribute("required_version")
            if version is not None:
                found[f"required_version {version.expression.text}"] = (path, version.line)
    return found


def _is_backend(path: str, tree: SourceTree) -> bool:
    return is_backend_file(path) or path in tree.backend_files


def _arguments(source: TerraformSource) -> tuple[dict[str, str], tuple[Block, ...]]:
    return {a.name: a.expression.text for a in source.attributes}, source.blocks


def _with_the_same(change: WholeChange, *arguments: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Backend files that the change touches, each with files that have the same literal values: two of every
    environment are enough.
    """
    tree = change.head
    touched = tree.backend_files & set(change.changes.paths)
    found: dict[object, dict[str, list[str]]] = {}
    values = {p: tuple(_value(tree, p, a) for a in arguments) for p in sorted(tree.backend_files) if touched}
    for path, same in values.items():
        of_environment = found.setdefault(same, {}).setdefault(tree.environment_of[path], [])
        if len(of_environment) < 2:
            of_environment.append(path)
    for path in sorted(touched):
        if all(values[path]):
            others = (other for files in found[values[path]].values() for other in files)
            yield path, tuple(o for o in others if o not in touched or o > path)  # a pair is named once


def _value(tree: SourceTree, path: str, name: str) -> object:
    source = tree.terraform(path)
    attributes = source.attributes if isinstance(source, TerraformSource) else ()
    return next((a.expression.value for a in attributes if a.name == name), None)
