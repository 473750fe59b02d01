"""Replays commits of public repositories through the source rules, each with its repository's own settings.

    PYTHONPATH=src:tests python -m corpus.replay PATH [--commits N] [--repo NAME] [--only KIND] [--json FILE]
    PYTHONPATH=src:tests python -m corpus.replay PATH --commit ID        that commit, with its findings

PATH is a folder of clones, bare or checked out. The parent's tree is the base, the commit is the change. A commit is
refused when a finding blocks that the base does not have. Two kinds of findings are listed but not counted: those of
the rules about paths, which hold because an agent is the author, and those about a second region that the repository
uses, because ops-agent works in one.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

from corpus.derived_settings import Facts, derive
from corpus.history import TERRAFORM, WORKFLOW, Commit, Repository, chosen, repositories_in
from corpus.product import CRASHED, Refusal, Side, refusals, warm_up

KINDS = (TERRAFORM, WORKFLOW)
Findings = Sequence[Refusal]
Choice = Callable[[Sequence[Commit]], Sequence[Commit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One replayed commit.

    `seconds` is processor time. Over the limit it is `timed_out`, has no findings and counts as refused.
    `needs_settings`: it is refused and would not be, if the settings also allowed what the commit itself brings (a new
    provider, module source, account, action or secret), as a person would have to allow first.
    """

    repository: str
    commit: str
    subject: str
    kind: str
    seconds: float
    timed_out: bool
    needs_settings: bool
    findings: tuple[Refusal, ...]

    @property
    def crashes(self) -> tuple[Refusal, ...]:
        return tuple(f for f in self.findings if f.rule == CRASHED)

    @property
    def is_refused(self) -> bool:
        return self.timed_out or _counts(self.findings)


def replay(repositories: Iterable[Repository], choose: Choice, limit: float) -> Iterator[Judged]:
    """Judge what `choose` takes of the commits of every repository, each for at most `limit` processor seconds.

    A commit with a file that the clone lacks is left out.
    """
    warm_up()
    for repository in repositories:
        facts: Facts = {}
        for commit in choose(repository.commits):
            if all(repository.blob(b) is not None for c in commit.changes for b in (c.before, c.after) if b):
                yield _judged(repository, commit, facts, limit)
        repository.close()


def refused_of(judged: Iterable[Judged], kind: str) -> tuple[int, int]:
    """How many commits of a kind are refused although their settings allow what they bring, and how many there are."""
    refused = [j.is_refused and not j.needs_settings for j in judged if j.kind == kind]
    return sum(refused), len(refused)


def summary(judged: Sequence[Judged]) -> str:
    """A row for each repository and one for all, then what each rule refuses, then what is not counted.

    "by settings" counts the commits that bring what their repository's settings do not allow yet; they are not among
    the refused.
    """
    names = list(dict.fromkeys(j.repository for j in judged))
    rows = [_row(name, [j for j in judged if j.repository == name]) for name in names]
    head = (
        "repository",
        "Terraform refused",
        "workflow refused",
        "by settings",
        "crashes",
        "over limit",
        "median s",
        "max s",
    )
    tables = [table([head, *rows, _row("all", judged)])]
    for title, is_aside in (("rule", False), ("not counted", True)):
        columns = (title, "Terraform commits", "workflow commits", "of these for a line of the commit")
        tables.append(table([columns, *_rule_rows(judged, is_aside)]))
    return "\n\n".join(tables)


def _judged(repository: Repository, commit: Commit, facts: Facts, limit: float) -> Judged:
    tree = repository.tree(commit.parent)
    sides = [Side(c.path, repository.content(c.before), repository.content(c.after)) for c in commit.changes]

    def judged(files: Iterable[tuple[str, str]]) -> tuple[Findings | None, float]:
        settings = derive(files, repository.blob, facts)
        work = partial(refusals, settings, tuple(tree), lambda path: repository.blob(tree[path]) or b"", sides)
        findings, seconds = _in_child(work, limit)
        if findings is None:
            repository.close()  # the child may have died in the middle of an answer of the shared reader
        return findings, seconds

    findings, seconds = judged(tree.items())
    needs_settings = False
    if findings and _counts(findings):
        wider, _ = judged([*tree.items(), *((c.path, c.after) for c in commit.changes if c.after)])
        needs_settings = wider is not None and not _counts(wider)
    return Judged(
        repository=repository.name,
        commit=commit.id,
        subject=commit.subject,
        kind=commit.kind or "",
        seconds=round(seconds, 3),
        timed_out=findings is None,
        needs_settings=needs_settings,
        findings=tuple(findings or ()),
    )


def _counts(findings: Findings) -> bool:
    return any(not f.aside for f in findings)


def _in_child(work: Callable[[], Any], limit: float) -> tuple[Any, float]:
    """What `work` returns and the processor seconds it took, in a fork of this process: caches start as they are here.

    None after about `limit` processor seconds, or when it hangs. Raises RuntimeError when `work` raises.
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        _child(work, sender, limit)
    os.close(sender)
    answer = _read(receiver, 10 * (1 + limit))
    if answer is None:
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    if answer:
        done, seconds = pickle.loads(answer)
        return done, seconds
    if os.WIFEXITED(status):
        raise RuntimeError("the judge raised, see above")
    return None, used.ru_utime + used.ru_stime


def _child(work: Callable[[], Any], sender: int, limit: float) -> NoReturn:
    try:
        seconds = int(limit) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        answer = pickle.dumps((work(), time.process_time()))
        with os.fdopen(sender, "wb") as stream:
            stream.write(answer)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _read(descriptor: int, seconds: float) -> bytes | None:
    """Everything that the child writes, None when it takes longer."""
    until = time.monotonic() + seconds
    parts: list[bytes] = []
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        while select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
            part = stream.read(1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
    return None


def _row(name: str, judged: Sequence[Judged]) -> tuple[str, ...]:
    shares = [refused_of(judged, kind) for kind in KINDS]
    refused = [f"{n} of {total} ({n / total:.0%})" if total else "-" for n, total in shares]
    seconds = [j.seconds for j in judged] or [0.0]
    kinds = ([j.needs_settings for j in judged], [j.crashes for j in judged], [j.timed_out for j in judged])
    counts = (sum(map(bool, of)) for of in kinds)
    return (name, *refused, *map(str, counts), f"{median(seconds):.2f}", f"{max(seconds):.2f}")


def _rule_rows(judged: Iterable[Judged], is_aside: bool) -> list[tuple[str, ...]]:
    commits: dict[str, dict[str, set[str]]] = {}
    for one in judged:
        for finding in one.findings:
            if bool(finding.aside) is is_aside:
                name = f"{finding.rule} ({finding.aside})" if is_aside else finding.rule
                of_rule = commits.setdefault(name, {kind: set() for kind in (*KINDS, "own")})
                of_rule[one.kind].add(one.commit)
                if finding.is_own:
                    of_rule["own"].add(one.commit)
    rows = [(name, [len(ids) for ids in of_rule.values()]) for name, of_rule in commits.items()]
    return [(name, *map(str, counts)) for name, counts in sorted(rows, key=lambda row: (-sum(row[1][:2]), row[0]))]


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ruled = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in ruled)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay and print. Always 0: the proof judges the figures."""
    parser = argparse.ArgumentParser(prog="corpus.replay", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path, help="folder of git repositories")
    parser.add_argument("--commits", type=int, default=16, help="commits of each repository (%(default)s)")
    parser.add_argument("--repo", default="", help="only repositories whose name contains this")
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--commit", help="only the commit whose id begins so; prints its findings")
    parser.add_argument("--limit", type=float, default=60, help="processor seconds for one commit (%(default)s)")
    parser.add_argument("--json", type=Path, help="write every commit with its findings to this file")
    given = parser.parse_args(arguments)
    wanted = [r for r in repositories_in(given.path) if given.repo.replace("+", "/") in r.name]

    def choose(commits: Sequence[Commit]) -> Sequence[Commit]:
        if given.commit:
            return [c for c in commits if c.id.startswith(given.commit)]
        return chosen(commits, given.commits, [given.only] if given.only else KINDS)

    judged = []
    for one in replay(wanted, choose, given.limit):
        judged.append(one)
        result = "over limit" if one.timed_out else "refused" if one.is_refused else "passed"
        place = f"{one.repository} {one.commit[:10]}"
        sys.stderr.write(f"{place} {one.kind} {result} {one.seconds:.2f} s: {one.subject}\n")
        for finding in one.findings if given.commit else ():
            sys.stdout.write(f"{finding.rule} {finding.path}:{finding.line}: {finding.what}\n    {finding.text}\n")
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in judged], indent=1))
    sys.stdout.write(summary(judged) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
