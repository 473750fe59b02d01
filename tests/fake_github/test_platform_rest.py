"""Every REST call that the platform offers answers as GitHub's OpenAPI description says."""

from __future__ import annotations

import base64
import io
import tarfile
from typing import Any

import pytest
import requests

from fake_github.api import ROUTES
from github_descriptions import Checker

R = "/repos/DrivvenConsulting/orders"


def conversation(org: Any) -> None:
    """One successful request for each route."""
    wire, orders = org.app, org.orders
    parent = orders.add_issue("Parent", author="maria")
    parent.add_sub_issue(org.issue)
    blocker = orders.add_issue("[ops] Role", author="maria")
    person = org.wire(org.github.classic_token("maria", "repo", "workflow"))
    run = orders.add_run(77)
    head = wire.get(f"{R}/git/ref/heads/main")["object"]["sha"]
    commit = wire.get(f"{R}/git/commits/{head}")
    tree = wire.get(f"{R}/git/trees/{commit['tree']['sha']}", recursive="1")
    blob = next(e for e in tree["tree"] if e["path"] == "README.md")
    tag = orders.tag("v1", by="maria")
    for path in (
        "", f"/git/tags/{tag}",
        "/branches/main", "/commits", f"/commits/{head}", f"/compare/main...{head}", f"/git/blobs/{blob['sha']}",
        "/labels", "/labels/bug", f"/actions/runs/{run.id}", "/collaborators/maria/permission", "/issues", "/issues/12",
        "/issues/12/events", "/issues/12/timeline", "/issues/12/labels", "/issues/12/parent", "/issues/12/comments",
        f"/issues/{parent.number}/sub_issues", "/issues/12/dependencies/blocked_by",
        f"/issues/{blocker.number}/dependencies/blocking", "/pulls",
    ):  # fmt: skip
        wire.get(R + path)
    restricted = {"restricted_file_paths": ["secret/*"]}
    orders.protect("ops-agent/*", "file_path_restriction", parameters=restricted, bypass="always")
    rules = wire.get(f"{R}/rules/branches/ops-agent%2Fissue-12")
    assert wire.get(f"{R}/rulesets/{rules[0]['ruleset_id']}")["current_user_can_bypass"] == "always"
    person.get("/user")
    wire.get("/apps/ops-agent")
    wire.get("/installation/repositories")
    assert wire("GET", f"{R}/tarball/main").status_code == 302

    def send(method: str, path: str, body: Any = None, status: int = 201) -> Any:
        answer = wire(method, R + path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    send("POST", "/labels", {"name": "ops-agent", "color": "0e8a16"})
    send("POST", "/issues", {"title": "Follow up", "body": "text", "labels": ["bug"]})
    send("PATCH", "/issues/12", {"title": "[ops] Queue", "body": "new", "state": "open"}, 200)
    send("POST", "/issues/12/labels", {"labels": ["ops-agent", "bug"]}, 200)
    send("DELETE", "/issues/12/labels/bug", None, 200)
    comment = send("POST", "/issues/12/comments", {"body": "Working"})
    send("PATCH", f"/issues/comments/{comment['id']}", {"body": "Done"}, 200)
    wire.get(f"{R}/issues/comments/{comment['id']}")
    send("DELETE", f"/issues/comments/{comment['id']}", None, 204)
    send("POST", f"/issues/{parent.number}/sub_issues", {"sub_issue_id": blocker.id})
    send("POST", "/issues/12/dependencies/blocked_by", {"issue_id": blocker.id})
    send("POST", "/git/refs", {"ref": "refs/heads/ops-agent/issue-12", "sha": head})
    new = orders.commit("work", {"infra/queue.tf": "# queue\n"}, "Add the queue", by="maria")
    send("PATCH", "/git/refs/heads/ops-agent/issue-12", {"sha": new}, 200)
    pull = send(
        "POST",
        "/pulls",
        {"title": "Queue", "head": "ops-agent/issue-12", "base": "main", "body": "Closes #12", "draft": True},
    )
    reviewed = orders.pull_request(pull["number"])
    reviewed.review("CHANGES_REQUESTED", "Please rename.", by="maria", lines={("infra/queue.tf", 1): "This."})
    send("POST", f"/pulls/{pull['number']}/comments/{reviewed.threads[0].comments[0].id}/replies", {"body": "Done."})
    for path in ("", "/files", "/commits", "/reviews"):
        wire.get(f"{R}/pulls/{pull['number']}{path}")
    wire.get(f"{R}/issues/{pull['number']}/timeline")
    send("PATCH", f"/pulls/{pull['number']}", {"title": "Queue for orders", "body": "Closes #12\n"}, 200)
    checks = org.wire(org.github.app_token(contents="read", checks="write"))
    wanted = {"name": "lint", "head_sha": new, "conclusion": "success", "output": {"title": "ok", "summary": "ok"}}
    assert checks("POST", f"{R}/check-runs", wanted).status_code == 201
    assert checks.get(f"{R}/commits/{new}/check-runs")["check_runs"][0]["conclusion"] == "success"
    assert person("POST", f"{R}/check-runs", wanted).status_code == 403
    job = orders.add_check("test", new, "failure", log="failed\n", annotations=[{"path": "a", "message": "no"}])
    assert checks.get(f"{R}/check-runs/{job.id}/annotations")[0]["message"] == "no"
    log = wire("GET", f"{R}/actions/jobs/{job.id}/logs")
    assert log.status_code == 302
    assert requests.get(log.headers["Location"], timeout=5).text == "failed\n"
    newer = orders.commit("main", {"other.md": "x"}, "Meanwhile", by="maria")
    merge = {"base": "ops-agent/issue-12", "head": newer, "commit_message": "Merge"}
    assert len(send("POST", "/merges", merge)["parents"]) == 2
    assert send("POST", "/merges", merge, 204) is None
    blob_made = send("POST", "/git/blobs", {"content": "eA==", "encoding": "base64"})
    entry = {"path": "x", "mode": "100644", "type": "blob", "sha": blob_made["sha"]}
    made = send("POST", "/git/trees", {"base_tree": commit["tree"]["sha"], "tree": [entry]})
    send("POST", "/git/commits", {"message": "Both", "tree": made["sha"], "parents": [head, newer]})
    send("PUT", "/issues/12/lock", None, 204)
    wire.get(f"{R}/issues/12/timeline")
    send("DELETE", "/git/refs/heads/ops-agent/issue-12", None, 204)


def test_every_route_answers_as_the_description_says(org: Any) -> None:
    conversation(org)
    checker = Checker()
    checker.assert_all_valid(org.github.recorder)
    answered = {operation for operation, status in checker.seen if 200 <= status < 400}
    assert {f"{r.method} {r.template}" for r in ROUTES} <= answered


def test_an_issue_gives_its_timeline_in_order(org: Any) -> None:
    org.github.label(org.issue, "ready", by="tom")
    org.issue.edit(title="[ops] Queue for orders, with DLQ", by="tom")
    org.issue.comment("Please.", by="maria")
    org.issue.close(by="maria")
    timeline = org.app.get(f"{R}/issues/12/timeline")
    assert [(e["event"], e["actor"]["login"]) for e in timeline] == [
        ("labeled", "tom"), ("renamed", "tom"), ("commented", "maria"), ("closed", "maria"),
    ]  # fmt: skip
    assert timeline[1]["rename"] == {"from": "[ops] Queue for orders", "to": "[ops] Queue for orders, with DLQ"}
    assert [e["event"] for e in org.app.get(f"{R}/issues/12/events")] == ["labeled", "renamed", "closed"]


@pytest.mark.parametrize(("size", "pages"), [(100, 1), (30, 4), (1, 100)])
def test_a_hundred_sub_issues_come_in_pages_linked_as_github_links_them(org: Any, size: int, pages: int) -> None:
    parent = org.orders.add_issue("Parent", author="maria")
    children = [parent.add_sub_issue(org.orders.add_issue(f"[ops] {i}", author="maria")) for i in range(100)]
    wire, url, seen, requested = org.app, f"{R}/issues/{parent.number}/sub_issues?per_page={size}", [], 0
    while url:
        answer = wire("GET", url.removeprefix(org.github.base_url))
        seen += [i["number"] for i in answer.json()]
        requested += 1
        url = answer.links.get("next", {}).get("url", "")
    assert (seen, requested) == ([c.number for c in children], pages)


def test_the_tarball_holds_the_files_of_the_commit(org: Any) -> None:
    org.orders.commit(
        "main",
        {"run.sh": "#!/bin/sh\n", "link": "README.md"},
        "Modes",
        by="maria",
        modes={"run.sh": "100755", "link": "120000"},
    )
    found = org.app("GET", f"{R}/tarball/main")
    content = requests.get(found.headers["Location"], timeout=10).content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {m.name.partition("/")[2]: m for m in archive.getmembers()}
        assert archive.extractfile(members["README.md"]).read() == b"# Orders\n"  # type: ignore[union-attr]
        assert archive.pax_headers["comment"] == org.orders.head()
    assert members["run.sh"].mode & 0o100 and members["link"].issym() and members["link"].linkname == "README.md"


@pytest.mark.parametrize("by", [None, "maria"])
def test_a_tag_leads_to_its_commit(org: Any, by: str | None) -> None:
    """An annotated tag is an object of its own, with one step more to the commit."""
    org.orders.tag("v4", by=by)
    found = org.app.get(f"{R}/git/ref/tags/v4")["object"]
    assert found["type"] == ("tag" if by else "commit")
    if by:
        found = org.app.get(f"{R}/git/tags/{found['sha']}")["object"]
    assert found["sha"] == org.orders.head() == org.app.get(f"{R}/commits/v4")["sha"]


def test_an_app_reports_the_permissions_it_asks_for(org: Any) -> None:
    org.github.app_token("narrow", contents="write")
    asked = {slug: org.app.get(f"/apps/{slug}")["permissions"] for slug in ("narrow", "ops-agent")}
    assert asked["narrow"] == {"metadata": "read", "contents": "write"}
    assert asked["ops-agent"]["workflows"] == "write"


def test_a_tree_beyond_the_limit_says_that_it_is_cut(org: Any) -> None:
    org.orders.tree_limit = 2
    tree = org.app.get(f"{R}/git/trees/main", recursive="1")
    assert (len(tree["tree"]), tree["truncated"]) == (2, True)


def test_a_blob_comes_as_base64_or_raw(org: Any) -> None:
    sha = org.orders.store.put_blob(bytes(range(256)))
    assert base64.b64decode(org.app.get(f"{R}/git/blobs/{sha}")["content"]) == bytes(range(256))
    assert org.app("GET", f"{R}/git/blobs/{sha}", accept="application/vnd.github.raw+json").content == bytes(range(256))


def test_pull_requests_are_found_by_their_head(org: Any) -> None:
    for name in ("one", "two"):
        org.orders.commit(name, {f"{name}.tf": "#\n"}, name, by="maria")
        org.orders.open_pull_request(name, head=name, by="maria")
    org.orders.pull_requests[0].close(by="maria")
    found = org.app.get(f"{R}/pulls", head="DrivvenConsulting:two", state="all")
    assert [(p["head"]["ref"], p["state"]) for p in found] == [("two", "closed")]
    assert org.app.get(f"{R}/pulls", head="DrivvenConsulting:two") == []
    assert [p["head"]["ref"] for p in org.app.get(f"{R}/pulls", state="all")] == ["two", "one"]


def test_a_merge_closes_the_issue_that_a_keyword_names_and_keeps_the_pull_requests_diff(org: Any) -> None:
    org.orders.commit("work", {"infra/queue.tf": "# queue\n", "README.md": None}, "Queue", by="maria")
    pull = org.orders.open_pull_request("Queue", "Closes #12", head="work", by="maria")
    pull.merge(by="maria")
    assert org.app.get(f"{R}/issues/12")["state"] == "closed"
    shown = org.app.get(f"{R}/pulls/{pull.number}")
    assert (shown["merged"], shown["state"], shown["changed_files"]) == (True, "closed", 2)
    assert sorted(org.orders.files()) == ["infra/main.tf", "infra/queue.tf"]


def test_a_merge_to_another_branch_closes_nothing(org: Any) -> None:
    """Keywords count for the default branch only."""
    org.orders.create_branch("develop", org.orders.head())
    org.orders.commit("work", {"a.tf": "#\n"}, "a", by="maria")
    pull = org.orders.open_pull_request("Queue", "Closes #12", head="work", base="develop", by="maria")
    assert pull.closes == []
    pull.merge(by="maria")
    assert org.issue.state == "open"


@pytest.mark.parametrize(
    ("body", "closes"),
    [
        ("Closes #12", True), ("fixes: #12", True), ("RESOLVED DrivvenConsulting/orders#12", True),
        ("`Closes #12`", False), ("**Closes** #12", True), ("Closes `x` #12", False),
        ("Closes\n#12", True), ("text <!-- Closes #12 -->", False),
        ("```\nCloses #12\n```", False), ("<!-- Closes #12 -->", False), ("Parent issue: #12", False),
        ("discloses #12", False), ("Closes\u200b #12", False), ("Closes #120", False), ("See #12", False),
    ],
)  # fmt: skip
def test_closing_keywords_are_read_as_github_reads_them(org: Any, body: str, closes: bool) -> None:
    org.orders.commit("work", {"a.tf": "#\n"}, "a", by="maria")
    pull = org.orders.open_pull_request("Queue", body, head="work", by="maria")
    assert (org.issue in pull.closes) is closes
