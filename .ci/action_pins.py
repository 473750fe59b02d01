"""Renews src/ops_agent/guard/data/action_pins.txt: `python .ci/action_pins.py` (git, and gh with a token).

Of each action in the table and each major version from the oldest one there: the newest release that is a week old,
with the commit that the action's own repository gives its tag. Ends with 1, and writes nothing, when a tag has moved.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

TABLE = Path(__file__).parents[1] / "src/ops_agent/guard/data/action_pins.txt"
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_RELEASES = '.[] | select((.draft or .prerelease) | not) | "\\(.tag_name) \\(.published_at)"'
Run = Callable[..., str]


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout  # noqa: S603


def numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.fullmatch(version)
    return tuple(map(int, found.groups())) if found else ()


def renewed(table: str, now: datetime, run: Run = run) -> tuple[str, list[str]]:
    """The table as it should be, and what is wrong: tags that do not mean the commit of the table any more."""
    head, _, _ = table.partition("\n\n")
    parts, problems = [head + "\n"], []
    for action, listed in re.findall(r"^([\w./-]+):\n((?:  \S+\n)+)", table, re.MULTILINE):
        known = dict(entry.split("@") for entry in listed.split())
        tags = dict(reversed(line.split("\trefs/tags/")) for line in run_tags(action, run))
        commits = {tag: tags.get(f"{tag}^{{}}", commit) for tag, commit in tags.items() if numbers(tag)}
        problems += [f"{action} {v}: {commits.get(v)}, not {c}" for v, c in known.items() if commits.get(v) != c]
        newest: dict[int, str] = {}
        for line in run("gh", "api", "--paginate", f"repos/{action}/releases", "--jq", _RELEASES).splitlines():
            tag, _, published = line.partition(" ")
            is_settled = now - datetime.fromisoformat(published.replace("Z", "+00:00")) >= timedelta(days=7)
            if is_settled and tag in commits and numbers(tag) >= (min(map(numbers, known))[0],):
                newest[numbers(tag)[0]] = max(newest.get(numbers(tag)[0], tag), tag, key=numbers)
        kept = {numbers(v)[0]: v for v in known} | newest
        commits = known | commits
        parts.append(f"{action}:\n" + "".join(f"  {kept[m]}@{commits[kept[m]]}\n" for m in sorted(kept)))
    return parts[0] + "\n" + "".join(parts[1:]), problems


def run_tags(action: str, run: Run) -> list[str]:
    return run("git", "ls-remote", "--tags", f"https://github.com/{action}", "v*").splitlines()


def main() -> int:
    text, problems = renewed(TABLE.read_text(), datetime.now(UTC))
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    if not problems:
        TABLE.write_text(text)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
