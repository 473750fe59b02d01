"""Which providers a directory or a root needs, and which of them may be installed for it."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.tree import SourceTree
from ops_agent.model.policy import AWS_PROVIDERS, PUBLIC_REGISTRIES, UTILITY_PROVIDERS, Policy
from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind, TerraformRoot, TerraformSource
from ops_agent.terraform.modules import LOCK_FILE, Locked, read_lock_file

_DEFAULT_HOST = PUBLIC_REGISTRIES[0]
BUILT_IN = "terraform"
BESIDE_A_ROLE = frozenset({*AWS_PROVIDERS, *UTILITY_PROVIDERS})
"""The providers that may run in the process of a plan, which has the credentials of the role."""


def provider_address(local_name: str, expression: Expression) -> str | None:
    """The full source address that an entry of `required_providers` means, None when it is computed."""
    if expression.kind is ExpressionKind.LITERAL:
        return implied_address(local_name)
    if expression.kind is not ExpressionKind.OBJECT:
        return None
    sources = [
        value for key, value in expression.pairs if key.value == "source" or key.kind is not ExpressionKind.LITERAL
    ]
    if not sources:
        return implied_address(local_name)
    source = sources[0].value
    if len(sources) != 1 or not isinstance(source, str):
        return None
    parts = source.casefold().split("/")
    return "/".join([_DEFAULT_HOST, "hashicorp"][: 3 - len(parts)] + parts)


def implied_address(local_name: str) -> str:
    """What a provider's local name means where no source is declared."""
    return f"{_DEFAULT_HOST}/hashicorp/{local_name}"


def declared_providers(tree: SourceTree, directory: str) -> dict[str, str | None]:
    """Local name -> full source address, as the module's `required_providers` say."""
    entries = (entry for _, source in tree.module(directory) for _, entry in required_providers(source))
    return {entry.name: provider_address(entry.name, entry.expression) for entry in entries}


def required_providers(source: TerraformSource) -> Iterator[tuple[Block, Attribute]]:
    """Every entry of `required_providers`, with its `terraform` block."""
    for block in source.of_type("terraform"):
        for inner in (b for b in block.blocks if b.type == "required_providers"):
            yield from ((block, entry) for entry in inner.attributes)


def takes_configurations(tree: SourceTree, directory: str) -> bool:
    """Whether a module gets provider configurations from its caller alone (`configuration_aliases`)."""
    entries = (entry for _, source in tree.module(directory) for _, entry in required_providers(source))
    return any(key.value == "configuration_aliases" for entry in entries for key, _ in entry.expression.pairs)


def local_name(block: Block) -> str | None:
    """The local name of the provider that a block is about, or that its type implies; None when it is computed."""
    if not block.labels:
        return None
    chosen = block.attribute("provider")
    if block.type == "provider" or chosen is None:
        return block.label.split("_")[0]
    steps = chosen.expression.steps or (chosen.expression.value,)
    return str(steps[0]).split(".")[0] if isinstance(steps[0], str) else None


def providers_in(tree: SourceTree, directory: str) -> frozenset[str]:
    """The addresses of all providers that the files of a directory declare or imply."""

    def found() -> frozenset[str]:
        declared = declared_providers(tree, directory)
        blocks = (b for _, s in tree.module(directory) for b in s.of_type("provider", "resource", "data", "ephemeral"))
        names = {name for block in blocks if (name := local_name(block)) is not None} - {BUILT_IN}
        return frozenset(filter(None, (*declared.values(), *(declared.get(n, implied_address(n)) for n in names))))

    return tree.remembered(("providers in", directory), found)


def providers_of(tree: SourceTree, root: TerraformRoot) -> frozenset[str]:
    """The addresses of all providers that `terraform init` of a root installs. Where a module from outside is not here
    to be read, those of the lock file are among them.
    """
    found: set[str] = set()
    pending, seen = [root.path], set[str]()
    while pending:
        directory = pending.pop()
        if directory in seen:
            continue
        seen.add(directory)
        found |= providers_in(tree, directory)
        for _, source in tree.module(directory):
            for block in source.of_type("module"):
                called = tree.called(directory, block)
                if called is None:
                    found |= {entry.address for entry in lock_of(tree, root)}
                else:
                    pending.append(called)
    return frozenset(found)


def lock_of(tree: SourceTree, root: TerraformRoot) -> tuple[Locked, ...]:
    """The entries of a root's lock file, none without one."""
    path = LOCK_FILE if root.path == "." else f"{root.path}/{LOCK_FILE}"
    return read_lock_file(tree.read(path)) if path in tree.paths else ()


def installable(policy: Policy, base: SourceTree, root: TerraformRoot) -> tuple[str, ...]:
    """What may be installed for a root: the allow-list, and what the base has there already, as its lock file and its
    files say. Only an input opens the way to another host than the public registries.
    """
    used = {*providers_of(base, root), *(entry.address for entry in lock_of(base, root))}
    return tuple(sorted({*policy.allowed_providers, *_on_public_registries(used)}))


def allowed_in(directory: str, tree: SourceTree) -> frozenset[str]:
    """What code of a directory may use: the allow-list, and what the base has in every root that loads the directory;
    where none does, what the base has in the directory itself.
    """
    policy, base = tree.policy, tree.base or tree
    roots = tree.roots_of(directory)
    if not roots:
        return frozenset({*policy.allowed_providers, *_on_public_registries(providers_in(base, directory))})
    return frozenset.intersection(*(frozenset(installable(policy, base, root)) for root in roots))


def _on_public_registries(addresses: frozenset[str] | set[str]) -> Iterator[str]:
    """Terraform and OpenTofu look for the same name on different hosts."""
    for host, _, name in (address.partition("/") for address in addresses):
        if host in PUBLIC_REGISTRIES:
            yield from (f"{registry}/{name}" for registry in PUBLIC_REGISTRIES)
