"""A conversation over a real scratch tree, with doubles for the llm, Terraform and the code host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.agent_doubles import BOUNDARY, FINISH, SMALL, call, content_of, reply, wrote
from builders import settings_with
from doubles.clock import FakeClock
from doubles.linters import QuietLinters
from doubles.llm import SayingLlm
from doubles.tree import MemoryTree
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.model.conversation import Briefing, LlmReply, PeopleTurn
from ops_agent.model.errors import ToolchainError
from ops_agent.model.outcome import Stopped
from ops_agent.model.plan import OfflinePlan, OfflineSide
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import DescribedType, FetchedModules
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.run.converse import Conversation
from ops_agent.terraform.layout import discover_layout

DONE = reply(call("finish", **FINISH))
WRITE = reply(wrote(path="infra/queue.tf", content='variable "a" {\n  type = string\n}\n'))


NOTHING = b'{"format_version": "1.2", "resource_changes": [], "output_changes": {}, "configuration": {}}'


class Engine:
    """ports.Terraform, as far as a check goes; `broken` simulates a missing engine. `ran` has what runs over the head's
    files, and `base ...` for the base's. `plans` are the offline plans by environment; `cannot`: why the base has none.
    """

    def __init__(
        self, status: CheckStatus = CheckStatus.PASSED, broken: bool = False, failing: str = "validate"
    ) -> None:
        self.status, self.failing = status, failing
        self.broken = broken
        self.providers: set[Any] = set()
        self.ran: list[str] = []
        self.head = Path()
        self.plans: dict[str, OfflinePlan] = {}
        self.cannot = ""

    def engine(self) -> str:
        return "Terraform 9.9.9 (double)"

    def parallel(self) -> int:
        return 1

    def fetched_modules(self, root: Any) -> FetchedModules:
        return FetchedModules()

    def self_test(self) -> str:
        self.ran.append("self_test")
        if self.broken:
            raise ToolchainError("terraform was not found")
        return "nothing real"

    def formatted(self, tree: Path, root: Any) -> dict[str, bytes]:
        self.ran.append("format")
        return {}

    def fmt(self, tree: Path, root: Any) -> CheckResult:
        return self._result("fmt", root.path)

    @contextmanager
    def workspace(
        self, tree: Path, target: Any, lease: Any, *, providers: Any, buckets: Any = frozenset()
    ) -> Iterator[Any]:
        assert lease is None, "a check has no credentials"
        self.providers.add(providers)
        side = "" if tree == self.head else "base "
        self.ran.append(f"{side}open")
        yield SimpleNamespace(
            init=lambda: self._result("init", "infra", side),
            validate=lambda: self._result("validate", "infra", side),
            refresh=lambda tree: self.ran.append("refresh"),
            placeholders=(),
            lock_file_update=None,
            modules=(),
            target=target,
        )
        self.ran.append(f"{side}close")

    def offline_bases(self, workspaces: Any) -> list[Any]:
        names = ", ".join(one.target.environment.name for one in workspaces)
        self.ran.append(f"base side of {names}")
        return [self.cannot or OfflineSide() for _ in workspaces]

    def plan_offline(self, workspaces: Any, bases: Any) -> list[Any]:
        names = [one.target.environment.name for one in workspaces]
        self.ran.append(f"plan of {', '.join(names)}")
        found = []
        for name in names:
            check = CheckResult(name="offline plan", subject=f"infra ({name})", status=CheckStatus.PASSED)
            if self.cannot:
                why = f"No offline plan: on the base branch {self.cannot}"
                found.append((replace(check, status=CheckStatus.NOT_RUN, output=why), None))
            else:
                found.append((check, self.plans.get(name, OfflinePlan(document=NOTHING))))
        return found

    def describe(self, workspace: Any, type_: str, *, data: bool) -> DescribedType | tuple[str, ...]:
        self.ran.append(f"describe {type_}")
        known = {"attributes": {"name": {"type": "string", "required": True}}}
        return (
            DescribedType(source="aws", block=known, why="no plan") if type_ == "aws_sqs_queue" else ("aws_sqs_queue",)
        )

    def _result(self, name: str, subject: str, side: str = "") -> CheckResult:
        self.ran.append(f"{side}{name}")
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
        labels: tuple[str, ...] = (),
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
            scratch=scratch_tree,
            branches=SimpleNamespace(resolve_action=lambda *_: "c" * 40),
        )
        base = MemoryTree(files or SMALL)
        layout = discover_layout(base.files, base.read, Policy())
        briefing = Briefing(
            standards=(),
            layout=layout,
            system="s",
            task="t",
            boundary=BOUNDARY,
            criteria=("AC1",),
            labels_by_writers=labels,
        )
        self.context = scratch_tree(base, parent=tmp_path)
        self.scratch = self.context.__enter__()
        self.engine.head = self.scratch.root
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
