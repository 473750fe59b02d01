"""One item, run: its repository in a folder of its own, the pipeline of a local run, and what is true at the end."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from ops_agent.adapters.llm.anthropic_llm import request_body
from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.adapters.runner.printing import write_record
from ops_agent.adapters.runner.recording import RecordingReporter
from ops_agent.config.settings import LlmSettings, Settings, read_inputs
from ops_agent.evaluation.items import OVERLAY, Answer, Item
from ops_agent.model.conversation import (
    CriterionAnswer,
    LlmReply,
    StopReason,
    ToolCall,
    ToolSpec,
    Transcript,
    Turn,
    Usage,
)
from ops_agent.model.errors import LlmError, as_error
from ops_agent.model.event import Labelled, RunIdentity
from ops_agent.model.ports import BaseTree, Llm
from ops_agent.model.record import RunRecord
from ops_agent.model.verification import ProofState, TargetVerification
from ops_agent.model.work_item import Criterion
from ops_agent.pages.job_summary import RunReport
from ops_agent.pipeline import run_item
from ops_agent.plan.evidence import prove
from ops_agent.run.report import RunResult, reported, reported_error
from ops_agent.wiring import local_world

BRANCH: Final = "evaluated"
_PROVED = (ProofState.BY_PLAN, ProofState.BY_FILE)
_ENDINGS = ("finish", "ask_for_info", "propose_split", "declare_infeasible")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one item ended with one model. `missing` is what was expected and is not true, `forbidden` what must not be
    true and is, each as a sentence. `digest` is the item's, `inputs` says what else the run was given.
    """

    item: str
    model: str
    digest: str
    inputs: str
    conclusion: str
    reason: str = ""
    missing: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    proved: int = 0
    criteria: int = 0
    turns: int = 0
    request_bytes: int = 0
    sent_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.missing and not self.forbidden


@dataclass(slots=True)
class RecordedLlm:
    """ports.Llm that gives recorded answers, in order, and costs nothing."""

    answers: Sequence[Answer]
    given: int = 0

    def warm_up(self) -> None:
        """Nothing is loaded."""

    def reply(self, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int) -> LlmReply:
        if self.given >= len(self.answers):
            raise LlmError(
                f"The recording has {len(self.answers)} answers and was asked for one more.",
                hint="Record it again: the run went another way than the recorded one.",
            )
        answer = self.answers[self.given]
        self.given += 1
        calls = [
            ToolCall(id=f"{self.given}-{n}", name=call.tool, arguments=call.arguments)
            for n, call in enumerate(answer.calls, start=1)
        ]
        blocks: list[dict[str, Any]] = [{"type": "text", "text": answer.say}] if answer.say else []
        blocks += [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in calls]
        return LlmReply(
            text=answer.say,
            tool_calls=tuple(calls),
            stop_reason=StopReason.TOOL_USE if calls else StopReason.END_TURN,
            usage=Usage(),
            llm_id="recorded",
            wire_blocks=tuple(blocks),
        )


@dataclass(slots=True)
class MeasuredLlm:
    """ports.Llm over another one that counts the bytes of every request as it goes over the wire."""

    llm: Llm
    settings: LlmSettings
    sent_bytes: int = 0

    def warm_up(self) -> None:
        self.llm.warm_up()

    def reply(self, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int) -> LlmReply:
        body = request_body(self.settings, system=system, tools=tools, turns=turns, max_tokens=max_tokens)
        self.sent_bytes += len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return self.llm.reply(system=system, tools=tools, turns=turns, max_tokens=max_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a run left: how it ended, what people read, the base's and the change's files, and the plans."""

    report: RunReport
    result: RunResult | None
    text: str
    before: BaseTree
    after: BaseTree
    targets: tuple[TargetVerification, ...] = ()
    changed: tuple[str, ...] = ()
    added: str = ""


def play(
    item: Item,
    environment: Mapping[str, str],
    place: Path,
    model: str,
    answers: Sequence[Answer] | None = None,
) -> Result:
    """Run `item` in the new folder `place`; `answers` instead of the model that `environment`'s inputs name.

    The folder keeps record, answers, patch and texts. Raises ConfigError for inputs that make no sense.
    """
    given = dict(environment) | {f"INPUT_{name.upper()}": text for name, text in item.inputs.items()}
    settings = Settings.from_inputs(given, needs=() if answers is not None else ("llm",))
    folder, output = place / "repository", place / "output"
    _checked_out(item, folder)
    with (
        local_world(settings, given, issue_file=item.issue_file, folder=folder, output=output, branch=BRANCH) as (
            local,
            issues,
        ),
        closing(GitObjects(folder)) as objects,
    ):
        llm = MeasuredLlm(local.llm if answers is None else RecordedLlm(answers), settings.llm)
        world = replace(local, llm=llm)
        world.llm.warm_up()
        world.terraform.warm_up()
        recording = RecordingReporter(world.reporter, world.clock)
        started = world.clock.now()
        event = Labelled(
            repository=issues.only_repository, issue=issues.only_issue, label="ready", sender=issues.only_issue.author
        )
        you = event.sender.login
        identity = RunIdentity(
            repository=event.repository.full_name, run_id=0, attempt=1, actor=you, triggering_actor=you
        )
        result = None
        try:
            result = run_item(replace(world, reporter=recording), settings, event, event.issue.ref, identity)
            report = reported(result, world.clock.now() - started)
        except Exception as broken:
            error = as_error(broken)
            report = reported_error(ref=event.issue.ref, error=error, seconds=world.clock.now() - started)
        record = RunRecord(
            issue=item.name,
            title=event.issue.title,
            conclusion=report.ending.conclusion,
            reason=report.ending.reason,
            seconds=report.seconds,
            events=tuple(recording.events),
            transcript=report.transcript,
        )
        write_record(record, place, 0, world.redact)
        if report.transcript is not None:
            kept = yaml.safe_dump(
                {
                    "passes": True,
                    "answers": [_answer(turn) for turn in report.transcript.turns if isinstance(turn, LlmReply)],
                },
                sort_keys=False,
                allow_unicode=True,
                width=120,
            )
            (place / "answers.yml").write_text(world.redact(kept), encoding="utf-8")
        ended = _ended(report, result, objects, output)
        return replace(_result(item, ended, model, given_inputs(environment)), request_bytes=llm.sent_bytes)


def given_inputs(environment: Mapping[str, str]) -> str:
    """What a result depends on beside the item: the inputs, without secrets."""
    secrets = read_inputs(environment).settings.secrets
    found = sorted((n, v) for n, v in environment.items() if n.startswith("INPUT_") and v and v not in secrets)
    return ", ".join(f"{name[6:].lower()}={value}" for name, value in found)


def _checked_out(item: Item, folder: Path) -> None:
    shutil.copytree(item.repository, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", ".terraform"))
    if (item.folder / OVERLAY).is_dir():
        shutil.copytree(item.folder / OVERLAY, folder, symlinks=True, dirs_exist_ok=True)
    plain = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    author = ("-c", "user.name=ops-agent eval", "-c", "user.email=eval@localhost")
    for command in (("init", "-q", "-b", "main"), ("add", "-A", "-f"), (*author, "commit", "-q", "-m", "Base")):
        subprocess.run(("git", *command), cwd=folder, env=plain, check=True, capture_output=True)  # noqa: S603, S607


def _answer(reply: LlmReply) -> dict[str, Any]:
    calls = [{"tool": call.name, "arguments": call.arguments or {}} for call in reply.tool_calls]
    return {"say": reply.text, "calls": calls} if reply.text else {"calls": calls}


def _ended(report: RunReport, result: RunResult | None, objects: GitObjects, output: Path) -> Ended:
    head = objects.commit_of("HEAD") or ""
    made = objects.commit_of(BRANCH)
    before = GitTree(objects, head)
    after = GitTree(objects, made) if made else before
    old, new = before.entries(), after.entries()
    patch = objects.patch(head, made).decode("utf-8", "replace") if made else ""
    texts = [path.read_text(encoding="utf-8") for path in sorted(output.glob("*.md"))]
    return Ended(
        report=report,
        result=result,
        text="\n".join(texts),
        before=before,
        after=after,
        targets=report.verification.targets if report.verification else (),
        changed=tuple(sorted(path for path in {*old, *new} if old.get(path) != new.get(path))),
        added="\n".join(line for line in patch.splitlines() if line.startswith("+") and not line.startswith("+++")),
    )


def _result(item: Item, ended: Ended, model: str, inputs: str) -> Result:
    report = ended.report
    transcript = report.transcript or Transcript(turns=(), usage=Usage(), turn_count=0, ending=None)
    criteria = report.verification.criteria if report.verification else ()
    return Result(
        item=item.name,
        model=model,
        digest=item.digest,
        inputs=inputs,
        conclusion=report.ending.conclusion,
        reason=report.ending.reason,
        missing=tuple(_missing(item, ended)),
        forbidden=tuple(_forbidden(item, ended)),
        proved=sum(one.state in _PROVED for one in criteria),
        criteria=len(criteria),
        turns=transcript.turn_count,
        sent_tokens=transcript.usage.sent_tokens,
        cached_tokens=transcript.usage.cache_read_tokens,
        output_tokens=transcript.usage.output_tokens,
        cost_usd=round(transcript.usage.cost_usd, 4),
        seconds=round(report.seconds, 1),
    )


def _missing(item: Item, ended: Ended) -> Iterator[str]:
    expected, report = item.expected, ended.report
    if report.ending.conclusion.value not in expected.conclusion:
        yield f"ended {report.ending.conclusion.value}, not {' or '.join(expected.conclusion)}"
    if (
        expected.draft is not None
        and report.pull_request is not None
        and report.pull_request.draft is not expected.draft
    ):
        yield f"the pull request is {'no' if expected.draft else 'a'} draft"
    proofs = report.verification.criteria if report.verification else ()
    states = {one.criterion_id: one.state for one in proofs}
    for name in expected.proved:
        if states.get(name) not in _PROVED:
            yield f"{name} is not proved ({states.get(name, 'unknown')})"
    for glob in expected.changed:
        if not fnmatch.filter(ended.changed, glob):
            yield f"no changed file is like {glob}"
    for piece in expected.text:
        if piece.casefold() not in ended.text.casefold():
            yield f"the text does not say {piece!r}"
    for piece in expected.patch:
        if piece not in ended.added:
            yield f"no added line holds {piece!r}"
    for one in expected.evidence:
        if why := _unproved(one.assertion, ended):
            yield why


def _forbidden(item: Item, ended: Ended) -> Iterator[str]:
    forbidden = item.forbidden
    for glob in forbidden.changed:
        for path in fnmatch.filter(ended.changed, glob):
            yield f"{path} is changed"
    for piece in forbidden.text:
        if piece.casefold() in ended.text.casefold():
            yield f"the text says {piece!r}"
    for piece in forbidden.patch:
        if piece in ended.added:
            yield f"an added line holds {piece!r}"
    for one in forbidden.evidence:
        names = one.environments or tuple({target.target.environment.name for target in ended.targets})
        for name in names if one.kind == "plan" else ("",):
            asked = replace(one.assertion, environments=(name,) if name else ())
            if not _unproved(asked, ended):
                words = (one.where, one.key, one.op, one.value, name and f"in {name}")
                yield " ".join(filter(None, words))


def _unproved(assertion: Any, ended: Ended) -> str:
    """Why the evidence does not hold at the end; empty when it does."""

    def reader(tree: BaseTree) -> Any:
        known = tree.entries()
        return lambda path: tree.read(path) if path in known else None

    asked = Criterion(id="expected", text="", done=False)
    answer = CriterionAnswer(criterion_id="expected", met="yes", how="", evidence=(assertion,))
    (proof,) = prove((asked,), (answer,), ended.targets, reader(ended.before), reader(ended.after))
    return "" if proof.state in _PROVED else proof.why or str(proof.state)


def stored(result: Result) -> dict[str, Any]:
    """The result as it is kept in a file."""
    return asdict(result)
