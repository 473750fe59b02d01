"""The demo's story from first to last: start the platform, let a person act, run the workflow, show the result."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fake_github.objects import Issue, PullRequest
from fake_github.platform import EmbeddedGitHub
from ops_agent_demo import cloud
from ops_agent_demo.act_run import run_with_act, why_not
from ops_agent_demo.job import Job, JobEnd
from ops_agent_demo.llm.server import LlmServer
from ops_agent_demo.options import Options, read_options
from ops_agent_demo.output_folder import records_of, write_output
from ops_agent_demo.plain_run import run_plainly
from ops_agent_demo.platform_setup import PERSON, Stage, set_up
from ops_agent_demo.showing import Show
from ops_agent_demo.story import Story, load_story

if TYPE_CHECKING:
    from ops_agent_demo.aws.embedded import EmbeddedAws

_SINGLE = "billing-queue"
_RUN_ID = "4242"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """The running platform. `llm` is None with the real API; `deployed` is done when the sample service exists in the
    dev account.
    """

    stage: Stage
    aws: EmbeddedAws
    llm: LlmServer | None
    harness: Path
    folder: Path
    deployed: Future[float]


def run_demo(argv: Sequence[str]) -> int:
    """Run the demo; 0 when every issue ended as the story says, 1 when not, 2 for arguments that make no sense."""
    options = read_options(argv)
    show = Show(Console(highlight=False), verbose=options.verbose)
    key = os.environ.get("ANTHROPIC_API_KEY", "")
    if options.llm == "anthropic" and not key:
        show.say("--llm anthropic needs ANTHROPIC_API_KEY in the environment.", "red")
        return 2
    story, started, began = load_story(), time.monotonic(), time.time()
    with ExitStack() as stack:
        scenery = raise_platform(stack, show, story, scripted=options.llm == "script")
        end = _play(scenery, options, show, key or "scripted")
        show.say(f"The deployment of the sample service took {scenery.deployed.result():.1f} s beside the run.", "dim")
        outcomes = _outcomes(scenery.stage, story, end.summary)
        pulls = scenery.stage.repository.pull_requests[::-1]
        for pull in pulls:
            show.pull_request(pull)
        show.outcomes(outcomes)
        page = write_output(options.output, scenery.stage, end, pulls, records_of(scenery.stage, began))
        seconds = time.monotonic() - started
        show.say(
            f"Exit code of the job: {end.exit_code}. {seconds:.0f} s in all. Issue, board, pull request, replay: {page}"
        )
        if options.serve:
            _serve(scenery.stage, show)
    return 0 if _as_scripted(options, story, end, pulls) else 1


def raise_platform(stack: ExitStack, show: Show, story: Story, *, scripted: bool) -> Scenery:
    """Start GitHub, AWS and (when `scripted`) the language model on loopback; `stack` stops them and removes every
    trace.
    """
    folder = Path(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="ops-agent-demo-", ignore_cleanup_errors=True))
    )
    folder.chmod(0o755)
    with show.step("Starting GitHub, AWS and the language model on this machine, unpacking the AWS provider"):
        unpacker = stack.enter_context(ThreadPoolExecutor(1))
        unpacked = unpacker.submit(cloud.provider_mirror, folder / "mirror")
        github = stack.enter_context(EmbeddedGitHub())
        aws = stack.enter_context(cloud.open_cloud())
        llm = None
        if scripted:
            llm = stack.enter_context(LlmServer([item.script for item in story.children if item.script]))
        stage = set_up(github, story)
        mirror = unpacked.result()
    show.say(
        (
            "  The sample service is deployed to the emulated dev account, as its team would; no plan begins before "
            "that"
            " is through."
        ),
        "dim",
    )
    deployed = cloud.deploy_beside(aws, mirror, folder)
    harness = cloud.harness_file(aws, mirror, folder / "harness.json")
    return Scenery(stage=stage, aws=aws, llm=llm, harness=harness, folder=folder, deployed=deployed)


def make_job(scenery: Scenery, event_name: str, event: Mapping[str, Any], api_key: str) -> Job:
    """The job that GitHub would start for `event`."""
    github = scenery.stage.github
    scenery.stage.repository.add_run(int(_RUN_ID))
    return Job(
        event_name=event_name,
        event=event,
        actor=PERSON,
        files=scenery.stage.repository.files(),
        variables={
            "GITHUB_API_URL": github.base_url,
            "GITHUB_GRAPHQL_URL": f"{github.base_url}/graphql",
            "GITHUB_SERVER_URL": github.base_url,
            "GITHUB_RUN_ID": _RUN_ID,
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_TRIGGERING_ACTOR": PERSON,
            "OPS_AGENT_PYTHON": sys.executable,
            "OPS_AGENT_HARNESS": str(scenery.harness),
            **scenery.aws.runner_variables(cloud.PLAN_SUBJECT),
        },
        secrets={"OPS_AGENT_TOKEN": scenery.stage.token, "ANTHROPIC_API_KEY": api_key},
        repository_variables={"LLM_BASE_URL": scenery.llm.url} if scenery.llm else {},
    )


def _play(scenery: Scenery, options: Options, show: Show, api_key: str) -> JobEnd:
    if options.scenario == "single":
        issue = scenery.stage.issues[_SINGLE]
        show.say(f"\n{PERSON} applies the label `ready` to #{issue.number} {issue.title}", "bold")
        job = make_job(scenery, "issues", scenery.stage.label_ready(_SINGLE), api_key)
    else:
        parent = scenery.stage.parent
        show.say(f"\n{PERSON} starts the workflow for #{parent.number} {parent.title}", "bold")
        job = make_job(scenery, "workflow_dispatch", scenery.stage.dispatch_parent(), api_key)
    reason = why_not() if options.use_act else "--no-act was given"
    if reason is None:
        show.say("act runs the repository's workflow; its step `uses: org/ops-agent@v1` is this checkout.")
        return run_with_act(job, _fresh(scenery.folder / "job"), show.log)
    show.say(f"Without a workflow engine ({reason}): the same step, started directly.", "yellow")
    return run_plainly(job, _fresh(scenery.folder / "job"), show.log)


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _outcomes(stage: Stage, story: Story, summary: str) -> list[tuple[str, str, str]]:
    rows = []
    for item in story.children:
        issue = stage.issues[item.folder]
        pull = _pull_request_of(stage, issue)
        result = f"pull request #{pull.number}" if pull else _why_not(issue, summary)
        rows.append((f"#{issue.number} {issue.title}", stage.board.column(issue) or "", result))
    return rows


def _pull_request_of(stage: Stage, issue: Issue) -> PullRequest | None:
    return next((pull for pull in stage.repository.pull_requests if issue in pull.closes), None)


def _why_not(issue: Issue, summary: str) -> str:
    """Why there is no pull request: the row of the selection's table, else the comment on the issue."""
    row = re.search(rf"^\| - \| [^|\n]*#{issue.number} \|[^|\n]*\| (.+) \|$", summary, re.MULTILINE)
    if row is not None:
        return (
            row[1].replace("`", "").replace("\uff03", "#")
        )  # the summary must not make a link of it; a terminal makes none
    if not issue.comments:
        return "untouched"
    lines = [
        line.strip("#* ")
        for line in issue.comments[-1].body.splitlines()
        if line.strip() and not line.startswith("<!--")
    ]
    return lines[0] if lines else "a comment"


def _as_scripted(options: Options, story: Story, end: JobEnd, pulls: Sequence[PullRequest]) -> bool:
    """One pull request for each item of the story that is ready and has a script."""
    ours = sum(item.script is not None and item.status == "Ready" for item in story.children)
    return end.exit_code == 0 and len(pulls) == (1 if options.scenario == "single" else ours)


def served_pages(stage: Stage) -> list[tuple[str, str]]:
    """The pages that a person opens first: path and what the page shows."""
    pulls = [(pull.path, f"pull request #{pull.number}") for pull in stage.repository.pull_requests[::-1]]
    return [*pulls, (stage.board.path, "the board")]


def _serve(stage: Stage, show: Show) -> None:
    home = stage.github.base_url
    show.say(f"\nThe embedded GitHub stays up at {stage.repository.url}", "bold")
    for page, what in served_pages(stage):
        show.say(f"  {home}{page}  {what}")
    show.say("Ctrl-C ends it.", "dim")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
