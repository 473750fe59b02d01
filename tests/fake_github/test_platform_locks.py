"""Two runs at the same instant: the platform decides as GitHub does, one wins."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any

R = "/repos/DrivvenConsulting/orders"


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """Run the functions in threads that start together; their results in order."""
    barrier, results = threading.Barrier(len(deeds)), [None] * len(deeds)

    def run(index: int, deed: Callable[[], Any]) -> None:
        barrier.wait(5)
        results[index] = deed()

    threads = [threading.Thread(target=run, args=(i, deed)) for i, deed in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


def test_one_of_two_runs_creates_the_branch(org: Any) -> None:
    """Creating the ref is the lock."""
    wire, head = org.app, org.orders.head()
    for pair in range(20):
        body = {"ref": f"refs/heads/ops-agent/issue-{pair}", "sha": head}
        answers = at_once(*[lambda body=body: wire("POST", f"{R}/git/refs", body)] * 2)
        assert sorted(a.status_code for a in answers) == [201, 422]
        assert next(a.json()["message"] for a in answers if a.status_code == 422) == "Reference already exists"


def test_one_of_two_commits_on_the_same_head_lands(org: Any) -> None:
    wire, text = (
        org.app,
        "mutation($i: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $i) { commit { oid } } }",
    )
    for round_number in range(10):
        head = org.orders.head()

        def deed(name: str, head: str = head) -> Any:
            return wire.query(
                text,
                i={
                    "branch": {"repositoryNameWithOwner": "DrivvenConsulting/orders", "branchName": "main"},
                    "expectedHeadOid": head,
                    "message": {"headline": name},
                    "fileChanges": {
                        "additions": [{"path": name, "contents": base64.b64encode(name.encode()).decode()}]
                    },
                },
            )

        names = [f"{side}-{round_number}" for side in ("left", "right")]
        answers = at_once(*[lambda name=name: deed(name) for name in names])
        winners = [name for name, answer in zip(names, answers, strict=True) if "errors" not in answer]
        losers = [answer["errors"][0]["type"] for answer in answers if "errors" in answer]
        assert len(winners) == 1 and losers == ["STALE_DATA"]
        assert org.orders.store.commits[org.orders.head()].parents == (head,)
        assert [n for n in names if org.orders.file("main", n) is not None] == winners


def test_one_of_two_runs_opens_the_pull_request(org: Any) -> None:
    wire = org.app
    org.orders.commit("work", {"a": "b"}, "a", by="maria")
    body = {"title": "t", "head": "work", "base": "main"}
    answers = at_once(*[lambda: wire("POST", f"{R}/pulls", body)] * 4)
    assert sorted(a.status_code for a in answers) == [201, 422, 422, 422]
    assert len(org.orders.pull_requests) == 1
