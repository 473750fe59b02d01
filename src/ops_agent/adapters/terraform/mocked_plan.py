"""A plan without credentials: Terraform's own mocked providers, in a test file that our code generates in the scratch
copy.

What it shows: that the configuration of this environment evaluates, which resources it declares and with which
arguments. What it cannot show: anything that the state or the account decides (replaces, drift, imports, moves, values
of data sources).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ops_agent.model.terraform import Block, TerraformSource
from ops_agent.terraform.hcl import read_terraform
from ops_agent.terraform.modules import read_source

MOCKS_FILE = "zz_ops_agent_mocked.tftest.hcl"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_DOCUMENT = json.dumps('{"Version":"2012-10-17","Statement":[]}')


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
        "aws_caller_identity": f'account_id = "{account}"\n      arn = "arn:aws:iam::{account}:role/mocked"\n      user_id = "mocked"',
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
    found: list[Block] = []
    for path in sorted(directory.glob("*.tf")):
        source = read_terraform(path.read_bytes())
        if isinstance(source, TerraformSource):
            found.extend(source.blocks)
    return found


# Values for required variables that the repository does not give (the real pipeline sets them as `TF_VAR_*`).

_WORD = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*|[(){}\[\],=?:\"])")


def placeholders(root: Path, var_files: Iterable[Path]) -> dict[str, str]:
    """`{name: value}` for every variable of the root module without a default and without a value, values in `TF_VAR_*`
    syntax.

    Files that cannot be read give nothing: Terraform itself will name what is missing.
    """
    required: dict[str, str] = {}
    for path in sorted(root.iterdir()):
        if path.name.endswith((".tf", ".tofu", ".tf.json")) and path.is_file():
            for block in _source(path).blocks:
                if block.type == "variable" and block.labels and block.attribute("default") is None:
                    required[block.labels[0]] = _type_of(block)
    given = {name for path in (*_automatic(root), *var_files) for name in _names(path)}
    return {name: placeholder(name, kind) for name, kind in required.items() if name not in given}


def placeholder(name: str, kind: str) -> str:
    """A value of the type constraint `kind` (`string`, `list(string)`, `object({a = string, b = optional(number)})`,
    ...) as HCL text.
    """
    words = _WORD.findall(kind) or ["string"]
    text, _ = _value(f"placeholder-{name}", words, 0)
    # A string's TF_VAR_ is taken as it is; of every other type, `any` included, it is read as an expression.
    return json.loads(text) if words[0] not in ("any", "optional") and text.startswith('"') else text


def _value(name: str, words: list[str], at: int) -> tuple[str, int]:
    """HCL text of a value for the type that starts at `words[at]`, and the place after that type."""
    word = words[at] if at < len(words) else "string"
    opened = at + 1 < len(words) and words[at + 1] == "("
    if word in ("list", "set", "map") and opened:
        return ("{}" if word == "map" else "[]"), _after(words, at + 1)
    if word == "optional" and opened:
        return "null", _after(words, at + 1)
    if word == "tuple" and opened:
        items, at = [], at + 3
        while at < len(words) and words[at] != "]":
            text, at = _value(name, words, at)
            items.append(text)
            at += at < len(words) and words[at] == ","
        return f"[{', '.join(items)}]", at + 2
    if word == "object" and opened:
        fields, at = [], at + 3
        while at < len(words) and words[at] != "}":
            key = words[at]
            if key in (",", '"'):
                at += 1
                continue
            at += 1 + (at + 1 < len(words) and words[at + 1] == '"')
            text, at = _value(f"{name}-{key}", words, at + 1)
            if text != "null":
                fields.append(f"{json.dumps(key)} = {text}")
        return f"{{{', '.join(fields)}}}", at + 2
    simple = {"number": "0", "bool": "false", "list": "[]", "set": "[]", "map": "{}"}
    return simple.get(word, json.dumps(name)), at + 1


def _after(words: list[str], opening: int) -> int:
    depth = 0
    for at in range(opening, len(words)):
        depth += (words[at] in "({[") - (words[at] in ")}]")
        if depth == 0:
            return at + 1
    return len(words)


def _source(path: Path) -> TerraformSource:
    source = read_source(path.name, path.read_bytes())
    return source if isinstance(source, TerraformSource) else TerraformSource()


def _automatic(root: Path) -> list[Path]:
    names = ("terraform.tfvars", "terraform.tfvars.json")
    return [
        p
        for p in root.iterdir()
        if p.is_file() and (p.name in names or p.name.endswith((".auto.tfvars", ".auto.tfvars.json")))
    ]


def _names(path: Path) -> Iterable[str]:
    return (attribute.name for attribute in _source(path).attributes) if path.is_file() else ()


def _type_of(block: Block) -> str:
    kind = block.attribute("type")
    if kind is None:
        return "string"
    return kind.expression.value if isinstance(kind.expression.value, str) else kind.expression.text
