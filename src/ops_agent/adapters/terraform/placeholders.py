"""Invented values for required variables that the repository does not give (the real pipeline sets them as
`TF_VAR_*`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ops_agent.model.terraform import Expression, ExpressionKind, TerraformSource
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.modules import is_configuration, read_source

_SIMPLE: dict[str, Any] = {"number": 0, "bool": False, "list": [], "set": [], "map": {}}


def placeholders(root: Path, var_files: Iterable[Path]) -> dict[str, str]:
    """`{name: value}` for every variable of the root module without a default and without a value, as `TF_VAR_*` takes
    it. Files that cannot be read give nothing: Terraform itself will name what is missing.
    """
    required: dict[str, Expression | None] = {}
    given: set[str] = set()
    files = sorted(path for path in root.iterdir() if path.is_file())
    for path in files:
        if is_configuration(path.name):
            for block in _read(path).of_type("variable"):
                if block.labels and block.attribute("default") is None:
                    type_ = block.attribute("type")
                    required[block.labels[0]] = type_.expression if type_ is not None else None
    for path in (*(path for path in files if _is_automatic(path.name)), *var_files):
        given |= {attribute.name for attribute in _read(path).attributes}
    return {name: placeholder(name, type_) for name, type_ in required.items() if name not in given}


def placeholder(name: str, type_: Expression | None) -> str:
    """A value of a type constraint (`string`, `object({a = string, b = optional(number)})`, ...; None: any)."""
    if type_ is not None and isinstance(type_.value, str):
        type_ = read_type(type_.value)  # JSON's spelling, and an old one of HCL
    value = _value(f"placeholder-{name}", type_)
    # A string's TF_VAR_ is taken as it is; of every other type, `any` included, it is read as an expression.
    return value if isinstance(value, str) and _head(type_) != "any" else json.dumps(value)


def read_type(text: str) -> Expression | None:
    """The type constraint in `text`, None when it cannot be read."""
    source = read_terraform(f"type = {text}\n".encode())
    return source.attributes[0].expression if isinstance(source, TerraformSource) and source.attributes else None


def _value(name: str, type_: Expression | None) -> Any:
    head = _head(type_)
    inner = type_.children[0] if type_ is not None and type_.kind is ExpressionKind.CALL and type_.children else None
    if head == "tuple" and inner is not None:
        return [_value(name, item) for item in inner.children]
    if head == "object" and inner is not None:
        fields = zip(inner.children[::2], inner.children[1::2], strict=False)
        return {
            str(key.value): _value(f"{name}-{key.value}", item) for key, item in fields if _head(item) != "optional"
        }
    return _SIMPLE.get(head, name)


def _head(type_: Expression | None) -> str:
    if type_ is None:
        return "string"
    return type_.name if type_.kind is ExpressionKind.CALL else str(next(iter(type_.steps), ""))


def _is_automatic(name: str) -> bool:
    return name in ("terraform.tfvars", "terraform.tfvars.json") or name.endswith((".auto.tfvars", ".auto.tfvars.json"))


def _read(path: Path) -> TerraformSource:
    source = read_source(path.name, path.read_bytes()) if path.is_file() else None
    return source if isinstance(source, TerraformSource) else TerraformSource()
