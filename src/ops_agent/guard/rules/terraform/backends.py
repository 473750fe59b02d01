"""Where the state is, and whether every environment has its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ops_agent.guard.paths import is_backend_file
from ops_agent.guard.rule import TerraformFile, WholeChange, hit, rule
from ops_agent.guard.rules.terraform.regions_and_accounts import is_of_another_cloud
from ops_agent.guard.tree import SourceTree
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import ROOT
from ops_agent.model.terraform import Attribute, Block, Scalar, TerraformSource
from ops_agent.terraform.environments import canonical
from ops_agent.terraform.modules import directory_of

_OPEN = frozenset({"bucket", "key", "region", "encrypt", "use_lockfile", "dynamodb_table", "kms_key_id"})
_OF_OTHER_CLOUDS = frozenset({"azurerm", "gcs"})


@rule(Severity.BLOCKS)
def backend_changed(change: WholeChange) -> Iterator[Finding]:
    """The backend of an existing module changes.

    Another backend means another state: the next apply would create everything again, or overwrite another state.

    Remedy: Leave `backend` and `cloud` as they are; ask a person to move the state.
    """
    for directory, before, after in _modules(change):
        old, new = ({t: p for t, p in side.items() if not t.startswith("required_version")} for side in (before, after))
        if old.keys() != new.keys():
            path, line = next((place for text, place in new.items() if text not in old), (directory, 0))
            yield hit(path=path, line=line, what=f"the backend of `{directory}` changes", anchor=directory)


@rule(Severity.WARNING)
def required_version_changed(change: WholeChange) -> Iterator[Finding]:
    """The required version of Terraform changes.

    Everybody who plans or applies this module needs a matching version, and a newer one may write a state that older
    ones cannot read.

    Remedy: Keep `required_version`, or say in the pull request which version people need.
    """
    for directory, before, after in _modules(change):
        old, new = ({t: p for t, p in side.items() if t.startswith("required_version")} for side in (before, after))
        if old and old.keys() != new.keys() and change.head.configurations(directory):
            path, line = next(iter(new.values()), (directory, 0))
            yield hit(path=path, line=line, what=f"the required version of `{directory}` changes", anchor=directory)


@rule(Severity.BLOCKS)
def backend_block(file: TerraformFile) -> Iterator[Finding]:
    """A backend is neither an empty S3 backend nor that of the root's one environment.

    The state is in S3, and each environment's backend file says where. The code says it only in a root that has exactly
    one environment, with the same demands as of a backend file. HCP Terraform and other backends are not in use.

    Remedy: Write `backend "s3" {}` and put bucket, key, region, lock and encryption into
    `backend/{environment}/backend.hcl`; in a root of one environment they may be literals in the code.
    """
    for block in file.source.of_type("terraform"):
        for inner in block.blocks:
            is_other = inner.label in ("", *_OF_OTHER_CLOUDS)
            if is_other and inner.type == "backend" and is_of_another_cloud(file.tree, file.directory):
                continue
            if inner.type == "cloud" or (inner.type == "backend" and inner.labels != ("s3",)):
                yield file.hit(block, f"`{inner.name}` is not the S3 backend", inner)
            elif inner.type == "backend" and inner.members:
                for what in _wrong_in_code(file, inner):
                    yield file.hit(block, what, inner)


@rule(Severity.BLOCKS)
def backend_file_changed(change: WholeChange) -> Iterator[Finding]:
    """An existing backend file is changed or deleted.

    It says where an environment's state is; a change would orphan or overwrite the state.

    Remedy: Leave the file as it is; ask a person to move the state.
    """
    for entry in change.changes.changes:
        if entry.before is not None and _is_backend(entry.path, change.base):
            before = change.base.terraform(entry.path)
            after = change.head.terraform(entry.path) if entry.after is not None else None
            both = isinstance(before, TerraformSource) and isinstance(after, TerraformSource)
            if not both or _arguments(before) != _arguments(after):
                what = "it is changed" if entry.after is not None else "it is deleted"
                yield hit(path=entry.path, what=what, anchor=entry.path)


@rule(Severity.BLOCKS)
def backend_file(file: TerraformFile) -> Iterator[Finding]:
    """A backend file lacks a required argument, or has one that is not allowed.

    A backend file has a literal bucket, key and region (the policy's), `encrypt = true` and a lock (`use_lockfile =
    true` or a table), and nothing that sends credentials elsewhere.

    Remedy: Write bucket, key, region, encrypt and use_lockfile as literals, and nothing else.
    """
    if file.kind != "backend":
        return
    values = _literals(file.source.attributes)
    for name in _lacking(values, file):
        anchor = f"{name} {values.get(name)}"
        yield hit(path=file.path, line=1, what=f"{name} is missing, wrong or not a literal", anchor=anchor)
    for piece in file.pieces():
        if piece.name not in _OPEN:
            yield file.hit(piece, f"`{piece.name}` may not be set")


@rule(Severity.BLOCKS, disputable=True)
def missing_environment_file(change: WholeChange) -> Iterator[Finding]:
    """An environment has no variable file or backend file, although another one has.

    All environments share the code. An environment without its own files cannot be planned, or would use those of
    another one.

    Remedy: Add the file for every environment: `environments/{environment}/terraform.tfvars` and
    `backend/{environment}/backend.hcl`.
    """
    for root in change.head.affected_roots(change.changes.paths):
        before, after = _missing(change.base, root.path, change), _missing(change.head, root.path, change)
        for (environment, kind), example in sorted(after.items()):
            if (environment, kind) not in before:
                what = f"`{root.path}` has no {kind} file for `{environment}`, only `{example}`"
                yield hit(path=example, what=what, anchor=what)


@rule(Severity.BLOCKS)
def shared_state(change: WholeChange) -> Iterator[Finding]:
    """Two environments or roots share one state.

    With the same bucket and key, one overwrites the other.

    Remedy: Give every environment its own bucket, and every root its own key.
    """
    for path, files in _with_the_same(change, "bucket", "key"):
        other = next(iter(files), None)
        if other is not None:
            yield hit(path=path, line=1, what=f"bucket and key are the same as in `{other}`", anchor=f"{path} {other}")


@rule(Severity.NOTICE)
def shared_bucket(change: WholeChange) -> Iterator[Finding]:
    """Two environments keep their state in one bucket, or lock it in one table.

    Who may write the state of one environment can then write that of the other.

    Remedy: Give every environment its own bucket and table.
    """
    for argument in ("bucket", "dynamodb_table"):
        for path, files in _with_the_same(change, argument):
            states = _states(change.head)
            other = next((file for file in files if states[file][0] != states[path][0]), None)
            if other is not None:
                what = f"`{argument}` is the same as in `{other}`"
                yield hit(path=path, line=1, what=what, anchor=f"{path} {other} {argument}")


_Settings = Mapping[str, tuple[str, int]]


def _modules(change: WholeChange) -> Iterator[tuple[str, _Settings, _Settings]]:
    """The modules of the base whose files change, with their settings on both sides."""
    for directory in sorted({directory_of(p) for p in change.changes.paths}):
        if change.base.configurations(directory):
            yield directory, _settings(change.base, directory), _settings(change.head, directory)


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


def _missing(tree: SourceTree, root_path: str, change: WholeChange) -> dict[tuple[str, str], str]:
    """Environment and kind of the files that a root lacks, with one that another environment has."""
    names = {canonical(name) for name in change.policy.accounts} - {ROOT}
    found: dict[tuple[str, str], str] = {}
    for root in (r for r in tree.layout.roots if r.path == root_path):
        own = {canonical(e.name): e for e in root.environments}
        for kind in ("backend", "variable"):
            files = {n: e.backend_file if kind == "backend" else next(iter(e.var_files), None) for n, e in own.items()}
            example = next((f for n, f in sorted(files.items()) if f and n in names), None)
            found |= {(n, kind): example for n in names if example is not None and not files.get(n)}
    return found


def _is_backend(path: str, tree: SourceTree) -> bool:
    return is_backend_file(path) or path in tree.backend_files


def _arguments(source: object) -> tuple[dict[str, str], tuple[Block, ...]] | None:
    if not isinstance(source, TerraformSource):
        return None
    return {a.name: a.expression.text for a in source.attributes}, source.blocks


def _with_the_same(change: WholeChange, *arguments: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Places of states that the change touches, each with others that have the same literal values: two of every
    environment are enough. Code that names the same state as on the base is not touched.
    """
    tree, paths = change.head, frozenset(change.changes.paths)
    before = dict(_find_states(change.base, paths)) if change.base is not tree else {}
    now = dict(_find_states(tree, paths))
    touched = {p for p in now if p in tree.backend_files or now[p] != before.get(p)}
    states = _states(tree) if touched else {}
    found: dict[object, dict[str, list[str]]] = {}
    values = {p: tuple(given.get(a) for a in arguments) for p, (_, given) in states.items()}
    for path, same in values.items():
        of_environment = found.setdefault(same, {}).setdefault(states[path][0], [])
        if len(of_environment) < 2:
            of_environment.append(path)
    for path in sorted(touched):
        if all(values[path]):
            others = (other for files in found[values[path]].values() for other in files)
            yield path, tuple(o for o in others if o not in touched or o > path)  # a pair is named once


_State = tuple[str, Mapping[str, Scalar]]


def _states(tree: SourceTree) -> Mapping[str, _State]:
    return tree.remembered(_states, lambda: dict(sorted(_find_states(tree, tree.paths))))


def _find_states(tree: SourceTree, paths: frozenset[str]) -> Iterator[tuple[str, _State]]:
    """Environment and arguments of every state, by that of `paths` that says where it is: a backend file, or the code
    of a root without one (of the environment "" where that is several).
    """
    for path in tree.backend_files & paths:
        source = tree.terraform(path)
        attributes = source.attributes if isinstance(source, TerraformSource) else ()
        yield path, (tree.environment_of[path], _literals(attributes))
    for root in tree.layout.roots:
        names = [e.name for e in root.environments if e.backend_file is None]
        if root.has_backend and (names or not root.environments):
            for path in paths.intersection(tree.configurations(root.path)):
                source = tree.terraform(path)
                blocks = source.of_type("terraform") if isinstance(source, TerraformSource) else ()
                for inner in (b for block in blocks for b in block.blocks):
                    if inner.name == 'backend "s3"' and {"bucket", "key"} <= inner.members:
                        yield path, (names[0] if len(names) == 1 else "", _literals(inner.attributes))


def _literals(attributes: Iterable[Attribute]) -> dict[str, Scalar]:
    return {a.name: a.expression.value for a in attributes}


def _lacking(values: Mapping[str, Scalar], file: TerraformFile) -> list[str]:
    """What the arguments of a backend lack of what every state needs."""
    wanted = {
        "bucket": bool(values.get("bucket")),
        "key": bool(values.get("key")),
        "region": values.get("region") == (file.policy.region or values.get("region") or True),
        "encrypt": values.get("encrypt") is True,
        "a lock": values.get("use_lockfile") is True or bool(values.get("dynamodb_table")),
    }
    return [name for name, is_there in wanted.items() if not is_there]


def _wrong_in_code(file: TerraformFile, backend: Block) -> Iterator[str]:
    """What is wrong with an S3 backend that is not empty."""
    roots = [root for root in file.tree.roots_of(file.directory) if root.path == file.directory]
    environments = [environment for root in roots for environment in root.environments]
    sets = f"`{backend.name}` sets `{min(backend.members)}`"
    if len(environments) != 1:
        yield f"{sets} for all environments at once"
    elif environments[0].unsettled:
        yield f"{sets}, and {environments[0].unsettled}"
    elif environments[0].backend_file:
        yield f"{sets}, which belongs into `{environments[0].backend_file}`"
    else:
        values = _literals(backend.attributes)
        computed = (name for name, value in values.items() if name in _OPEN and value is None)
        for name in dict.fromkeys((*_lacking(values, file), *computed)):
            yield f"{name} of `{backend.name}` is missing, wrong or not a literal"
        for name in sorted(backend.members - _OPEN):
            yield f"`{name}` of `{backend.name}` may not be set"
