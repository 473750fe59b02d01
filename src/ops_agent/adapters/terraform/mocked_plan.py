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
