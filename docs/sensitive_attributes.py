"""The AWS provider's own marks, `sensitive` and `write_only`, and its resource types, as data files of the guard.

Give it every version's schema; later ones in the list are newer. For each version, in a directory whose configuration
requires exactly it:

    terraform init && terraform providers schema -json > 5.json
    python docs/sensitive_attributes.py 3.39.0=3.json 5.100.0=5.json

A test compares the part of 3.39.0 with the provider that the demo embeds.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "src/ops_agent/guard/data"
_KINDS = {"resource_schemas": "", "data_source_schemas": "data.", "ephemeral_resource_schemas": "ephemeral."}
_WIDTH = 138
Marked = dict[str, frozenset[str]]


def marked_in(schema: Mapping[str, Any]) -> Marked:
    """Type (`data.` and `ephemeral.` in front) -> paths of marked attributes; `{}` behind those
    that hold a collection.
    """
    found = {}
    for kind, prefix in _KINDS.items():
        for type_, described in _aws(schema).get(kind, {}).items():
            paths = frozenset(_marked(described["block"], ""))
            if paths:
                found[prefix + type_] = paths
    return found


def types_in(schema: Mapping[str, Any]) -> frozenset[str]:
    """Every resource type."""
    return frozenset(_aws(schema)["resource_schemas"])


def _aws(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    (provider,) = (p for address, p in schema["provider_schemas"].items() if address.endswith("/hashicorp/aws"))
    return provider


def _marked(block: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, attribute in block.get("attributes", {}).items():
        if attribute.get("sensitive") or attribute.get("write_only"):
            yield f"{before}{name}{'' if isinstance(attribute.get('type'), str) else '{}'}"
        elif "nested_type" in attribute:
            yield from _marked(attribute["nested_type"], f"{before}{name}.")
    for name, inner in block.get("block_types", {}).items():
        yield from _marked(inner["block"], f"{before}{name}.")


def sensitive_text(versions: Mapping[str, Marked]) -> str:
    """The text of sensitive_attributes.txt."""
    names = list(versions)
    lines = []
    for type_ in sorted(set().union(*versions.values())):
        words = []
        for path in sorted(set().union(*(v.get(type_, frozenset()) for v in versions.values()))):
            holders = [n for n in names if path in versions[n].get(type_, frozenset())]
            words.append(path if holders == names else f"{path}@{','.join(holders)}")
        lines += textwrap.wrap(f"{type_}: {' '.join(words)}", _WIDTH, subsequent_indent="    ")
    return (
        "# Attributes that the AWS provider marks `sensitive` or `write_only`. Written by "
        "docs/sensitive_attributes.py: do not edit.\n"
        "# A path names nested blocks by dots; `{}`: a collection is marked; `@`: in these versions only.\n\n"
        f"versions: {' '.join(names)}\n\n" + "\n".join(lines) + "\n"
    )


def types_text(types: frozenset[str]) -> str:
    """The text of aws_types.txt: types by their second word (`aws_db_instance` is `instance` of `db`)."""
    groups: dict[str, list[str]] = {}
    for type_ in sorted(types):
        service, _, rest = type_.removeprefix("aws_").partition("_")
        groups.setdefault(service, []).append(rest or "-")
    lines: list[str] = []
    for service, rest in groups.items():
        words = f"{service}: {' '.join(rest)}"
        lines += textwrap.wrap(words, _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    return (
        "# Resource types of the AWS provider by service, `-` for the service's name alone. "
        "Written by docs/sensitive_attributes.py: do not edit.\n\n" + "\n".join(lines) + "\n"
    )


def main() -> int:
    schemas = {
        version: json.loads(Path(path).read_text()) for version, _, path in (a.partition("=") for a in sys.argv[1:])
    }
    if not schemas:
        sys.exit(__doc__)
    (DATA / "sensitive_attributes.txt").write_text(sensitive_text({v: marked_in(s) for v, s in schemas.items()}))
    (DATA / "aws_types.txt").write_text(types_text(frozenset().union(*(types_in(s) for s in schemas.values()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
