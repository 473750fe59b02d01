"""Plans of 50 to 50,000 changes, read and rendered for a pull request, against `json.loads` of the same file.

Each size runs in child processes of its own, one for `json.loads` and one for ours, so that peak memory (RUSAGE_SELF)
is that of one thing.
"""

from __future__ import annotations

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

from bench.frame import Column, Figure

SIZES = (50, 500, 5_000, 10_000, 50_000)
MAX_BODY = 60_000
MAX_MEMORY = 512
"""MB: the limit at 10,000 changes. What more changes take is stated."""
KINDS = (*[["create"]] * 7, ["update"], ["delete"], ["delete", "create"])
SIGNS = {"create": "  +", "update": "  ~", "delete": "  -", "delete create": "-/+"}
WORDS = {
    "create": "will be created",
    "update": "will be updated in-place",
    "delete": "will be destroyed",
    "delete create": "must be replaced",
}


def measure(runs: int) -> Figure:
    """One row for each size; `json.loads` and ours in processes of their own, the least of at least 3 rounds."""
    found = _rows(max(3, runs))
    figure = Figure(
        title="Plan reading",
        how="A plan with so many changes, read and rendered for a pull request; processor time, the least of several "
        "runs (for growth: the median of the rounds' means); peak memory of a process that holds the file and does "
        "nothing else. `json.loads` is called as anyone would, with Python's cyclic collector on.",
        columns=(
            Column(name="json.loads", unit="s", digits=3),
            Column(name="read", unit="s", digits=3),
            Column(name="render", unit="s", digits=3),
            Column(name="read and render", unit="times json.loads", digits=1),
            Column(name="peak memory", unit="MB", digits=0),
            Column(name="peak memory of json.loads", unit="MB", digits=0),
            Column(name="body", unit="code points", digits=0),
        ),
        compare=False,
        notes=_notes(found),
    )
    for row in found:
        figure.samples[f"{row['changes']:,} changes ({row['json_mb']:.1f} MB)"] = [
            {
                "json.loads": row["json_loads_s"],
                "read": row["read_s"],
                "render": row["render_s"],
                "read and render": (row["read_s"] + row["render_s"]) / row["json_loads_s"],
                "peak memory": row["peak_mb"],
                "peak memory of json.loads": row["loads_peak_mb"],
                "body": row["body_code_points"],
            }
        ]
    return figure


def _rows(rounds: int) -> list[dict[str, Any]]:
    """One row for each size: the least time and the most memory of all rounds; `mean_s` is the median of the rounds'
    means, which shows growth fairly: few runs of a large plan find no lucky moment, many of a small one do. Sizes and
    both readers take turns, so that a slow minute of the machine touches all of them. This process stays small, because
    a child's peak memory begins with its parent's.
    """
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {size: Path(folder) / f"{size}.json" for size in SIZES}
        for size, path in files.items():
            found[size] = {"changes": size} | _child("make", path, size)
        samples: dict[int, dict[str, list[float]]] = {size: defaultdict(list) for size in SIZES}
        for _ in range(rounds):
            for size, path in files.items():
                for what in ("loads", "read"):
                    for name, value in _child(what, path, size).items():
                        samples[size][name].append(value)
    for size, row in found.items():
        for name, values in samples[size].items():
            pick = median if name == "mean_s" else min if name.endswith("_s") else max
            row[name] = round(pick(values), 4)
    return list(found.values())


def _notes(found: list[dict[str, Any]]) -> list[str]:
    """The targets, each with whether these rows meet it, and what the largest plan takes."""
    notes = []
    for small, large in pairwise(found):
        growth, factor = large["mean_s"] / small["mean_s"], large["changes"] / small["changes"]
        sentence = f"{small['changes']:,} -> {large['changes']:,} changes: {growth:.1f} times the time"
        notes.append(_note(growth <= 1.2 * factor, f"{sentence} (at most {1.2 * factor:.0f})"))
    for row in found:
        name = f"{row['changes']:,} changes"
        total, limit = row["read_s"] + row["render_s"], 1.5 * row["json_loads_s"] + 0.5
        memory = f"{name} ({row['json_mb']:.0f} MB of JSON): {row['peak_mb']:.0f} MB at the peak"
        if row["changes"] <= 5_000:
            notes.append(_note(total < limit, f"{name} in {total:.2f} s (at most {limit:.2f} s)"))
        body = row["body_code_points"]
        notes.append(_note(body <= MAX_BODY, f"{name}: {body:,.0f} code points (at most {MAX_BODY:,})"))
        if row["changes"] == 10_000:
            notes.append(_note(row["peak_mb"] < MAX_MEMORY, f"{memory} (under {MAX_MEMORY})"))
        elif row["changes"] > 10_000:
            notes.append(f"stated, without a target: {memory}, `json.loads` alone {row['loads_peak_mb']:.0f} MB")
    return notes


def _note(is_met: bool, sentence: str) -> str:
    return f"{'met' if is_met else '**missed**'}: {sentence}"


# A plan as Terraform writes it.


def plan_of(size: int) -> tuple[bytes, str]:
    """A plan with `size` changes: JSON of about 2 KB for each, and the text of `show`; 7 of 10 create."""
    lines = ["Terraform will perform the following actions:", ""]
    for number in range(size):
        kind = " ".join(KINDS[number % len(KINDS)])
        lines += [f"  # {_address(number)} {WORDS[kind]}", f'{SIGNS[kind]} resource "aws_security_group" "group" {{']
        lines += [f'      {SIGNS[kind].strip()[0]} {name} = "{text}"' for name, text in _tags(number).items()]
        lines += ["    }", ""]
    kinds = [KINDS[number % len(KINDS)] for number in range(size)]
    add, change = sum("create" in kind for kind in kinds), sum(kind == ["update"] for kind in kinds)
    lines.append(f"Plan: {add} to add, {change} to change, {sum('delete' in kind for kind in kinds)} to destroy.")
    provider = {"name": "aws", "expressions": {"region": {"constant_value": "sa-east-1"}}}
    planned = [{**_resource(n), "values": _values(n)} for n in range(size) if kinds[n] != ["delete"]]
    plan = {
        "format_version": "1.2",
        "terraform_version": "1.15.5",
        "planned_values": {"root_module": {"resources": planned}},
        "resource_changes": [_change(number, kinds[number]) for number in range(size)],
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
    fixed = {"mode": "managed", "type": "aws_security_group", "name": "group"}
    return {"address": _address(number), **fixed, "index": number}


def _change(number: int, actions: list[str]) -> dict[str, Any]:
    marks: dict[str, Any] = {"egress": [{}, {}], "ingress": [{}, {}], "tags": {}, "tags_all": {}}
    change = {
        "actions": actions,
        "before": None if actions == ["create"] else {**_values(number), "description": "before"},
        "after": None if actions == ["delete"] else _values(number),
        "after_unknown": {"arn": True, "id": True, "owner_id": True, **marks} if "create" in actions else {},
        "before_sensitive": False if actions == ["create"] else marks,
        "after_sensitive": marks,
    }
    return {**_resource(number), "provider_name": "registry.terraform.io/hashicorp/aws", "change": change}


# What a child process does.


def _child(what: str, path: Path, number: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.plans", what, str(path), str(number)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))  # noqa: S603


def _measured(what: str, path: Path, number: int) -> dict[str, Any]:
    """Processor seconds (the least of what fits in a second, at least one) and this process's peak memory in MB.

    `what` is `loads` (plain `json.loads` of the file), `read` (read_plan, and rendering for a pull request), or `make`:
    write the files for `number` changes.
    """
    text = path.with_suffix(".txt")
    if what == "make":
        made, shown = plan_of(number)
        path.write_bytes(made)
        text.write_text(shown, encoding="utf-8")
        return {"json_mb": len(made) / 1e6}
    if what == "read":
        return _read_and_rendered(path.read_bytes(), text.read_text(encoding="utf-8"))
    document = path.read_bytes()
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
    from ops_agent.pages.fragments import Overflow
    from ops_agent.pages.plans import plans_text
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
        body = plans_text((TargetVerification(target=where, checks=(), plan=plan),), MAX_BODY, Overflow())
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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
