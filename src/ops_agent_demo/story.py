"""The demo's story: a sample repository, work items, and what the scripted language model answers to each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from ops_agent_demo.llm.script import Script, load_script

_HERE = Path(__file__).parent
SAMPLE, WORK_ITEMS = _HERE / "sample", _HERE / "work_items"
REPOSITORY = "DrivvenConsulting/orders"
SCENARIOS = ("single", "parent")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryItem:
    """One issue: `folder` below work_items, the column it is in, its text, and its script when it is work for the
    agent.
    """

    folder: str
    status: str
    title: str
    body: str
    script: Script | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A parent issue and its sub-issues in their order."""

    parent: StoryItem
    children: tuple[StoryItem, ...]


def load_story(folder: Path = WORK_ITEMS) -> Story:
    """The story in `folder`/items.yml. Raises OSError, KeyError or ValueError when a file of it is missing or
    malformed.
    """
    listing = yaml.safe_load((folder / "items.yml").read_text(encoding="utf-8"))
    return Story(
        parent=_item(folder, listing["parent"]), children=tuple(_item(folder, child) for child in listing["children"])
    )


def sample_files(folder: Path = SAMPLE) -> dict[str, bytes]:
    """The sample repository: path -> bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _item(folder: Path, entry: dict[str, str]) -> StoryItem:
    place = folder / entry["folder"]
    heading, _, body = (place / "issue.md").read_text(encoding="utf-8").partition("\n")
    if not heading.startswith("# "):
        raise ValueError(f"{place.name}/issue.md: the first line is the title, `# ...`")
    script = place / "script.yml"
    return StoryItem(
        folder=entry["folder"],
        status=entry["status"],
        title=heading[2:].strip(),
        body=body.strip() + "\n",
        script=load_script(script) if script.exists() else None,
    )
