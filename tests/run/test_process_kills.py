"""Real processes, really killed: SIGKILL while call k is in flight, then the next attempt (`make proof`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from ops_agent.run.publish import Published
from run.github_world import SharedGitHub, Workplace
from run.publication_runs import whole_run

CALLS = 21
"""One claim and one publication, clean."""
CHILD = """
import json, sys
from run.test_process_kills import child
child(json.loads(sys.argv[1]))
"""


def child(given: dict[str, Any]) -> None:
    """The run itself, in a process of its own: same code, adapters against the parent's GitHub."""
    from builders import MARIA, run, work_item
    from doubles.clock import FakeClock
    from ops_agent.adapters.github.client import connect
    from ops_agent.model.event import IssueRef, Repository
    from ops_agent.model.outcome import Stopped
    from ops_agent.model.work_item import Approval, content_hash
    from ops_agent.run.claim import claim
    from ops_agent.run.progress import Progress
    from ops_agent.run.publish import publish
    from run.github_world import changes, make_world, proposal, settings

    http = connect(given["token"], {"GITHUB_API_URL": given["url"]}, FakeClock())
    world = make_world(http, FakeClock())
    owner, name = given["repository"].split("/")
    issue = world.issues.issue(IssueRef(repository=given["repository"], number=12))
    approval = Approval(
        by=MARIA, event_id=9001, at="2026-11-20T10:00:00Z", content_hash=content_hash(issue.title, issue.body)
    )
    target = Repository(owner=owner, name=name, id=given["id"], default_branch="main")
    item = work_item(issue=issue, title=issue.title, approval=approval, target=target)
    identity = run(repository=given["repository"])
    chosen = settings(status_review="In Review", pr_labels=("infra",))
    held = claim(world, chosen, item, identity)
    assert not isinstance(held, Stopped), held
    publish(world, chosen, Progress(world, item, held, identity), changes(held.base_commit), proposal())


@pytest.fixture(scope="module")
def reference(shared_github: SharedGitHub) -> dict[str, Any]:
    here = shared_github.workplace()
    assert isinstance(whole_run(here, here.world(), here.run()), Published)
    assert len(here.github.recorder.calls) - 1 == CALLS, str(
        here.github.recorder
    )  # one is the test's own read of the issue
    return here.seen()


def killed_at(here: Workplace, k: int, after: bool) -> int:
    """Start the run as a process; the server kills it while its call `k` is in flight. Its return code."""
    given = {
        "token": here.token,
        "url": here.github.base_url,
        "repository": here.repository.full_name,
        "id": here.repository.id,
    }
    process: subprocess.Popen[bytes] | None = None
    here.github.faults.at(k + 1).run(lambda: process and os.kill(process.pid, signal.SIGKILL), after=after)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(given)], env=environment)
    return process.wait(60)


@pytest.mark.proof
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", range(1, CALLS + 1))
def test_a_process_killed_at_a_call_is_completed_by_its_next_attempt(
    shared_github: SharedGitHub, reference: dict[str, Any], k: int, after: bool
) -> None:
    here = shared_github.workplace()
    assert killed_at(here, k, after) == -signal.SIGKILL
    here.github.faults.clear()
    whole_run(here, here.world(), here.run(attempt=2))
    assert here.seen() == reference
