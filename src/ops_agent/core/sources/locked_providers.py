"""Which providers a root's lock file names, and their versions: what `terraform init` installed for a plan."""

from __future__ import annotations

from ops_agent.core.sources.reading_terraform import read_terraform
from ops_agent.domain.terraform_source import Block, Unreadable


def locked_providers(lock_file: bytes) -> tuple[str, ...]:
    """`registry.terraform.io/hashicorp/aws 3.39.0` for each entry, sorted; empty when the file cannot be read."""
    source = read_terraform(lock_file)
    if isinstance(source, Unreadable):
        return ()
    found = [block for block in source.blocks if block.type == "provider" and len(block.labels) == 1]
    return tuple(sorted(f"{block.labels[0]} {_version(block)}" for block in found))


def _version(block: Block) -> str:
    attribute = block.attribute("version")
    return str(attribute.expression.value) if attribute and attribute.expression.value is not None else "of no version"
