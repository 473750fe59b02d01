"""One region only (D10, D11 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, RootInEnvironment, TerraformFile, foreign_regions, hit_at
from ops_agent.guard.values import Instance, possible_values
from ops_agent.model.terraform import UNKNOWN, Attribute, Block, ExpressionKind

_REGION_ARGUMENT = re.compile(r"((.+_)?region(_name)?|(.+_)?regions|region_names)")


def foreign_region(file: TerraformFile) -> Iterator[Hit]:
    """Another region is named.

    Everything stands in the region of the policy: backend, provider, ARNs, availability zones, registry addresses.
    Nothing is exempt, not even services that answer elsewhere: those are for people.

    Remedy: Use the policy's region, best by `var.aws_region` or `data.aws_region.current`.
    """
    for piece in file.pieces():
        names = [(piece.line, label) for label in (piece.block.labels if piece.block else ())]
        values = [
            (e.line, str(e.value))
            for _, e in piece.expressions()
            if e.kind is ExpressionKind.LITERAL and isinstance(e.value, str)
        ]
        for line, text in [*names, *values]:
            for words in text.split("\n"):
                for region in foreign_regions(words, file.policy.region):
                    what = f"`{region}` is named; only `{file.policy.region}` may be"
                    yield file.hit(piece, what, words, line=line)


def provider_region(root: RootInEnvironment) -> Iterator[Hit]:
    """A provider does not stand in the policy's region.

    The region of every provider block and alias is resolved for each environment from its variable files, locals and
    defaults. What does not resolve is refused.

    Remedy: Set `region = var.aws_region` and give the variable the policy's region in the environment's variable file.
    """
    for instance, path, block in _blocks(root):
        if block.type != "provider" or block.labels != ("aws",):
            continue
        attribute = block.attribute("region")
        if attribute is None:
            what = f"`{block.name}` names no region"
            yield hit_at(path, block, what, "region", also=root.target.environment.name)
        else:
            yield from _not_ours(root, instance, path, block, attribute)


def resource_region(root: RootInEnvironment) -> Iterator[Hit]:
    """A resource, data source or replica names a region that is not the policy's.

    Since version 6 of the AWS provider every resource can name its own region, and replicas always could. What does not
    resolve is refused.

    Remedy: Leave the argument out: the provider's region holds.
    """
    for instance, path, block in _blocks(root):
        if block.type not in ("resource", "data", "ephemeral"):
            continue
        for inner in block.walk():
            for attribute in inner.attributes:
                if _REGION_ARGUMENT.fullmatch(attribute.name):
                    yield from _not_ours(root, instance, path, block, attribute)


def _blocks(root: RootInEnvironment) -> Iterator[tuple[Instance, str, Block]]:
    for instance in root.instances:
        for path, source in instance.files:
            for block in source.blocks:
                yield instance, path, block


def _not_ours(
    root: RootInEnvironment, instance: Instance, path: str, block: Block, attribute: Attribute
) -> Iterator[Hit]:
    for value in possible_values(attribute.expression, instance.scope):
        if value == root.policy.region or value is None or value == [root.policy.region]:
            continue
        shown = "a value that the source does not tell" if value is UNKNOWN or UNKNOWN in _flat(value) else f"`{value}`"
        what = f"`{attribute.name}` of `{block.name}` is {shown} in {root.target}"
        yield hit_at(path, block, what, attribute, also=f"{value} {root.target.environment.name}")


def _flat(value: object) -> list[object]:
    return value if isinstance(value, list) else []
