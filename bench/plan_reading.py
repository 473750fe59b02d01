"""Reading and rendering of plan JSON against `json.loads` of the same file in the same run (issue PROOF, benchmarks b
and c).

    python -m bench.plan_reading [--json] [50 500 5000 50000]

Each size runs in child processes of its own, one for `json.loads` and one for ours, so that peak memory (RUSAGE_SELF)
is that of one thing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

SIZES = (50, 500, 5_000, 50_000)
MOST_BODY = 60_000
MOST_MEMORY = 512
"""MB: the limit at 10 MB of JSON. The same limit is told for more."""


KINDS = (*[["create"]] * 7, ["update"], ["delete"], ["delete", "create"])
SIGNS = {"create": "  +", "update": "  ~", "delete": "  -", "delete create": "-/+"}
WORDS = {
    "create": "will be created",
    "update": "will be updated in-place",
    "delete": "will be destroyed",
    "delete create": "must be replaced",
}


def plan_of(size: int) -> tuple[bytes, str]:
    """A plan with `size` changes as Terraform writes it: JSON of about 2 KB a change, and the text of `show`; 7 of 10
    create.
    """
    lines = ["Terraform will perform the following actions:", ""]
    for number in range(size):
        kind = " ".join(KINDS[number % len(KINDS)])
        lines += [f"  # {_address(number)} {WORDS[kind]}", f'{SIGNS[kind]} resource "aws_security_group" "group" {{']
        lines += [f'      {SIGNS[kind].strip()[0]} {name} = "{text}"' for name, text in _tags(number).items()]
        lines += ["    }", ""]
    told = [KINDS[number % len(KINDS)] for number in range(size)]
    add, change, destroy = (
        sum("create" in k for k in told),
        sum(k == ["update"] for k in told),
        sum("delete" in k for k in told),
    )
    lines.append(f"Plan: {add} to add, {change} to change, {destroy} to destroy.")
    provider = {"name": "aws", "expressions": {"region": {"constant_value": "sa-east-1"}}}
    plan = {
        "format_version": "1.2",
        "terraform_version": "1.15.5",
        "planned_values": {"root_module": {"resources": [_planned(n) for n in range(size) if told[n] != ["delete"]]}},
        "resource_changes": [_change(number, told[number]) for number in range(size)],
        "configuration": {"provider_config": {"aws": provider}, "root_module": {}},
        "timestamp": "2026-11-23T10:00:00Z",
        "applyable": True,
        "complete": True,
        "errored": False,
    }
    return json.dumps(plan, separators=(",", ":")).encode(), "\n".join(lines) + "\n"


def _address(number: int) -> str:
    return f"aws_security_group.group[{number}]"


def _tags(number: int) -> dict[str, str]:
    fixed = {"environment": "development", "category": "backend", "feature": "queue", "channel": "web"}
    return {**fixed, "service-name": f"orders-{number}"}


def _values(number: int) -> dict[str, Any]:
    rule = {"cidr_blocks": ["10.0.0.0/8"], "protocol": "tcp", "description": "inside"}
    rules = [{**rule, "from_port": port, "to_port": port} for port in (80, 443)]
    return {
        "name": f"service-{number}",
        "description": "Managed by Terraform",
        "ingress": rules,
        "egress": rules,
        "tags": _tags(number),
        "tags_all": _tags(number),
        "vpc_id": f"vpc-{number:08x}",
        "revoke_rules_on_delete": False,
        "timeouts": None,
    }


def _resource(number: int) -> dict[str, Any]:
    return {
        "address": _address(number),
        "mode": "managed",
        "type": "aws_security_group",
        "name": "group",
        "index": number,
    }


def _planned(number: int) -> dict[str, Any]:
    return {**_resource(number), "values": _values(number)}


def _change(number: int, actions: list[str]) -> dict[str, Any]:
    new = "create" in actions
    marks: dict[str, Any] = {"egress": [{}, {}], "ingress": [{}, {}], "tags": {}, "tags_all": {}}
    change = {
        "actions": actions,
        "before": None if actions == ["create"] else {**_values(number), "description": "before"},
        "after": None if actions == ["delete"] else _values(number),
        "after_unknown": {"arn": True, "id": True, "owner_id": True, **marks} if new else {},
        "before_sensitive": False if actions == ["create"] else marks,
        "after_sensitive": marks,
    }
    return {**_resource(number), "provider_name": "registry.terraform.io/hashicorp/aws", "change": change}


def measure(path: Path, what: str, number: int) -> dict[str, Any]:
    """Processor seconds (the machine may be busy; the least of what fits in a second, at least one) and this process's
    peak memory in MB.

    `what` is `loads` (plain `json.loads` of the file), `read` (read_plan, and rendering for a pull request), or `make`:
    write the files for `number` changes.
    """
    if what == "make":
        made, text = plan_of(number)
        path.write_bytes(made)
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
        return {"json_mb": len(made) / 1e6, "text_mb": len(text) / 1e6}
    document = path.read_bytes()
    return (
        _loads(document)
        if what == "loads"
        else _read_and_rendered(document, path.with_suffix(".txt").read_text(encoding="utf-8"))
    )


def _loads(document: bytes) -> dict[str, Any]:
    seconds: list[float] = []
    while sum(seconds) < 1:
        begun = time.process_time()
        json.loads(document)
        seconds.append(time.process_time() - begun)
    return {"json_loads_s": min(seconds), "loads_peak_mb": _peak()}


def _read_and_rendered(document: bytes, text: str) -> dict[str, Any]:
    from ops_agent.model.policy import Policy
    from ops_agent.model.terraform import Environment, TerraformRoot, TerraformTarget
    from ops_agent.model.verification import TargetVerification
    from ops_agent.pages.pull_request import Overflow, plans
    from ops_agent.plan.reading import read_plan

    environment = Environment(name="dev", account=None, backend_file=None)
    where = TerraformTarget(root=TerraformRoot(path="infra", environments=(environment,)), environment=environment)
    reads: list[float] = []
    renders: list[float] = []
    body = ""
    while sum(reads) < 1:
        begun = time.process_time()
        plan = read_plan(document, text, Policy())
        read = time.process_time()
        body = plans((TargetVerification(target=where, checks=(), plan=plan),), MOST_BODY, Overflow())
        reads.append(read - begun)
        renders.append(time.process_time() - read)
        del plan
    mean = (sum(reads) + sum(renders)) / len(reads)
    return {
        "read_s": min(reads),
        "render_s": min(renders),
        "mean_s": mean,
        "body_code_points": len(body),
        "peak_mb": _peak(),
    }


def _peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def rows(sizes: tuple[int, ...] = SIZES, rounds: int = 5) -> list[dict[str, Any]]:
    """One row per size: the least time and the most memory of all rounds; `mean_s` is the median of the rounds' means,
    which tells growth fairly: few runs of a large plan find no lucky moment, many of a small one do. Sizes and both
    readers take turns, so that a slow minute of the machine touches all of them. This process stays small, for a
    child's peak memory begins with its parent's.
    """
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            found[size] = {"changes": size} | _child("make", Path(folder) / f"{size}.json", size)
        told: dict[int, dict[str, list[float]]] = {size: defaultdict(list) for size in sizes}
        for _ in range(max(3, rounds)):
            for size in sizes:
                for what in ("loads", "read"):
                    for name, value in _child(what, Path(folder) / f"{size}.json", size).items():
                        told[size][name].append(value)
    for size, row in found.items():
        row |= {
            name: (median if name == "mean_s" else min if name.endswith("_s") else max)(values)
            for name, values in told[size].items()
        }
        row["total_s"] = row["read_s"] + row["render_s"]
        row["ratio_to_json_loads"] = row["total_s"] / row["json_loads_s"]
    return [{name: round(value, 4) for name, value in row.items()} for row in found.values()]


def _child(what: str, path: Path, number: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.plan_reading", "--child", what, str(path), str(number)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))  # noqa: S603


def verdicts(found: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """The targets of the issue, each with whether these rows meet it."""
    told = []
    for small, large in pairwise(found):
        growth = large["mean_s"] / small["mean_s"]
        factor = large["changes"] / small["changes"]
        sentence = f"{small['changes']} -> {large['changes']} changes: {growth:.1f} times the time (at most {1.2 * factor:.0f})"
        told.append((sentence, growth <= 1.2 * factor))
    for row in found:
        limit = 1.5 * row["json_loads_s"] + 0.5
        if row["changes"] <= 5_000:
            told.append(
                (f"{row['changes']} changes in {row['total_s']:.2f} s (at most {limit:.2f} s)", row["total_s"] < limit)
            )
        sentence = f"{row['changes']} changes: {row['body_code_points']} code points (at most {MOST_BODY})"
        told.append((sentence, row["body_code_points"] <= MOST_BODY))
        if row["json_mb"] > 5:
            sentence = f"{row['changes']} changes ({row['json_mb']:.0f} MB of JSON): {row['peak_mb']} MB at the peak"
            told.append(
                (
                    f"{sentence} (under {MOST_MEMORY}; `json.loads` alone: {row['loads_peak_mb']})",
                    row["peak_mb"] < MOST_MEMORY,
                )
            )
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="rows as JSON lines only")
    chosen = parser.parse_args()
    if chosen.child:
        what, path, number = chosen.child
        print(json.dumps(measure(Path(path), what, int(number))))  # noqa: T201  its output
        return 0
    found = rows(tuple(chosen.sizes))
    for row in found:
        print(json.dumps(row))  # noqa: T201  its output
    told = verdicts(found)
    if not chosen.json:
        for sentence, met in told:
            print("met    " if met else "MISSED ", sentence)  # noqa: T201  its output
    return 0 if all(met for _, met in told) else 1


if __name__ == "__main__":
    sys.exit(main())
