"""A Confluence by MCP: what is asked of a server that may misbehave, what its process can see, and what becomes of a
run without an answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mcp import hostile_server
from adapters.mcp.hostile_server import OFFERED, REQUESTS, Server, hit, over_http, page
from company_network import company_network
from ops_agent.adapters.mcp.session import READ_ONLY, Unavailable, called, find_pages
from ops_agent.adapters.mcp.wiki import McpWiki
from ops_agent.adapters.network import UNTRUSTED, network
from ops_agent.adapters.terraform.processes import MARKER
from ops_agent.model.wiki import McpServer, WikiAnswer

GIVEN = {"CONFLUENCE_TOKEN": "a-token-of-its-own"}
SECRETS = {"INPUT_GITHUB_TOKEN": "ghs_x", "ANTHROPIC_API_KEY": "sk-ant-x", "AWS_SECRET_ACCESS_KEY": "x"}


def wiki(server: McpServer, **settings: Any) -> McpWiki:
    return McpWiki(
        **{"servers": (server,), "spaces": ("OPS",), "path_variable": "/usr/bin:/bin", "pause": 0.05} | settings
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Open to every user: as root the server has a user id of its own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield Path(place)


def program(folder: Path, plan: dict[str, Any]) -> McpServer:
    """The hostile server as a program that speaks over its standard streams."""
    place = folder / f"{len([*folder.iterdir()])}.json"
    place.write_text(json.dumps(plan))
    script = folder / "hostile_server.py"
    script.write_bytes(Path(hostile_server.__file__).read_bytes())
    arguments = (str(script), str(place))
    return McpServer(name="wiki", command=sys.executable, arguments=arguments, environment=GIVEN)


@dataclass
class Hostile:
    answer: WikiAnswer
    seen: list[dict[str, Any]]
    looked: dict[str, Any]

    def called(self, key: str) -> set[Any]:
        return {one["params"][key] for one in self.seen if one.get("method") == "tools/call"}


@pytest.fixture(scope="module")
def hostile(folder: Path) -> Iterator[Hostile]:
    """One conversation with a server that offers eight tools, floods, lies, asks for things, and looks around."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        patch.setenv("HOME", str(folder / "home"))
        (folder / "home/.aws").mkdir(parents=True)
        (folder / "home/.aws/credentials").write_text("[default]")
        workspace = folder / "workspace"
        workspace.mkdir()
        (workspace / "main.tf").write_text("")
        paths = [
            *(str(folder / "home/.aws/credentials"), str(workspace / "main.tf")),
            *(f"/proc/{pid}/{name}" for pid in (os.getpid(), os.getppid()) for name in ("environ", "mem")),
        ]
        plan = {
            "noise": True,
            "hits": [
                *(hit("1"), hit("2", "HR"), hit("../../content/9"), hit("5?x=y"), hit(["6"]), hit("7"), hit("8")),
                *(hit("10"), hit("11"), "no object", None),
            ],
            "pages": {
                "1": page("1"),
                "7": page("7", repeat=9 << 20),
                "8": page("8", wire=[{"type": "image", "data": "AAAA", "mimeType": "image/png"}]),
                "10": page("10", look=paths),
                "11": page("11", seen=True),
            },
        }
        answer = wiki(program(folder, plan), closed=(workspace,), seconds=60).find(["type = page"])
        texts = {one.id: one.text for one in answer.pages}
        yield Hostile(answer, json.loads(texts.pop("11")), json.loads(texts.pop("10")))


def test_of_all_tools_that_a_server_offers_two_that_only_read_are_called(hostile: Hostile) -> None:
    assert len(OFFERED) == 8
    assert hostile.called("name") == set(READ_ONLY) == set(hostile.answer.tools["wiki"])


def test_what_a_server_asks_of_its_client_is_refused(hostile: Hostile) -> None:
    replies = {one["reply"]["id"]: one["reply"] for one in hostile.seen if "reply" in one}
    assert {f"mine-{n}" for n in range(len(REQUESTS))} == set(replies)
    assert all("error" in reply and "result" not in reply for reply in replies.values())
    (opened,) = (one for one in hostile.seen if one.get("method") == "initialize")
    assert opened["params"]["capabilities"] == {}


def test_noise_a_huge_page_and_a_binary_one_do_not_keep_a_good_page_away(hostile: Hostile) -> None:
    good = {one.id: (one.text, one.version, one.space) for one in hostile.answer.pages}
    assert good["1"] == ("Use KMS.", 3, "OPS") and not {"7", "8"} & good.keys()
    assert "no JSON of at most 8 MB" in hostile.answer.problems[0]


def test_a_page_is_asked_for_by_its_number_and_only_from_an_allowed_space(hostile: Hostile) -> None:
    asked = [one["params"]["arguments"] for one in hostile.seen if one.get("method") == "tools/call"]
    assert {a["page_id"] for a in asked if "page_id" in a} == {"1", "7", "8", "10", "11"}


def test_the_servers_process_has_its_own_variables_and_nothing_of_the_run(hostile: Hostile) -> None:
    seen = set(hostile.looked.pop("environment"))
    assert seen == {*GIVEN, "HOME", "LANG", "PATH", "TMPDIR", MARKER}
    assert hostile.looked and "open" not in hostile.looked.values(), hostile.looked


@pytest.mark.parametrize(
    ("plan", "seconds", "said"),
    [
        ({"crash": True}, 30, "its log ends with: Traceback: the database said no"),
        ({"hang": 60}, 2, "it did not answer within 2 seconds"),
        ({"tools": ["confluence_search", "write_file"]}, 30, "offers no `confluence_get_page`"),
    ],
    ids=["crash", "hang", "other-tools"],
)
def test_a_server_that_crashes_hangs_or_is_another_one_is_a_problem_and_leaves_no_process(
    plan: dict[str, Any], seconds: float, said: str, folder: Path
) -> None:
    answer = wiki(program(folder, plan), seconds=seconds).find(["type = page"])
    assert answer.pages == () and said in answer.problems[0] and answer.problems[0].startswith("MCP server `wiki`: ")
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in _read(p)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_program_comes_from_the_runner_and_never_from_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "mcp-server").write_text("#!/bin/sh\n")
    (tmp_path / "mcp-server").chmod(0o755)
    asked = wiki(McpServer(name="wiki", command="mcp-server"), path_variable=str(tmp_path), closed=(tmp_path,))
    assert "is in the workspace" in asked.find([]).problems[0]
    assert "is not on this runner's PATH" in replace(asked, path_variable="/usr/bin").find([]).problems[0]


def test_streamable_http_goes_through_the_companys_proxy_with_its_certificates_and_its_header(tmp_path: Path) -> None:
    server = Server({"hits": [hit("1")], "pages": {"1": page("1")}})
    with over_http(server) as url:
        place = urlsplit(url)
        behind = {"mcp.example": (str(place.hostname), int(place.port or 0))}
        with company_network(tmp_path, behind) as company:
            variables = {"HTTPS_PROXY": company.url}
            remote = McpServer(name="wiki", url="https://mcp.example/mcp", headers={"Authorization": "Bearer own"})
            with network(variables, company.authority.pem) as way:
                answer = wiki(remote, network=way).find(["type = page"])
            with network(variables) as way:
                untrusted = wiki(remote, network=way, seconds=5).find([])
    assert [one.id for one in answer.pages] == ["1"] and answer.problems == ()
    assert company.hosts == {"mcp.example"} and company.rejected == 0
    assert {one["authorization"] for one in server.seen if "authorization" in one} == {"Bearer own"}
    assert untrusted.pages == () and UNTRUSTED in untrusted.problems[0]


def test_an_address_that_refuses_is_a_problem_with_its_status() -> None:
    with over_http(Server({"status": 401})) as url:
        answer = wiki(McpServer(name="wiki", url=url), seconds=5).find([])
    assert answer.tools == {"wiki": ()} and "HTTP status 401" in answer.problems[0]


@dataclass
class _Result:
    text: str
    is_error: bool = True

    @property
    def content(self) -> list[Any]:
        return [type("Text", (), {"type": "text", "text": self.text})]


@pytest.mark.parametrize(
    ("failures", "attempts"),
    [
        (["429 Too Many Requests"], 2),
        (["HTTP 502", "503 Service Unavailable"], 3),
        (["HTTP 500"] * 9, 3),
        (["401 Unauthorized"] * 9, 1),
        (['{"error": "Failed to retrieve page: 403 Forbidden"}'] * 9, 1),
    ],
)
def test_what_may_pass_is_tried_three_times_and_a_refusal_once(failures: list[str], attempts: int) -> None:
    left, count = [*failures], []

    class Client:
        async def call_tool(self, tool: str, arguments: dict[str, Any]) -> _Result:
            count.append(tool)
            return _Result(left.pop(0)) if left else _Result("[]", is_error=False)

    try:
        assert asyncio.run(called(Client(), "confluence_search", {}, 0)) == []
    except Unavailable as broken:
        assert left and failures[0][-12:].strip('"}') in str(broken)
    assert len(count) == attempts


def test_no_other_tool_can_be_called() -> None:
    for tool in OFFERED[2:]:
        with pytest.raises(Unavailable):
            asyncio.run(called(None, tool, {}, 0))


_ANY = st.recursive(st.none() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3))
_HIT = _ANY | st.fixed_dictionaries(
    {"id": _ANY, "space": _ANY | st.fixed_dictionaries({"key": st.sampled_from(["OPS", "HR", ""])})}
)


@given(st.lists(_HIT, max_size=6) | _ANY, st.dictionaries(st.text("0123456789", min_size=1, max_size=3), _HIT | _ANY))
def test_whatever_a_server_answers_only_numbers_are_asked_for_and_only_allowed_spaces_come_back(
    hits: Any, pages: dict[str, Any]
) -> None:
    asked: list[str] = []

    async def call(tool: str, arguments: dict[str, Any]) -> Any:
        if tool == "confluence_search":
            return hits
        asked.append(arguments["page_id"])
        return pages.get(arguments["page_id"], {"metadata": page(arguments["page_id"])})

    found: list[dict[str, Any]] = []
    asyncio.run(find_pages(call, {"queries": ["q", "r"], "spaces": ["OPS"], "pages": 3}, found))
    assert all(one.isascii() and one.isdigit() for one in asked) and len(asked) <= 3
    assert all(one["space"] == "OPS" and one["id"] in asked and isinstance(one["text"], str) for one in found)
