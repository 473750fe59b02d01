"""The commands, each from its inputs to an exit code: read the event, open the world, run each item, report."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ops_agent.adapters.github.event_file import (
    is_about_a_pull_request,
    read_closed_pull_request,
    read_event,
    read_pull_request_event,
    require_job,
)
from ops_agent.adapters.runner.printing import write_patch, write_record
from ops_agent.adapters.runner.recording import RecordingReporter
from ops_agent.config.arguments import Command
from ops_agent.config.settings import Settings, read_inputs
from ops_agent.model.errors import Cancelled, ConfigError, GitHubError, OpsAgentError, RedactionFailed, as_error
from ops_agent.model.event import Event, IssueRef, Labelled, RunIdentity, VerificationAsked
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.model.record import RunRecord
from ops_agent.pipeline import run_item
from ops_agent.run.after_merge import after_pull_request
from ops_agent.run.parents import tell_parent, tell_parent_of, tell_selection
from ops_agent.run.report import RunResult, report, report_error, report_verified, reported, reported_error, show
from ops_agent.run.select import select
from ops_agent.run.verify_pull_request import ours_to, verify_pull_request
from ops_agent.wiring import actions_world, local_world, redactor_of, reporter_of


def run(command: Command, environment: Mapping[str, str]) -> int:
    """`run`: the event's work items, or the local file that was named."""
    if command.issue_file is not None:
        return run_local(command, command.issue_file, environment)
    return run_event(command, environment)


def run_event(command: Command, environment: Mapping[str, str]) -> int:
    """The action's `run`: a label names one issue, a dispatch one, several, or a parent, a closed issue those that
    waited for it. A closed pull request is followed to its end, without the llm.

    Items run one after the other; the worst exit code counts. What was not selected is in the job summary.
    """
    require_job(environment)
    if is_about_a_pull_request(environment):
        return _follow(command, environment)
    settings = Settings.from_inputs(_inputs(command, environment), needs=("github", "llm"))
    with actions_world(settings, environment) as world:
        event, identity = read_event(environment, settings.issue_number)
        world.llm.warm_up()
        world.terraform.warm_up()
        return run_selected(world, settings, event, identity)


def run_selected(world: World, settings: Settings, event: Event, identity: RunIdentity) -> int:
    """The items of `event`, as in `run_event`."""
    if isinstance(event, Labelled):
        return run_one(world, settings, event, event.issue.ref, identity)
    with world.reporter.stage("select"):
        selection = select(world, settings, event, identity)
        tell_selection(world, settings, event, selection, identity)
    world.reporter.summary(world.redact(selection.summary))
    if selection.why_nothing is not None:
        only = selection.declined[0].ref if len(selection.declined) == 1 else None
        return report(world.reporter, world.redact, RunResult(ref=only, ending=selection.why_nothing), 0.0)
    return max(run_one(world, settings, event, issue.ref, identity) for issue in selection.items)


def _follow(command: Command, environment: Mapping[str, str]) -> int:
    settings = Settings.from_inputs(_inputs(command, environment), needs=("github",))
    with actions_world(settings, environment) as world:
        event, identity = read_closed_pull_request(environment)
        started = world.clock.now()
        with world.reporter.stage("follow"):
            ref, ending = after_pull_request(world, settings, event, identity)
        seconds = world.clock.now() - started
        return report(world.reporter, world.redact, RunResult(ref=ref, ending=ending), seconds)


def run_local(command: Command, issue_file: Path, environment: Mapping[str, str]) -> int:
    """`run --issue-file`: the same pipeline on this machine; makes a patch, a text, and a local branch when asked for.

    What can be checked without the llm is checked before it, and every problem is reported at once.
    """
    from ops_agent.doctor.laptop import check_before_local_run

    inputs = _with_own_key(_inputs(command, environment), environment)
    if command.environments:
        inputs["INPUT_ENVIRONMENTS"] = ",".join(command.environments)
    folder = command.repository or Path()
    settings, warnings = check_before_local_run(issue_file, folder, command.branch, inputs)
    with local_world(
        settings, environment, issue_file=issue_file, folder=folder, output=command.output, branch=command.branch
    ) as (world, issues):
        world.llm.warm_up()
        world.terraform.warm_up()
        for warning in warnings:
            world.reporter.annotate("warning", world.redact(warning))
        event = Labelled(
            repository=issues.only_repository, issue=issues.only_issue, label="ready", sender=issues.only_issue.author
        )
        you = event.sender.login
        identity = RunIdentity(
            repository=event.repository.full_name, run_id=0, attempt=1, actor=you, triggering_actor=you
        )
        return run_one(world, settings, event, event.issue.ref, identity)


def run_select(command: Command, environment: Mapping[str, str]) -> int:
    """`select`: which items of the event can be worked on now, as a job matrix and a readable summary."""
    settings = Settings.from_inputs(_inputs(command, environment), needs=("github",))
    with actions_world(settings, environment) as world:
        event, identity = read_event(environment, settings.issue_number)
        with world.reporter.stage("select"):
            selection = select(world, settings, event, identity)
            tell_selection(world, settings, event, selection, identity)
        for name, text in selection.outputs.items():
            world.reporter.output(name, text)
        world.reporter.summary(world.redact(selection.summary))
        if selection.why_nothing is None:
            return 0
        world.reporter.output("conclusion", selection.why_nothing.conclusion)
        world.reporter.annotate("error" if selection.refused else "notice", world.redact(selection.why_nothing.reason))
        return selection.refused.conclusion.exit_code if selection.refused else 0


def run_verify(command: Command, environment: Mapping[str, str]) -> int:
    """`verify`: the pull requests of the event, one after the other; the worst exit code counts."""
    settings = Settings.from_inputs(_inputs(command, environment), needs=("github",))
    with actions_world(settings, environment) as world:
        asked, identity = read_pull_request_event(environment, settings.issue_number)
        return verify_each(world, settings, asked, identity)


def verify_each(world: World, settings: Settings, asked: VerificationAsked, identity: RunIdentity) -> int:
    """Every pull request that is asked for, each with its report; returns the worst exit code."""
    repository = asked.repository.full_name
    numbers = asked.numbers or ours_to(world, settings, repository, asked.pushed_branch)
    if not numbers:
        reason = f"No pull request of ops-agent to {asked.pushed_branch} is open."
        nothing = RunResult(ref=None, ending=Stopped(Conclusion.NO_CHANGES, reason, ""))
        return report(world.reporter, world.redact, nothing, 0.0)
    refs = [IssueRef(repository=repository, number=number) for number in numbers]
    return max(_verify_one(world, settings, ref, asked.repository.default_branch, identity) for ref in refs)


def _verify_one(world: World, settings: Settings, ref: IssueRef, default_branch: str, identity: RunIdentity) -> int:
    started = world.clock.now()
    try:
        result = verify_pull_request(world, settings, ref, default_branch, identity)
    except Exception as broken:
        seconds = world.clock.now() - started
        return report_error(world.reporter, world.redact, ref=ref, error=as_error(broken), seconds=seconds)
    return report_verified(world.reporter, world.redact, ref, result, world.clock.now() - started)


def run_doctor(command: Command, environment: Mapping[str, str]) -> int:
    """`doctor`: every check, each with what to do; in a job also as annotations and in the job summary."""
    from ops_agent.doctor import diagnose
    from ops_agent.doctor.report import as_json, as_lines, exit_code, show_in_job

    inputs, on_runner = _inputs(command, environment), environment.get("GITHUB_ACTIONS") == "true"
    found = diagnose(command.repository, inputs if on_runner else _with_own_key(inputs, environment))
    if on_runner:
        secrets = read_inputs(inputs).settings.secrets
        show_in_job(found, reporter_of(redactor_of(secrets, environment), on_runner=True))
    elif command.format == "text":
        sys.stdout.writelines(f"{line}\n" for line in as_lines(found))
    if command.format == "json":
        sys.stdout.write(as_json(found) + "\n")
    return exit_code(found)


def run_judge(command: Command, environment: Mapping[str, str]) -> int:
    """`judge`: the source rules over a checkout; 3 when something blocks."""
    from ops_agent.judging import judge_checkout

    return judge_checkout(command, _inputs(command, environment), sys.stdout, sys.stderr)


def print_rules(_command: Command, _environment: Mapping[str, str]) -> int:
    """`rules`: every guard rule as Markdown."""
    from ops_agent.pages.rules_page import render_rules

    sys.stdout.write(render_rules() + "\n")
    return 0


def run_one(world: World, settings: Settings, event: Event, ref: IssueRef, identity: RunIdentity) -> int:
    """One item from its event to its exit code. Always written: its report, its patch when no pull request shows the
    changes, its record when asked for.
    """
    started = world.clock.now()
    recording = RecordingReporter(world.reporter, world.clock)
    title, parent = "", None
    error: OpsAgentError | None = None
    try:
        result = run_item(replace(world, reporter=recording), settings, event, ref, identity)
        shown = reported(result, world.clock.now() - started)
        title, parent = (result.item.title, result.item.parent) if result.item else ("", None)
    except (Exception, KeyboardInterrupt) as broken:
        error = as_error(broken)
        shown = reported_error(ref=ref, error=error, seconds=world.clock.now() - started)
    if parent is not None:
        tell_parent(world, settings, parent, identity)
    elif error is not None and not isinstance(error, (Cancelled, GitHubError)):
        tell_parent_of(world, settings, ref, identity)
    folder = Path(tempfile.gettempdir())
    if shown.patch is not None and shown.patch.text:
        try:
            kept = write_patch(shown.patch, folder, ref.number)
            shown = replace(shown, patch=replace(shown.patch, file=str(kept)))
        except OSError as problem:
            world.reporter.annotate("warning", f"The patch could not be written: {problem.strerror}")
    if settings.upload_transcript:
        record = RunRecord(
            issue=str(ref),
            title=title,
            conclusion=shown.ending.conclusion,
            reason=shown.ending.reason,
            seconds=shown.seconds,
            events=tuple(recording.events),
            transcript=shown.transcript,
            pull_request=shown.pull_request.url if shown.pull_request else "",
        )
        try:
            shown = replace(shown, record=str(write_record(record, folder, ref.number, world.redact)))
        except (OSError, RedactionFailed) as problem:  # it must not hide how the run ended
            why = problem.strerror if isinstance(problem, OSError) else str(problem)
            world.reporter.annotate("warning", f"The record of the run could not be written: {why}")
    return show(world.reporter, world.redact, shown)


def run_replay(command: Command, _environment: Mapping[str, str]) -> int:
    """`replay`: the record of a run as an HTML page beside it, or where `--output` says."""
    from ops_agent.pages.replay import read_record, replay_page

    file = command.record or Path()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"{file} cannot be read: {why}.", hint="Give the file that the output `execution_file` names."
        ) from problem
    page = command.page or file.with_suffix(".html")
    if page.exists() and page.samefile(file):
        raise ConfigError(f"The page would replace the record {file}.", hint="Name another file with --output.")
    page.write_text(replay_page(read_record(text)), encoding="utf-8")
    sys.stdout.write(f"{page}\n")
    return 0


def run_eval(command: Command, environment: Mapping[str, str]) -> int:
    """`eval`: work items with a known outcome, run against models or their recordings, as a table."""
    from ops_agent.evaluation.comparing import evaluate

    return evaluate(command, _with_own_key(_inputs(command, environment), environment), sys.stdout, sys.stderr)


def _with_own_key(inputs: dict[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """On a laptop `ANTHROPIC_API_KEY` is the key unless an input names a way to the llm. In a job it never counts."""
    names = ("ANTHROPIC_API_KEY", "ANTHROPIC_FEDERATION_RULE_ID", "USE_BEDROCK", "VERTEX_PROJECT")
    ways = [f"INPUT_{name}" for name in names]
    key = environment.get("ANTHROPIC_API_KEY", "")
    return inputs if not key or any(inputs.get(way) for way in ways) else inputs | {"INPUT_ANTHROPIC_API_KEY": key}


def _inputs(command: Command, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment's `INPUT_*`, with `--input` laid over it."""
    return dict(environment) | {f"INPUT_{name.upper()}": text for name, text in command.inputs.items()}


COMMANDS: dict[str, Callable[[Command, Mapping[str, str]], int]] = {
    "run": run,
    "select": run_select,
    "verify": run_verify,
    "doctor": run_doctor,
    "judge": run_judge,
    "replay": run_replay,
    "eval": run_eval,
    "rules": print_rules,
}
