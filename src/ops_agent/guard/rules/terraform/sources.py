"""Where providers and modules come from (D03, D04 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile
from ops_agent.guard.tree import SourceTree
from ops_agent.model.terraform import Block, Expression, ExpressionKind
from ops_agent.terraform.modules import local_source

_DEFAULT_HOST = "registry.terraform.io"
_BUILT_IN = "terraform"
_EXACT_VERSION = re.compile(r"=?\s*\d+\.\d+\.\d+")
_PINNED_REF = re.compile(r"[?&]ref=[0-9a-f]{40}(&|$)")


def provider_source(file: TerraformFile) -> Iterator[Hit]:
    """A provider that is not on the allow-list.

    A provider is a program that `plan` runs. Its source counts with its host (`registry.terraform.io/hashicorp/aws`),
    and a resource without a declared source has one implied by its type.

    Remedy: Use the AWS provider (`source = "hashicorp/aws"`); another one must be allowed in the action's input
    `allowed_providers`.
    """
    for block in file.source.of_type("terraform"):
        for inner in (b for b in block.blocks if b.type == "required_providers"):
            for attribute in inner.attributes:
                source = provider_address(attribute.name, attribute.expression)
                if source not in file.policy.allowed_providers:
                    what = f"the provider `{attribute.name}` comes from `{source or 'a computed source'}`"
                    yield file.hit(block, what, attribute)
    declared = declared_providers(file.tree, file.directory)
    for block in file.source.of_type("provider", "resource", "data", "ephemeral"):
        local_name = _local_name(block)
        if local_name is None:
            yield file.hit(block, f"`{block.name}` takes a provider that is computed", block.attribute("provider"))
        elif local_name != _BUILT_IN:
            source = declared.get(local_name, f"{_DEFAULT_HOST}/hashicorp/{local_name}")
            if source not in file.policy.allowed_providers:
                yield file.hit(block, f"`{block.name}` needs the provider `{source}`", str(source))


def module_source(file: TerraformFile) -> Iterator[Hit]:
    """A module that does not stand in this repository.

    `init` downloads a remote module and `plan` runs it. Local modules are open; a remote one must be on the allow-list
    and pinned to an exact version or a full commit.

    Remedy: Write the module under `modules/` and call it by a relative path.
    """
    for block in file.source.of_type("module"):
        attribute = block.attribute("source")
        source = attribute.expression.value if attribute else None
        if not isinstance(source, str):
            yield file.hit(block, f"`{block.name}` has a source that is not a literal", attribute)
        elif source.startswith((".", "/", "~")):
            if local_source(file.directory, block) is None:
                yield file.hit(block, f"`{source}` is not a directory of this repository", attribute)
        elif not source.startswith(file.policy.allowed_modules or ("\0",)):
            yield file.hit(block, f"`{source}` is not on the allow-list of modules", attribute)
        elif not _PINNED_REF.search(source) and not _EXACT_VERSION.fullmatch(str(_literal(block, "version"))):
            what = f"`{source}` is not pinned to an exact version or a 40-digit commit"
            yield file.hit(block, what, f"{source} {_literal(block, 'version')}")


def provider_address(local_name: str, expression: Expression) -> str | None:
    """The full source address that an entry of `required_providers` means, None when it is computed."""
    if expression.kind is ExpressionKind.LITERAL:
        return f"{_DEFAULT_HOST}/hashicorp/{local_name}"
    if expression.kind is not ExpressionKind.OBJECT:
        return None
    pairs = zip(expression.children[::2], expression.children[1::2], strict=True)
    sources = [value for key, value in pairs if key.value == "source" or key.kind is not ExpressionKind.LITERAL]
    if not sources:
        return f"{_DEFAULT_HOST}/hashicorp/{local_name}"
    source = sources[0].value
    if len(sources) != 1 or not isinstance(source, str):
        return None
    parts = source.casefold().split("/")
    return "/".join([_DEFAULT_HOST, "hashicorp"][: 3 - len(parts)] + parts)


def declared_providers(tree: SourceTree, directory: str) -> dict[str, str | None]:
    """Local name -> full source address, as the module's `required_providers` say."""
    declared: dict[str, str | None] = {}
    for _, source in tree.module(directory):
        for block in source.of_type("terraform"):
            for inner in (b for b in block.blocks if b.type == "required_providers"):
                declared.update({a.name: provider_address(a.name, a.expression) for a in inner.attributes})
    return declared


def _local_name(block: Block) -> str | None:
    if not block.labels:
        return None
    chosen = block.attribute("provider")
    if block.type == "provider" or chosen is None:
        return block.labels[0].split("_")[0]
    steps = chosen.expression.steps or (chosen.expression.value,)
    return str(steps[0]).split(".")[0] if isinstance(steps[0], str) else None


def _literal(block: Block, name: str) -> object:
    attribute = block.attribute(name)
    return attribute.expression.value if attribute else None
