"""Invented values: for required variables that the repository does not give (the real pipeline sets them as
`TF_VAR_*`), and, where there are no credentials, for all that AWS would answer.

A plan without credentials uses Terraform's own mocked providers, in a test file that our code generates in the copy. It
shows that the configuration of this environment evaluates, which resources it declares and with which arguments. It
cannot show anything that the state or the account decides (replaces, drift, imports, moves, values of data sources).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ops_agent.model.terraform import Block, Expression, ExpressionKind, TerraformSource
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.modules import is_configuration, read_source

MOCKS_FILE = "zz_ops_agent_mocked.tftest.hcl"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_DOCUMENT = json.dumps('{"Version":"2012-10-17","Statement":[]}')
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


def mocks_file(directories: Iterable[Path], root: Path, *, account: str, region: str) -> str:
    """The text of the test: one mock for each provider configuration of `root`, data sources pinned so that nothing
    differs by chance.

    `directories` are the root and its modules. Only names found by our own reader are written, never text of the
    repository.
    """
    blocks = [block for directory in directories for block in _blocks(directory)]
    providers = {("aws", "")} | {(b.labels[0], _alias(b)) for b in _blocks(root) if b.type == "provider" and b.labels}
    data = sorted(
        {b.labels[0] for b in blocks if b.type == "data" and len(b.labels) == 2 and _NAME.fullmatch(b.labels[0])}
    )
    parts = []
    for name, alias in sorted(providers):
        if _NAME.fullmatch(name) and name != "terraform" and (not alias or _NAME.fullmatch(alias)):
            mocks = "".join(_mock(kind, account, region) for kind in data if kind.startswith(f"{name}_"))
            named = f'  alias = "{alias}"\n' if alias else ""
            parts.append(f'mock_provider "{name}" {{\n{named}{mocks}}}\n')
    return "".join(parts) + 'run "mocked" {\n  command = plan\n}\n'


def _mock(kind: str, account: str, region: str) -> str:
    """Fixed values for what most configurations read of a data source. Terraform itself invents the rest, anew each
    time.
    """
    values = {
        "aws_caller_identity": (
            f'account_id = "{account}"\n      arn = "arn:aws:iam::{account}:role/mocked"\n      user_id = "mocked"'
        ),
        "aws_region": f'name = "{region}"\n      description = "mocked"\n      endpoint = "mocked"',
        "aws_partition": 'partition = "aws"\n      dns_suffix = "amazonaws.com"',
        "aws_iam_policy_document": f"json = {_DOCUMENT}",
    }.get(kind, 'id = "mocked"\n      arn = "arn:aws:mocked:::mocked"\n      name = "mocked"')
    return f'  mock_data "{kind}" {{\n    defaults = {{\n      {values}\n    }}\n  }}\n'


def plan_document(lines: Iterable[Mapping[str, Any]]) -> bytes | None:
    """The plan in the shape of `show -json`, from the lines of `test -json -verbose`; None when the test made none."""
    for line in lines:
        plan = line.get("test_plan")
        if line.get("type") == "test_plan" and isinstance(plan, dict):
            version = plan.get("plan_format_version")
            document = {key: value for key, value in plan.items() if not key.endswith("_version")}
            return json.dumps(
                {"format_version": version, "terraform_version": "", "planned_values": {}, **document}
            ).encode()
    return None


def _alias(block: Block) -> str:
    alias = block.attribute("alias")
    return str(alias.expression.value or "") if alias else ""


def _blocks(directory: Path) -> list[Block]:
    return [block for path in sorted(directory.glob("*.tf")) for block in _read(path).blocks]
