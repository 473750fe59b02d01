"""What the roots of a base commit need of a runner, and why a plan may not run with the role: read from their files,
before anything is run and before the llm is asked. The doctor and a run say the same.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ops_agent.guard.providers import (
    BESIDE_A_ROLE,
    declared_providers,
    implied_address,
    installable,
    lock_of,
    providers_of,
)
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import Scope, evaluate, instances_of, possible_values
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.policy import AWS_PROVIDERS
from ops_agent.model.terraform import (
    Attribute,
    Block,
    EngineWish,
    Environment,
    Expression,
    TerraformRoot,
    TerraformSource,
    TerraformTarget,
)
from ops_agent.terraform.modules import LOCK_FILE, Locked
from ops_agent.terraform.versions import OLDEST, is_as_pinned, pinned_version, unmet, version_to_install

_ASSUMES: Final = frozenset({"assume_role", "assume_role_with_web_identity", "assume_role_with_saml", "role_arn"})
_KEYS: Final = frozenset({"access_key", "secret_key", "token"})
_FILES: Final = frozenset(
    {"profile", "shared_config_file", "shared_config_files", "shared_credentials_file", "shared_credentials_files"}
)
_CREDENTIALS: Final = _ASSUMES | _KEYS | _FILES
_OFFLINE: Final = "Such an environment is planned without its account."
_REMEDIES: Final = {
    _ASSUMES: (
        "ops-agent hands Terraform the credentials of the environment's own role (`aws_role_arn`, `aws_role_arns`), "
        f"which may not become another role. {_OFFLINE} For a plan with the account let a pipeline assume its role "
        "before Terraform starts, and take the argument out."
    ),
    _KEYS: (
        f"ops-agent has no such keys and invents none. {_OFFLINE} For a plan with the account take the arguments out: "
        "the credentials of a job are in its environment."
    ),
    _FILES: (
        f"A runner has no such files of its user. {_OFFLINE} For a plan with the account take the argument out: people "
        "set `AWS_PROFILE` instead."
    ),
}
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a root needs and has not. `stops`: nothing of the root can be planned, whatever the change."""

    root: str
    finding: Finding
    stops: bool


def engine_wish(tree: SourceTree, root: TerraformRoot) -> EngineWish:
    """What the files of a root and its local modules ask of the engine."""
    required: list[tuple[Place, str]] = []
    loads_tofu = None
    for directory in (root.path, *root.local_modules):
        for path in tree.configurations(directory):
            if path.endswith((".tofu", ".tofu.json")) and loads_tofu is None:
                loads_tofu = Place(path=path)
        for path, source in tree.module(directory):
            for block in source.of_type("terraform"):
                constraint = block.attribute("required_version")
                if constraint is not None and isinstance(constraint.expression.value, str):
                    required.append((Place(path=path, line=constraint.line), constraint.expression.value))
    pinned = pinned_version(root.path, tree.paths, tree.read)
    return EngineWish(required=tuple(required), loads_tofu=loads_tofu, pinned=pinned)


def needs_of(
    tree: SourceTree, roots: Iterable[TerraformRoot], engine: str, has_role: Callable[[Environment], bool]
) -> tuple[Need, ...]:
    """Of the `roots` of a base, in their order. `engine` is the one that will run (`Terraform 1.15.5 (embedded)`)."""
    return tuple(need for root in roots for need in _of_root(tree, root, engine, has_role))


def _of_root(
    tree: SourceTree, root: TerraformRoot, engine: str, has_role: Callable[[Environment], bool]
) -> Iterator[Need]:
    stopping = [*_stopping(tree, root, engine)]
    yield from stopping
    found: dict[Finding, None] = {}
    for environment in filter(has_role, root.environments if not any(need.stops for need in stopping) else ()):
        found |= dict.fromkeys(not_with_role(tree, TerraformTarget(root=root, environment=environment)))
    yield from (Need(root.path, one, False) for one in found)


def _stopping(tree: SourceTree, root: TerraformRoot, engine: str) -> Iterator[Need]:
    yield from _of_engine(engine_wish(tree, root), root, engine)
    for path, why in tree.broken_links_of(root):
        remedy = "Let the link lead to a file of the repository by a relative path, or put the file in its place."
        yield Need(root.path, _finding(Place(path=path), "broken-link", f"the symbolic link {why}", remedy), True)
    for entry in lock_of(tree, root):
        if not any(one.startswith(("h1:", "zh:")) for one in entry.hashes):
            yield Need(root.path, _of_lock(root, entry), True)
    for address in sorted(providers_of(tree, root) - set(installable(tree.policy, tree, root))):
        what = f"it needs the provider `{address}`, which is not allowed"
        remedy = f"Allow `{address}` with `allowed_providers`, or take it out of the root."
        yield Need(root.path, _finding(Place(path=root.path), "provider-not-allowed", what, remedy), True)


def _of_engine(wish: EngineWish, root: TerraformRoot, engine: str) -> Iterator[Need]:
    name, version, *_ = [*engine.split(), ""]
    kind = "tofu" if name == "OpenTofu" else "terraform"
    lacking = unmet(wish, kind, version)
    if lacking is not None:
        what, place = lacking
        yield Need(root.path, _of_version(wish, kind, f"it asks for {what}", place, engine), True)
    elif wish.pinned is not None and not is_as_pinned(wish, kind, version):
        wanted, exact, place = wish.pinned
        what = f"it asks for {'OpenTofu' if wanted == 'tofu' else 'Terraform'} {exact}"
        yield Need(root.path, _of_version(wish, wanted, what, place, engine), False)


def _of_version(wish: EngineWish, kind: str, what: str, place: Place, engine: str) -> Finding:
    kind = "tofu" if wish.loads_tofu or (wish.pinned and wish.pinned[0] == "tofu") else kind
    action = "opentofu/setup-opentofu" if kind == "tofu" else "hashicorp/setup-terraform"
    version = version_to_install(wish, kind)
    remedy = (
        f"Before ops-agent: `uses: {action}` with `{'tofu' if kind == 'tofu' else 'terraform'}_version: {version}`."
    )
    if not version:
        remedy = f"ops-agent needs {'.'.join(map(str, OLDEST))} or newer: widen the constraint on the base branch."
    return _finding(place, "another-engine", f"{what}, and here runs {engine}", remedy)


def locked_for_one_platform(tree: SourceTree, root: TerraformRoot) -> tuple[Finding, ...]:
    """Entries of a lock file with one `h1` alone. It is of the platform that the file was made on, which it does not
    name; the doctor says so.
    """
    lonely = (e for e in lock_of(tree, root) if len(e.hashes) == 1 and all(h.startswith("h1:") for h in e.hashes))
    return tuple(
        _of_lock(root, e, "the only hash of `{}` is of the platform that it was made on, which need not be {}")
        for e in lonely
    )


def _of_lock(root: TerraformRoot, entry: Locked, words: str = "no hash of `{}` is for {}") -> Finding:
    path = LOCK_FILE if root.path == "." else f"{root.path}/{LOCK_FILE}"
    machine = platform.machine()
    runner = f"linux_{_ARCHITECTURES.get(machine, machine)}"
    what = words.format(entry.address, runner)
    remedy = f"Run `terraform providers lock -platform={runner}` in the root, and commit the lock file."
    return _finding(Place(path=path), "lock-without-hash", what, remedy)


def not_with_role(tree: SourceTree, target: TerraformTarget) -> tuple[Finding, ...]:
    """Why a plan of a target may not run with the role, or cannot. Its process has the role's credentials and reaches
    AWS in the region alone, so no other provider may run beside it, and nobody's invented keys are sent.
    """
    root, found = target.root, []
    for address in sorted(providers_of(tree, root) - BESIDE_A_ROLE):
        name = address.removeprefix("registry.terraform.io/")
        what = f"it uses the provider `{name}`, which may not run beside the role of a plan"
        remedy = f"{_OFFLINE} Keep what needs `{name}` in a root of its own if a plan with the account matters."
        found.append(_finding(Place(path=root.path), "other-provider", what, remedy))
    for instance in instances_of(target, tree):
        declared, scope = declared_providers(tree, instance.directory), instance.scope
        for path, block in instance.blocks("provider", "data"):
            if block.type == "provider":
                if declared.get(block.label, implied_address(block.label)) in AWS_PROVIDERS:
                    found += _of_credentials(block, scope, path, f"`{block.name}`")
            elif _is_off(block.attribute("count"), scope):
                continue
            elif block.label == "tls_certificate":
                what = f"`{block.name}` asks a server that a plan with a role does not reach"
                found.append(_finding(Place(path=path, line=block.line), "reaches-out", what, _OFFLINE))
            elif block.label == "terraform_remote_state" and (config := block.attribute("config")):
                for key, value in config.expression.pairs:
                    if key.value in _CREDENTIALS and not _is_empty(value, scope):
                        place = Place(path=path, line=block.line)
                        found.append(_credentials(str(key.value), place, f"`{block.name}`"))
    if root.has_backend:
        found += _of_backend(tree, target)
    return tuple(dict.fromkeys(found))


def _of_backend(tree: SourceTree, target: TerraformTarget) -> Iterator[Finding]:
    scope, path = Scope(tree.policy.region), target.environment.backend_file
    source = tree.terraform(path) if path in tree.paths else None
    if path and isinstance(source, TerraformSource):
        whole = Block(type="backend", labels=(), attributes=source.attributes, blocks=source.blocks, line=1, text="")
        yield from _of_credentials(whole, scope, path, "the backend")
    for file, module in tree.module(target.root.path):
        for block in (b for t in module.of_type("terraform") for b in t.blocks if b.type == "backend"):
            yield from _of_credentials(block, scope, file, "the backend")


def _of_credentials(block: Block, scope: Scope, path: str, name: str) -> Iterator[Finding]:
    for attribute in (a for a in block.attributes if a.name in _CREDENTIALS):
        if not _is_empty(attribute.expression, scope):
            yield _credentials(attribute.name, Place(path=path, line=attribute.line), name)
    for inner in (b for b in block.blocks if b.kind in _CREDENTIALS):
        role = next((a for b in inner.walk() for a in b.attributes if a.name == "role_arn"), None)
        if not _is_off(inner.attribute("for_each"), scope) and not (role and _is_empty(role.expression, scope)):
            yield _credentials(inner.kind, Place(path=path, line=inner.line), name)


def _credentials(argument: str, place: Place, name: str) -> Finding:
    kind = next(kind for kind in _REMEDIES if argument in kind)
    does = {_ASSUMES: "becomes another role", _KEYS: "takes keys of its own", _FILES: "reads files of its user"}[kind]
    return _finding(place, "own-credentials", f"{name} {does} (`{argument}`)", _REMEDIES[kind])


def _is_empty(expression: Expression, scope: Scope) -> bool:
    """True for an argument that is surely not given: `null`, or an empty text."""
    return all(value in (None, "", []) for value in possible_values(expression, scope))


def _is_off(attribute: Attribute | None, scope: Scope) -> bool:
    """True for a `count` of 0 and an empty `for_each`."""
    return attribute is not None and evaluate(attribute.expression, scope) in (0, [], {})


def by_words(needs: Iterable[Need]) -> Mapping[tuple[str, str, bool], tuple[str, ...]]:
    """What several roots need alike: words, remedy and whether it stops, with the places in order."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for need in needs:
        key = (need.finding.what, need.finding.remedy, need.stops)
        found.setdefault(key, []).append(str(need.finding.place))
    return {key: tuple(dict.fromkeys(places)) for key, places in found.items()}


def _finding(place: Place, rule: str, what: str, remedy: str) -> Finding:
    title = "What a root needs"
    return Finding(rule=f"layout/{rule}", title=title, place=place, what=what, remedy=remedy, severity=Severity.NOTICE)
