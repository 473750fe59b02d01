"""Shared by tests of the agent: hostile paths, replies of an llm, a workbench over a real scratch tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doubles.clock import FakeClock
from doubles.tree import MemoryTree
from ops_agent.adapters.scratch import ScratchTree, scratch_tree
from ops_agent.agent.loop import AgentLoop, Budget
from ops_agent.agent.toolbox import Toolbox
from ops_agent.agent.workbench import ToolRefusal, Workbench
from ops_agent.guard.paths import path_refusal
from ops_agent.model.conversation import LlmReply, StopReason, ToolCall, ToolResult, Usage
from ops_agent.model.policy import Limits, Policy
from ops_agent.model.terraform import DescribedType
from ops_agent.terraform.layout import discover_layout

BOUNDARY = "B" + "0123456789abcdef" * 2
SMALL = {
    "README.md": b"# orders\n",
    "infra/main.tf": b'resource "aws_sqs_queue" "orders" {\n  name = var.name\n}\n',
    "infra/.terraform.lock.hcl": b'provider "registry.terraform.io/hashicorp/aws" {\n  version = "5.31.0"\n}\n',
    "infra/variables.tf": b'variable "name" {\n  type = string\n}\n',
    "infra/backend/dev/backend.hcl": b'bucket = "state-dev"\nkey = "orders"\n',
    "infra/environments/dev/terraform.tfvars": b'name = "orders-dev"\n',
    "infra/backend/prod/backend.hcl": b'bucket = "state-prod"\nkey = "orders"\n',
    "infra/environments/prod/terraform.tfvars": b'name = "orders-prod"\n',
    ".github/workflows/ci.yml": b"on: push\njobs: {}\n",
    "app/main.py": b"print('orders')\n",
}

NASTY = (
    *(
        "../x",
        "a/../../x",
        "..\\x",
        "%2e%2e/x",
        "a/%2e%2e/x",
        "infra/..",
        "./x",
        "infra//main.tf",
        "infra/main.tf/",
        "",
    ),
    *("/etc/passwd", "~/x", "~root", "file:///etc/passwd", "C:/x", "//host/x"),
    *("/proc/self/environ", "/proc/1/environ", "/dev/fd/3", "/sys/x"),
    *(
        ".git/config",
        ".git/hooks/x",
        "infra/.terraform/x",
        "terraform.d/plugins/x",
        "infra/x.tfstate",
        "x.tfplan",
    ),
    *(
        ".GIT/config",
        ".Git/x",
        "a/.git/config",
        "git~1/config",
        ".git\u200c/config",
        ".git /x",
        ".git./x",
        ".ｇit/config",
    ),
    *(
        ".git::$INDEX_ALLOCATION/x",
        "infra/main.tf.",
        "infra/main.tf ",
        "infra/e\u0301.tf",
        "infra/\ufb01le.tf",
        "infra/a\u202eb.tf",
    ),
    *("infra/a\x00b", "infra/a\nb", "infra/a\rb", "infra/\x1b[31m", "infra/" + "a" * 4_097, "infra/\ud800"),
)
"""Paths that are not plainly inside a tree; the numbers are the bar's."""
NO_OPT_IN = (
    ".git/config", ".git/hooks/pre-commit", ".gitmodules", ".gitattributes", ".github/CODEOWNERS",
    "infra/.terraform/x", "terraform.d/plugins/x", "infra/.terraform.lock.hcl", ".terraformrc", "infra/x.tfrc",
    ".github/dependabot.yml", ".github/actions/x/action.yml", "Makefile", "infra/run.sh", "package.json", ".env",
    ".github/ops-agent.yml", ".GitHub/OPS-AGENT.yml", "CLAUDE.md", "AGENTS.md", ".mcp.json", ".claude/settings.json",
    "infra/main_override.tf", "infra/x.tf.json", "infra/x.auto.tfvars", "app/main.py",
)  # fmt: skip
"""Paths inside the tree that nobody may write or delete, whatever the inputs say."""


def call(name: str, call_id: str = "c1", **arguments: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def wrote(call_id: str = "c1", *, path: str, content: str) -> ToolCall:
    """A file written whole."""
    return call("edit", call_id, edits=[{"path": path, "new": content}])


def replaced(call_id: str = "c1", *, path: str, old: str, new: str) -> ToolCall:
    """One place of a file."""
    return call("edit", call_id, edits=[{"path": path, "old": old, "new": new}])


FINISH: dict[str, Any] = {
    "title": "Queue",
    "description": "d",
    "infrastructure": "i",
    "ci_cd": "c",
    "observability": "o",
    "validation": "v",
    "criteria": [{"id": "AC1", "met": "yes", "how": "queue"}],
}


def reply(*calls: ToolCall, text: str = "", stop: StopReason | None = None, usage: Usage | None = None) -> LlmReply:
    wire: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    wire += [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments or {}} for c in calls]
    return LlmReply(
        text=text,
        tool_calls=calls,
        stop_reason=stop or (StopReason.TOOL_USE if calls else StopReason.END_TURN),
        usage=usage or Usage(input_tokens=10, output_tokens=5, cost_usd=0.01),
        llm_id="claude-opus-5-5",
        wire_blocks=tuple(wire),
    )


def described(type_: str, data: bool) -> DescribedType:
    if type_ not in BLOCKS:
        raise ToolRefusal(f"no provider has `{type_[:100]}`; there are {', '.join(BLOCKS)}")
    return DescribedType(
        source="registry.terraform.io/hashicorp/aws", block=BLOCKS[type_], forces=frozenset({("name",)})
    )


BLOCKS: dict[str, Any] = {"aws_sqs_queue": {"attributes": {"name": {"type": "string", "optional": True}}}}
"""Schemas by type."""


@contextmanager
def bench(
    files: Mapping[str, bytes] | None = None,
    parent: Path | None = None,
    limits: Limits | None = None,
    clock: FakeClock | None = None,
) -> Iterator[tuple[Workbench, ScratchTree]]:
    """A workbench over a real scratch tree, with the guard's path rules."""
    files = SMALL if files is None else files
    layout = discover_layout(files, lambda path: files[path], Policy())
    with scratch_tree(MemoryTree(files), limits, parent) as scratch:
        yield (
            Workbench(
                scratch=scratch,
                refuse=lambda path, content: path_refusal(path, content, Policy(), layout),
                settle=lambda paths: {},
                check=lambda: {"passed": True},
                describe=described,
                clock=clock or FakeClock(),
                standards={"aws-s3": "No public buckets."},
                criteria=("AC1",),
            ),
            scratch,
        )


def toolbox(workbench: Workbench, max_calls: int = 20) -> Toolbox:
    return Toolbox(workbench, BOUNDARY, max_calls, lambda text: text)


def loop(llm: Any, workbench: Workbench, limits: Limits | None = None, clock: FakeClock | None = None) -> AgentLoop:
    budget = Budget(limits or Limits(), clock or FakeClock())
    built = AgentLoop(llm, "system", toolbox(workbench), budget, lambda *_: None)
    built.say("task")
    return built


def unfenced(boundary: str, text: str) -> object:
    """What `fenced` was given. Raises ValueError when `text` is not one fence with this boundary."""
    first, *middle, last = text.split("\n")
    if (first, last) != (f"--- data {boundary}", f"--- end {boundary}"):
        raise ValueError("not a fence with this boundary")
    return json.loads("\n".join(middle))


def content_of(result: ToolResult) -> Any:
    """What a tool result says, out of its fence: JSON; else the texts by their headings."""
    try:
        return unfenced(BOUNDARY, result.text.partition(f"\n--- data {BOUNDARY} ")[0])
    except ValueError:
        return texts_of(result)


def texts_of(result: ToolResult) -> dict[str, str]:
    """The plain texts of a tool result by their headings."""
    pieces = result.text.split(f"--- data {BOUNDARY} ")[1:]
    return {piece.partition("\n")[0]: piece.partition("\n")[2].partition(f"--- end {BOUNDARY}")[0] for piece in pieces}


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
