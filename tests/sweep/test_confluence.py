"""A whole run that is given standards by one MCP server and none by another."""

from __future__ import annotations

from adapters.mcp.hostile_server import Server, hit, over_http, page
from ops_agent.adapters.mcp.wiki import McpWiki
from ops_agent.model.wiki import McpServer
from sweep.sweep_world import IssueScenario


def test_the_pull_request_cites_the_page_that_the_llm_was_given_and_says_what_could_not_be_had(
    scenario: IssueScenario,
) -> None:
    with over_http(Server({"hits": [hit("4711")], "pages": {"4711": page("4711")}})) as url:
        servers = (McpServer(name="wiki", url=url), McpServer(name="dead", command="no-such-server"))
        end = scenario.run(
            scenario.labelled(), wiki=McpWiki(servers=servers, spaces=("OPS",), path_variable="/usr/bin")
        )
    told = str(end.llm.heard[0])
    assert r"Confluence: Page 4711, page 4711, version 3\n\nUse KMS." in told
    (pull,) = scenario.repository.pull_requests
    assert end.conclusion == "published"
    assert "confluence-4711 (Confluence: Page 4711, page 4711, version 3)" in pull.body
    assert "standards that could not be had: Confluence: MCP server" in pull.body and "no-such-server" in pull.body
