"""The demo's pages in a real browser: headless Chromium opens and inspects the exported files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zlib
from dataclasses import asdict
from pathlib import Path

import pytest

from fake_github.objects import PullRequest
from fake_github.platform import EmbeddedGitHub
from ops_agent.model.conversation import LlmReply, StopReason, Transcript, Usage
from ops_agent.model.record import RunEvent, RunRecord
from ops_agent_demo.job import JobEnd
from ops_agent_demo.output_folder import write_output
from ops_agent_demo.platform_setup import Stage, set_up
from ops_agent_demo.run import served_pages
from ops_agent_demo.story import load_story

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
]
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--hide-scrollbars", "--window-size=1100,1400", "--virtual-time-budget=3000"),
)
BODY = """## Description

Orders wait in a queue. Caf\u00e9, \u4f60\u597d, \U0001f680.

| Target | Plan |
|---|---|
| `infra` (dev) | `+5 ~0 -0` |

<details><summary>Plan of infra (dev)</summary>

```diff
+ resource "aws_sqs_queue" "billing" {
```

</details>

<script>document.title = "taken over"</script>
<img src="x" onerror="document.title='taken over'">

## Linked issue

Closes #2
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Stage, PullRequest]:
    github = EmbeddedGitHub()
    stage = set_up(github, load_story())
    stage.repository.commit(
        "ops-agent/issue-2", {"infra/queue.tf": 'resource "aws_sqs_queue" "billing" {}\n'}, "Queue", by="maria"
    )
    number = stage.repository.next_number()
    pull = PullRequest(
        stage.repository,
        number,
        "[ops] Queue",
        BODY,
        github.account("maria"),
        head="ops-agent/issue-2",
        base="main",
        draft=False,
    )
    stage.repository.issues[number] = pull
    folder = tmp_path_factory.mktemp("pages")
    github.export_pages(folder)
    return folder, stage, pull


def chromium(page: Path, profile: Path, *more: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *more, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=90)


def seen(dom: str) -> str:
    """The words of a page as a reader sees them, without scripts and styles."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", dom, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


def test_the_pull_request_page_shows_text_table_fold_and_diff(
    pages: tuple[Path, Stage, PullRequest], tmp_path: Path
) -> None:
    folder, _, pull = pages
    dom = chromium(folder / f"DrivvenConsulting/orders/pull/{pull.number}.html", tmp_path, "--dump-dom").stdout
    words = seen(dom)
    assert "[ops] Queue" in words and "Orders wait in a queue. Caf\u00e9, \u4f60\u597d, \U0001f680." in words
    assert "<table" in dom and re.search(r"<details\b", dom)
    assert "infra/queue.tf" in words and "aws_sqs_queue" in words
    assert "taken over" not in dom.split("</title>")[0]


def test_the_board_shows_every_card_in_its_column(pages: tuple[Path, Stage, PullRequest], tmp_path: Path) -> None:
    folder, stage, _ = pages
    words = seen(chromium(folder / "orgs/DrivvenConsulting/projects/6.html", tmp_path, "--dump-dom").stdout)
    assert words.index("Backlog") < words.index(stage.issues["order-archive"].title) < words.index("Ready")
    assert words.index("Ready") < words.index(stage.issues["billing-queue"].title) < words.index("In Progress")


def test_the_start_page_shows_issue_board_pull_request_and_the_replay_of_the_run(
    pages: tuple[Path, Stage, PullRequest], tmp_path: Path
) -> None:
    _, stage, pull = pages
    reply = LlmReply(
        text="A queue fits.",
        tool_calls=(),
        stop_reason=StopReason.END_TURN,
        usage=Usage(input_tokens=9, output_tokens=1),
        llm_id="m",
    )
    run = RunRecord(
        issue="o/r#2",
        title="[ops] Queue",
        conclusion="published",
        reason="",
        seconds=10.0,
        events=(RunEvent(at=2.0, kind="stage", text="converse"), RunEvent(at=7.0, kind="end", text="converse")),
        transcript=Transcript(turns=(reply,), usage=reply.usage, turn_count=1, ending=None),
    )
    record = tmp_path / "record.json"
    record.write_text(json.dumps(asdict(run)))
    start = write_output(tmp_path / "out", stage, JobEnd(summary="All is **well**."), [pull], [record])
    words = seen(chromium(start, tmp_path / "profile", "--dump-dom").stdout)
    for part in ("Orders wait in a queue.", "Ready", "All is well .", "Replay: [ops] Queue published"):
        assert part in words, part
    dom = chromium(start.parent / "run-1.html", tmp_path / "profile", "--dump-dom").stdout
    assert "A queue fits." in seen(dom) and "left:20.0%;width:50.0%" in dom


def test_pages_need_nothing_from_a_network(pages: tuple[Path, Stage, PullRequest]) -> None:
    for page in pages[0].rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//", text), page


def test_a_screenshot_of_the_pull_request_is_not_blank(pages: tuple[Path, Stage, PullRequest], tmp_path: Path) -> None:
    folder, _, pull = pages
    shot = tmp_path / "shot.png"
    chromium(folder / f"DrivvenConsulting/orders/pull/{pull.number}.html", tmp_path / "profile", f"--screenshot={shot}")
    width, height, colours = look_at(shot.read_bytes())
    assert (width, height) == (1100, 1400) and colours > 20


def look_at(png: bytes) -> tuple[int, int, int]:
    """Width, height and the number of different four-byte groups in the picture's data: a blank page has a handful."""
    assert png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
    data, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    pixels = zlib.decompress(data)
    return width, height, len({pixels[n : n + 4] for n in range(0, len(pixels) - 4, 4)})


def test_a_person_who_is_served_the_demo_gets_from_the_repository_to_board_and_pull_request(tmp_path: Path) -> None:
    """`demo --serve`: every page that the demo names opens in a browser over HTTP, and so do the links of the
    repository's page.
    """
    with EmbeddedGitHub() as github:
        stage = set_up(github, load_story())
        stage.repository.commit("ops-agent/issue-2", {"infra/queue.tf": "# queue\n"}, "Queue", by="maria")
        number = stage.repository.next_number()
        stage.repository.issues[number] = PullRequest(
            stage.repository,
            number,
            "[ops] Queue",
            BODY,
            github.account("maria"),
            head="ops-agent/issue-2",
            base="main",
            draft=False,
        )
        named = served_pages(stage)
        assert [what for _, what in named] == [f"pull request #{number}", "the board"]
        dom = dumped(stage.repository.url, tmp_path / "profile")
        for page, _ in named:
            assert f'href="{page}"' in dom
            assert "404" not in seen(dumped(github.base_url + page, tmp_path / "profile"))
        assert "Queue" in seen(dumped(github.base_url + named[0][0], tmp_path / "profile"))


def dumped(url: str, profile: Path) -> str:
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
