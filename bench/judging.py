"""Judging in generated trees: five files of trees of several sizes, and a whole tree as one change, beside checkov."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from io import StringIO
from pathlib import Path

from bench.frame import Column, Figure, take_turns
from ops_agent.config.arguments import parse
from ops_agent.guard.judge import judge
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.judging import judge_checkout
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.policy import Policy

SIZES = (500, 1000, 4000)
BESIDE = 1000
"""The size that checkov reads too: `CHECKOV=/path/to/checkov`, or on the path."""
MAX_SECONDS, LEAST_RATIO, MAX_GROWTH = 0.3, 50, 1.2

_MODULE = """variable "name" {{
  type        = string
  description = "Name of {module}"
}}

variable "tags" {{
  type        = map(string)
  description = "Tags"
  default     = {{}}
}}

resource "aws_sqs_queue" "dead_{module}" {{
  name                      = "${{var.name}}-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = merge(var.tags, {{ part = "dead" }})
}}

resource "aws_sqs_queue" "main_{module}" {{
  for_each                  = toset(["orders", "bills", "mails"])
  name                      = "${{var.name}}-${{each.key}}"
  message_retention_seconds = 345600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
  redrive_policy = jsonencode({{
    deadLetterTargetArn = aws_sqs_queue.dead_{module}.arn, maxReceiveCount = 5
  }})
}}

data "aws_iam_policy_document" "send" {{
  dynamic "statement" {{
    for_each = aws_sqs_queue.main_{module}
    content {{
      actions   = ["sqs:SendMessage", "sqs:GetQueueUrl"]
      resources = [statement.value.arn]
    }}
  }}
}}

resource "aws_iam_policy" "send_{module}" {{
  name   = "${{var.name}}-send"
  policy = data.aws_iam_policy_document.send.json
  tags   = var.tags
}}
{calls}"""
_CALL = """
module "{name}" {{
  source = "{source}"
  name   = "${{{prefix}}}-{name}"
  tags   = {tags}
}}
"""
_ROOT = """terraform {{
  required_version = ">= 1.5"
  backend "s3" {{}}
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }}
  }}
}}

provider "aws" {{
  region = var.aws_region
  default_tags {{
    tags = local.tags
  }}
}}

variable "environment" {{
  type        = string
  description = "Environment of {root}"
}}

variable "aws_region" {{
  type        = string
  description = "Region"
}}

locals {{
  name = "{root}-${{var.environment}}"
  tags = {{
    environment  = var.environment
    service-name = "{root}"
    category     = "backend"
    feature      = "orders"
    channel      = "web"
  }}
}}
"""
_TABLE = """resource "aws_dynamodb_table" "{name}" {{
  name                        = "${{local.name}}-{name}"
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.environment == "prod"
  hash_key                    = "id"
  attribute {{
    name = "id"
    type = "S"
  }}
  point_in_time_recovery {{
    enabled = true
  }}
  tags = local.tags
}}
"""


def tree(size: int) -> dict[str, bytes]:
    """A repository with `size` Terraform files: services of eight files in two environments, and modules that they
    share, each calling the next one at two depths.
    """
    files: dict[str, str] = {}
    modules = max(size // 20, 3)
    for number in range(modules):
        deeper = [] if number % 3 == 2 else [(number + 1) % modules]
        calls = "".join(
            _CALL.format(name=f"m{m}", source=f"../m{m}", prefix="var.name", tags="var.tags") for m in deeper
        )
        files[f"modules/m{number}/main.tf"] = _MODULE.format(module=f"m{number}", calls=calls)
    for number in range((size - modules) // 8 + 1):
        root = f"service{number}"
        called = sorted({(3 * number) % modules, (3 * number + 7) % modules})
        calls = (
            _CALL.format(name=f"m{m}", source=f"../../modules/m{m}", prefix="local.name", tags="local.tags")
            for m in called
        )
        files[f"services/{root}/main.tf"] = _ROOT.format(root=root)
        files[f"services/{root}/calls.tf"] = "".join(calls)
        for name in ("orders", "bills", "mails", "users", "carts", "stock")[: size - len(files)]:
            table = f"{name}_{number}"
            files[f"services/{root}/{name}.tf"] = "\n".join(_TABLE.format(name=f"{table}_{i}") for i in range(4))
    for root in {path.split("/")[1] for path in files if path.startswith("services/")}:
        for environment in ("dev", "prod"):
            values = f'environment = "{environment}"\naws_region  = "sa-east-1"\n'
            state = f'bucket       = "acme-{environment}-state"\nkey          = "{root}"\nregion       = "sa-east-1"\n'
            files[f"services/{root}/environments/{environment}/terraform.tfvars"] = values
            files[f"services/{root}/backend/{environment}/backend.hcl"] = (
                f"{state}encrypt      = true\nuse_lockfile = true\n"
            )
    return {path: text.encode() for path, text in files.items()}


def measure(runs: int) -> Figure:
    trees = {size: tree(size) for size in SIZES}
    figure = Figure(
        title="Judging",
        how=(
            "All source rules over generated trees, in a process that has judged before; processor time. The layout of "
            "the base is read once for a run. Five files in five roots get one resource more; then the whole tree is "
            "one change, of which both HCL readers read every file. The command is `judge --base HEAD` on a checkout "
            "that it has judged before, with git's own processes and without the imports."
        ),
        columns=(
            Column(name="layout of the base", unit="ms", digits=0),
            Column(name="five files", unit="ms", digits=0),
            Column(name="command, five files", unit="ms", digits=0),
            Column(name="whole tree", unit="s", digits=1),
            Column(name="of it both readers", unit="s", digits=1),
        ),
        compare=False,
    )
    names = {size: f"{sum(p.endswith('.tf') for p in files):,} .tf files" for size, files in trees.items()}
    figure.samples = take_turns({names[size]: partial(_times, files) for size, files in trees.items()}, min(runs, 3))
    middle = {
        n: {c.name: statistics.median(s[c.name] for s in samples) for c in figure.columns}
        for n, samples in figure.samples.items()
    }
    first, beside, last = (middle[names[size]] for size in SIZES)
    growth = (last["whole tree"] / first["whole tree"]) / (SIZES[-1] / SIZES[0])
    figure.notes = [
        _judged(
            last["five files"] <= MAX_SECONDS * 1000,
            f"five files in {last['five files']:.0f} ms (at most {MAX_SECONDS * 1000:.0f})",
        ),
        _judged(
            last["five files"] <= MAX_GROWTH * first["five files"] + 20,
            f"eight times the tree costs five files {last['five files'] - first['five files']:+.0f} ms",
        ),
        _judged(
            last["command, five files"] <= MAX_SECONDS * 1000,
            f"the command on five files in {last['command, five files']:.0f} ms (at most {MAX_SECONDS * 1000:.0f}), "
            f"of which eight times the tree is {last['command, five files'] - first['command, five files']:.0f} ms",
        ),
        _judged(
            growth <= MAX_GROWTH,
            f"the whole tree grows {growth:.2f} times as fast as its files (at most {MAX_GROWTH})",
        ),
    ]
    figure.notes.append(_beside(trees[BESIDE], beside["whole tree"]))
    return figure


def _judged(is_met: bool, what: str) -> str:
    return f"{'met' if is_met else '**missed**'}: {what}"


def _times(files: dict[str, bytes]) -> Mapping[str, float]:
    base = SourceTree(FilesInMemory.of(files), Policy())
    touched = [path for path in files if path.endswith("/orders.tf")][:5]
    more = b'resource "aws_sqs_queue" "more" {\n  name = "${local.name}-more"\n  tags = local.tags\n}\n'
    change = _changes({path: (files[path], files[path] + more) for path in touched})
    whole = _changes({path: (None, content) for path, content in files.items()})
    return {
        "layout of the base": 1000 * _seconds(lambda: base.layout),
        "five files": 1000 * _seconds(lambda: judge(change, base, Policy())),
        "command, five files": 1000 * _command(files, {path: files[path] + more for path in touched}),
        "whole tree": _seconds(lambda: judge(whole, FilesInMemory.of({}), Policy())),
        "of it both readers": _seconds(lambda: _read(files)),
    }


def _command(files: dict[str, bytes], touched: dict[str, bytes]) -> float:
    with tempfile.TemporaryDirectory(prefix="ops-agent-bench-") as folder:
        home = Path(folder, "home")
        write(Path(folder, "tree"), files)
        for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "base"], ["gc", "-q"]):
            options = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0"]
            subprocess.run(["git", *options, *step], cwd=Path(folder, "tree"), check=True, capture_output=True)  # noqa: S603, S607
        write(Path(folder, "tree"), touched)
        command = parse(["judge", str(Path(folder, "tree")), "--base", "HEAD"])
        inputs = {"XDG_CACHE_HOME": str(home), "INPUT_AWS_REGION": "sa-east-1"}
        judge_checkout(command, inputs, StringIO(), StringIO())
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = _seconds(lambda: judge_checkout(command, inputs, StringIO(), StringIO()))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours + (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _read(files: dict[str, bytes]) -> None:
    read = SourceTree(FilesInMemory.of(files), Policy()).judged
    for path in files:
        read(path)


def _changes(files: Mapping[str, tuple[bytes | None, bytes]]) -> ChangeSet:
    changes = tuple(FileChange(path=p, before=before, after=after) for p, (before, after) in sorted(files.items()))
    return ChangeSet(base_commit="a" * 40, changes=changes)


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _beside(files: dict[str, bytes], ours: float) -> str:
    """Once: checkov over the same tree, with its own processes and without network."""
    checkov = os.environ.get("CHECKOV") or shutil.which("checkov")
    if checkov is None:
        return "checkov was not run: it is not installed (`CHECKOV=/path/to/checkov`)"
    with tempfile.TemporaryDirectory(prefix="ops-agent-bench-") as folder:
        write(Path(folder), files)
        options = ["--framework", "terraform", "--quiet", "--compact", "--download-external-modules", "false"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(  # noqa: S603 - the developer's own checkov
            [checkov, "--directory", folder, "--skip-download", *options], capture_output=True, text=True, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    if "Passed checks" not in done.stdout:
        return f"checkov was not compared: it ended with {done.returncode}"
    ratio = theirs / ours
    return _judged(
        ratio >= LEAST_RATIO,
        f"{ratio:.1f} times faster than checkov over the {BESIDE:,} files ({theirs:.0f} s; at least {LEAST_RATIO}): "
        "two readers that must agree about every file that a change writes take half of our time",
    )
