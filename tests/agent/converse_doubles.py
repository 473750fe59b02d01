"""A conversation over a real scratch tree, with doubles for the llm, Terraform and the code host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.agent_doubles import BOUNDARY, FINISH, SMALL, call, content_of, reply
from builders import settings_with
from doubles.clock import FakeClock
from doubles.linters import QuietLinters
from doubles.llm import SayingLlm
from doubles.tree import MemoryTree
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.model.conversation import Briefing, LlmReply, PeopleTurn
from ops_agent.model.errors import ToolchainError
from ops_agent.model.outcome import Stopped
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.run.converse import Conversation
from ops_agent.terraform.layout import discover_layout

DONE = reply(call("finish", **FINISH))
WRITE = reply(call("write_file", path="infra/queue.tf", content='variable "a" {\n  type = string\n}\n'))


class Engine:
    """ports.Terraform, as far as a quick check goes; `broken` simulates a missing engine."""

    def __init__(
        self, status: CheckStatus = CheckStatus.PASSED, broken: bool = False, failing: str = "validate"
    ) -> None:
        self.status, self.failing = status, failing
        self.broken = broken
        self.providers: set[Any] = set()
        self.ran: list[str] = []

    def parallel(self) -> int:
        return 1

    def self_test(self) -> str:
        self.ran.append("self_test")
        if self.broken:
            raise ToolchainError("terraform was not found")
        return "nothing real"

    def formatted(self, tree: Path, root: Any) -> dict[str, bytes]:
        return {}

    def fmt(self, tree: Path, root: Any) -> CheckResult:
        return self._result("fmt", root.path)

    @contextmanager
    def workspace(
        self, tree: Path, target: Any, lease: Any, *, providers: Any, buckets: Any = frozenset()
    ) -> Iterator[Any]:
        assert lease is None, "a check has no credentials"
        self.providers.add(providers)
        self.ran.append("open")
        yield SimpleNamespace(
            init=lambda: self._result("init", "infra"),
            validate=lambda: self._result("validate", "infra"),
            refresh=lambda tree: self.ran.append("refresh"),
        )
        self.ran.append("close")

    def _result(self, name: str, subject: str) -> CheckResult:
        self.ran.append(name)
        return CheckResult(
            name=name, subject=subject, status=self.status if name == self.failing else CheckStatus.PASSED
        )


class Here:
    """A conversation over a real scratch tree; `said` collects what was written into the issue's comment."""

    def __init__(
        self,
        tmp_path: Path,
        *replies: LlmReply,
        engine: Engine | None = None,
        files: dict[str, bytes] | None = None,
        base_first: Any = None,
        **fields: Any,
    ) -> None:
        self.llm = SayingLlm(*replies)
        self.clock = FakeClock()
        self.engine = engine or Engine()
        self.turns: list[tuple[int, float, str]] = []
        self.said: list[str] = []
        world: Any = SimpleNamespace(
            llm=self.llm,
            clock=self.clock,
            redact=lambda text: text.replace("s3cr3t", "***"),
            reporter=SimpleNamespace(turn=lambda *a: self.turns.append(a), line=lambda _: None),
            terraform=self.engine,
            linters=QuietLinters(),
            branches=SimpleNamespace(resolve_action=lambda *_: "c" * 40),
        )
        base = MemoryTree(files or SMALL)
        layout = discover_layout(base.files, base.read, Policy())
        briefing = Briefing(standards=(), layout=layout, system="s", task="t", boundary=BOUNDARY, criteria=("AC1",))
        self.context = scratch_tree(base, parent=tmp_path)
        self.scratch = self.context.__enter__()
        self.conversation = Conversation(
            world, settings_with(**fields), briefing, self.scratch, self.said.append, base_first
        )

    def go_on(self) -> Stopped | None:
        return self.conversation.go_on()


def check(here: Here) -> Any:
    here.go_on()
    results = next(
        t for t in here.llm.heard[2] if isinstance(t, PeopleTurn) and t.tool_results and t is here.llm.heard[2][-1]
    ).tool_results
    return content_of(results[0])["result"]
