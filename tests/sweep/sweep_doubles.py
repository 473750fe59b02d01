"""Parts of a whole run that these tests do not test: the agent's answers, and small doubles of Terraform and AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent.agent_doubles import FINISH, call, reply, wrote
from ops_agent.model.conversation import LlmReply
from ops_agent.model.ports import CredentialLease, PlanFiles
from ops_agent.model.terraform import Environment, FetchedModules, TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus

FILES = {
    "README.md": "# orders\n",
    "infra/main.tf": 'resource "aws_sqs_queue" "orders" {\n  name = var.name\n}\n',
    "infra/variables.tf": 'variable "name" {\n  type = string\n}\n',
    "infra/backend/dev/backend.hcl": 'bucket = "state-dev"\nkey    = "orders"\n',
    "infra/environments/dev/terraform.tfvars": 'name = "orders-dev"\n',
    ".github/workflows/ci.yml": "on: push\n",
}
BODY = """## Description
The orders service needs a queue for messages that failed.

## Acceptance Criteria
- [ ] A queue holds them
"""
QUEUE = 'resource "aws_sqs_queue" "dead" {\n  name = "${var.name}-dead"\n}\n'
WORKFLOW = """name: queue
on:
  push:
    branches: [main]
permissions: {}
jobs:
  queue:
    runs-on: ubuntu-24.04
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@v7
        with:
          persist-credentials: false
      - run: echo queue
"""
QUEUE_FILE, WORKFLOW_FILE = "infra/dead.tf", ".github/workflows/queue.yml"
_PLANS = Path(__file__).parent.parent / "plan" / "plans"

Act = Callable[[], object]
"""What happens in the world between two turns of the llm."""


def write(path: str, content: str) -> LlmReply:
    return reply(wrote(path=path, content=content))


def finished() -> LlmReply:
    return reply(call("finish", **FINISH))


def working() -> tuple[LlmReply, ...]:
    """A change of Terraform and of a workflow, then the end: a run that publishes."""
    return (write(QUEUE_FILE, QUEUE), write(WORKFLOW_FILE, WORKFLOW), finished())


def asking() -> tuple[LlmReply, ...]:
    """The agent's question: a run that ends with `needs_info`."""
    return (reply(call("ask_for_info", reason="The region is not said.", questions=["Which region?"])),)


def forbidden() -> tuple[LlmReply, ...]:
    """A program outside of Terraform, again and again: a run that ends `blocked`."""
    return (write(QUEUE_FILE, 'data "external" "x" {\n  program = ["id"]\n}\n'), finished())


def _passed(name: str, subject: object) -> CheckResult:
    return CheckResult(name=name, subject=str(subject), status=CheckStatus.PASSED)


class Workspace:
    """Plans of real Terraform, as it wrote them: nothing changes on the base, one creation where the change set is."""

    placeholders: tuple[str, ...] = ()
    lock_file_update: bytes | None = None
    modules: tuple[str, ...] = ()

    def __init__(self, tree: Path, target: TerraformTarget) -> None:
        self._target, self._plan = target, "create" if (tree / QUEUE_FILE).exists() else "no_change"

    def init(self) -> CheckResult:
        return _passed("init", self._target)

    def validate(self) -> CheckResult:
        return _passed("validate", self._target)

    def plan(self, *, with_text: bool = True) -> tuple[CheckResult, PlanFiles]:
        text = (_PLANS / f"{self._plan}.txt").read_text() if with_text else ""
        files = PlanFiles(json_path=_PLANS / f"{self._plan}.json", text=text, changes_present=self._plan == "create")
        return _passed("plan", self._target), files


class Terraform:
    def engine(self) -> str:
        return "Terraform 1.15.5 (double)"

    def choose_engine(self, wishes: object) -> None: ...

    def self_test(self) -> str:
        return "nothing real"

    def parallel(self) -> int:
        return 1

    def cancel(self) -> None: ...

    def formatted(self, tree: Path, root: TerraformRoot) -> dict[str, bytes]:
        return {}

    def fmt(self, tree: Path, root: TerraformRoot) -> CheckResult:
        return _passed("fmt", root.path)

    def fetch_modules(self, root: TerraformRoot, files: Mapping[str, bytes]) -> CheckResult:
        return _passed("modules", root.path)

    def fetched_modules(self, root: TerraformRoot) -> FetchedModules:
        return FetchedModules()

    @contextmanager
    def workspace(
        self, tree: Path, target: TerraformTarget, lease: CredentialLease | None, **_: object
    ) -> Iterator[Workspace]:
        yield Workspace(tree, target)


class Cloud:
    def unplanned_reason(self, environment: Environment) -> str | None:
        return None

    def try_role(self, environment: Environment, states: object) -> tuple[str, dict[object, str]]:
        return "", {}

    @contextmanager
    def lease(self, environment: Environment) -> Iterator[CredentialLease]:
        yield CredentialLease(environment=environment.name, account="125611408459", variables={})
