"""`demo-output/`: everything that the run left behind, to open in a browser or to read as files."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fake_github.objects import PullRequest
from ops_agent_demo.job import JobEnd
from ops_agent_demo.platform_setup import Stage

_PLAN = re.compile(r"^<details><summary>Plan of ([^<]+)</summary>\n+(`{3,})\w*\n(.*?)^\2$", re.DOTALL | re.MULTILINE)
_MARKER = "made-by-ops-agent-demo"


def write_output(
    folder: Path, stage: Stage, end: JobEnd, pulls: Sequence[PullRequest], conversations: Sequence[list[dict[str, Any]]]
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
    links = [(str(first_page), "GitHub: issues, board, pull requests")]
    for pull in pulls:
        links += _write_pull_request(folder, pull)
    for number, messages in enumerate(conversations, start=1):
        name = f"conversation-{number}.json"
        (folder / name).write_text(json.dumps(messages, indent=2, ensure_ascii=False), encoding="utf-8")
        links.append((name, f"Conversation {number} with the language model"))
    (folder / "job-summary.md").write_text(end.summary, encoding="utf-8")
    (folder / "job-log.txt").write_text("\n".join(end.log) + "\n", encoding="utf-8")
    (folder / "outputs.json").write_text(json.dumps(end.outputs, indent=2), encoding="utf-8")
    links += [("job-summary.md", "Job summary"), ("job-log.txt", "Job log"), ("outputs.json", "Outputs of the action")]
    (folder / "index.html").write_text(_index(links), encoding="utf-8")
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


def _index(links: Sequence[tuple[str, str]]) -> str:
    items = "\n".join(f'<li><a href="{html.escape(target)}">{html.escape(text)}</a></li>' for target, text in links)
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>ops-agent demo</title>\n'
        "<style>body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem "
        "auto;color:#1f2328}a{color:#0969da}</style>\n"
        "<h1>ops-agent demo</h1>\n<p>What the last run left behind.</p>\n"
        f"<ul>\n{items}\n</ul>\n</html>\n"
    )
