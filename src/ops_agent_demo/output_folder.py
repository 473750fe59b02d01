"""`demo-output/`: everything that the run left behind, to open in a browser or to read as files."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files as files_of
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from fake_github.objects import PullRequest
from fake_github.pages.rendering import render
from ops_agent.pages.replay import read_record, replay_page
from ops_agent_demo.job import JobEnd
from ops_agent_demo.platform_setup import Stage

_PLAN = re.compile(r"^<details><summary>Plan of ([^<]+)</summary>\n+(`{3,})\w*\n(.*?)^\2$", re.DOTALL | re.MULTILINE)
_MARKER = "made-by-ops-agent-demo"


def records_of(stage: Stage, since: float) -> list[Path]:
    """The records that the job's runs have kept since then (seconds since the epoch), in the order of the issues."""
    numbers = sorted(issue.number for issue in stage.issues.values())
    found = [Path(tempfile.gettempdir()) / f"ops-agent-transcript-{number}.json" for number in numbers]
    return [path for path in found if path.is_file() and path.stat().st_mtime >= since]


def write_output(
    folder: Path, stage: Stage, end: JobEnd, pulls: Sequence[PullRequest], records: Sequence[Path]
) -> Path:
    """Replace `folder` by this run's results; returns the page to open. Raises FileExistsError when it holds anything
    that is not ours.
    """
    if folder.exists():
        if any(folder.iterdir()) and not (folder / _MARKER).exists():
            raise FileExistsError(f"{folder} is not empty and not from an earlier demo; choose another --output")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()
    first_page = stage.github.export_pages(folder / "github")[0].relative_to(folder)
    files = {pull.number: _write_pull_request(folder, pull) for pull in pulls}
    replays = []
    for number, path in enumerate(records, start=1):
        text = path.read_text(encoding="utf-8")
        (folder / f"run-{number}.json").write_text(text, encoding="utf-8")
        record = read_record(text)
        page = f"run-{number}.html"
        (folder / page).write_text(replay_page(record), encoding="utf-8")
        replays.append({"page": page, "title": record.title or record.issue, "conclusion": record.conclusion})
    (folder / "job-summary.md").write_text(end.summary, encoding="utf-8")
    (folder / "job-log.txt").write_text("\n".join(end.log) + "\n", encoding="utf-8")
    (folder / "outputs.json").write_text(json.dumps(end.outputs, indent=2), encoding="utf-8")
    start = _start_page(folder, stage, end, pulls, str(first_page), files, replays)
    (folder / "index.html").write_text(start, encoding="utf-8")
    return folder / "index.html"


def unified_diff(pull: PullRequest) -> str:
    """The change as a patch file."""
    parts = []
    for file in pull.files:
        old = f"a/{file.path}" if file.before else "/dev/null"
        new = f"b/{file.path}" if file.after else "/dev/null"
        parts.append(f"--- {old}\n+++ {new}\n{file.patch or '(binary)'}\n")
    return "".join(parts)


def plans_of(body: str) -> list[str]:
    """Terraform's plans as the pull request shows them, each under its root and environment."""
    return [f"{found[1]}\n\n{found[3]}" for found in _PLAN.finditer(body)]


def _write_pull_request(folder: Path, pull: PullRequest) -> list[tuple[str, str]]:
    name = f"pull-request-{pull.number}"
    (folder / f"{name}.md").write_text(f"# {pull.title}\n\n{pull.body}", encoding="utf-8")
    (folder / f"{name}.diff").write_text(unified_diff(pull), encoding="utf-8")
    links = [(f"{name}.md", f"#{pull.number} {pull.title}: text"), (f"{name}.diff", f"#{pull.number}: diff")]
    if plans := plans_of(pull.body):
        (folder / f"{name}-plan.txt").write_text("\n".join(plans), encoding="utf-8")
        links.append((f"{name}-plan.txt", f"#{pull.number}: terraform plan"))
    return links


def _start_page(
    folder: Path,
    stage: Stage,
    end: JobEnd,
    pulls: Sequence[PullRequest],
    github: str,
    files: Mapping[int, list[tuple[str, str]]],
    replays: Sequence[Mapping[str, str]],
) -> str:
    """Issue, board, pull request, replay and summary at a glance. A link to what is not exported becomes plain text."""

    def page(path: str) -> str:
        return f"github{path}.html"

    def exported(href: re.Match[str]) -> str:
        path = page(href[1].rstrip("/"))
        return f' href="{path}"' if (folder / path).is_file() else ""

    def shown(markdown: str) -> Markup:
        links = rf' href="(?:{re.escape(stage.github.base_url)})?(/[^"#?]*)[^"]*"'
        rendered = re.sub(links, exported, render(markdown, stage.repository))
        return Markup(rendered)  # noqa: S704 - sanitised by the embedded GitHub's renderer

    worked = {issue.number for pull in pulls for issue in pull.closes}
    columns = {name: list[str]() for name in stage.board.options.values()}
    for card in stage.board.cards:
        if card.column in columns:
            columns[card.column].append(f"#{card.issue.number} {card.issue.title}")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = files_of(__package__).joinpath("start.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        github=github,
        issues=[
            {"page": page(one.path), "number": one.number, "title": one.title, "body": shown(one.body)}
            for one in stage.issues.values()
            if one.number in worked
        ],
        board={"page": page(stage.board.path), "title": stage.board.title, "columns": columns.items()},
        pulls=[
            {
                "page": page(pull.path),
                "number": pull.number,
                "title": pull.title,
                "state": "draft" if pull.draft else pull.state,
                "body": shown(pull.body),
                "files": files[pull.number],
            }
            for pull in pulls
        ],
        replays=replays,
        summary=shown(end.summary),
        files=[
            ("job-summary.md", "Job summary"),
            ("job-log.txt", "Job log"),
            ("outputs.json", "Outputs of the action"),
            *((f"run-{n}.json", f"Record of run {n}") for n in range(1, len(replays) + 1)),
        ],
    )
