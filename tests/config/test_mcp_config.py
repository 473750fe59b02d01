"""The input `mcp_config`: the shape of `.mcp.json`, secrets by reference, and every problem at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.config.settings import Settings, read_inputs
from ops_agent.model.wiki import McpServer

TOKEN = "the-confluence-token"
LOCAL = {
    "command": "mcp-atlassian",
    "args": ["--verbose"],
    "env": {"CONFLUENCE_URL": "https://wiki.example", "CONFLUENCE_PERSONAL_TOKEN": "${WIKI_TOKEN}"},
}
REMOTE = {
    "type": "streamable-http",
    "url": "https://mcp.example/mcp",
    "headers": {"Authorization": "Bearer ${WIKI_TOKEN}"},
}


def inputs(servers: Any, *, spaces: str = "OPS", **variables: str) -> dict[str, str]:
    config = servers if isinstance(servers, str) else json.dumps({"mcpServers": servers})
    return {"INPUT_MCP_CONFIG": config, "INPUT_CONFLUENCE_SPACES": spaces, "WIKI_TOKEN": TOKEN, **variables}


def problems(servers: Any, **more: str) -> str:
    return "\n".join(read_inputs(inputs(servers, **more)).problems)


def test_programs_and_addresses_are_read_and_their_references_resolved() -> None:
    settings = Settings.from_inputs(inputs({"local": LOCAL, "remote": REMOTE}, spaces="OPS, ~ana"))
    local, remote = settings.mcp_config
    assert local == McpServer(
        name="local",
        command="mcp-atlassian",
        arguments=("--verbose",),
        environment={"CONFLUENCE_URL": "https://wiki.example", "CONFLUENCE_PERSONAL_TOKEN": TOKEN},
        secrets=(TOKEN,),
    )
    assert (remote.url, dict(remote.headers)) == (REMOTE["url"], {"Authorization": f"Bearer {TOKEN}"})
    assert settings.confluence_spaces == ("OPS", "~ana")


def test_what_a_reference_stands_for_is_a_secret_of_the_run_and_in_no_repr() -> None:
    settings = Settings.from_inputs(inputs({"local": LOCAL}))
    assert TOKEN in settings.secrets
    assert TOKEN not in repr(settings) + repr(settings.mcp_config)


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        (".mcp.json", "it is not JSON; write the text of a `.mcp.json`"),
        ('{"mcpServers": {', "it is not JSON (line 1, column 17); correct it"),
        ("{" * 5_000, "it is not JSON"),
        ("{}", "it has no object `mcpServers`"),
        ({"x y": LOCAL}, "'x y' is not the name of a server"),
        ({"a": []}, "`a` is not an object"),
        ({"a": {"type": "sse", "url": "https://x.example"}}, "`a.type` is not one of stdio, http, streamable-http"),
        ({"a": {"type": ["stdio"]}}, "`a.type` is not one of"),
        ({"a": {}}, "`a.command` is missing or no text"),
        ({"a": {**LOCAL, "cwd": "/"}}, "`a.cwd` is not known; keep `type`, `command`, `args`, `env`"),
        ({"a": {**LOCAL, "command": "./server"}}, "`a.command` is a relative path"),
        ({"a": {**LOCAL, "args": "x"}}, "`a.args` is not a list of texts"),
        ({"a": {**REMOTE, "url": "http://wiki.example/mcp"}}, "`a.url`: it is not a plain https address"),
        ({"a": {**LOCAL, "env": {"LD_PRELOAD": "x"}}}, "'LD_PRELOAD' in `a.env` cannot be set"),
        ({"a": {**LOCAL, "env": {"PORT": 1}}}, "`a.env.PORT` is no text on one line; put it in quotes"),
        ({"a": {**REMOTE, "headers": {"X-A": "a\r\nX-B: b"}}}, "`a.headers.X-A` is no text on one line"),
        ({"a": {**LOCAL, "env": {"X": "${A B}"}}}, "`a.env.X` refers to 'A B'"),
        ({"a": {**LOCAL, "env": {"X": "${MISSING}"}}}, "`a.env.X` refers to `MISSING`, which the step does not set"),
        ({str(n) and f"s{n}": LOCAL for n in range(5)}, "5 servers are too many"),
    ],
    ids=str,
)
def test_a_wrong_configuration_names_the_key_and_what_to_do(servers: Any, said: str) -> None:
    assert f"input `mcp_config`: {said}" in problems(servers)


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_TOKEN", "INPUT_GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                                  "AWS_SECRET_ACCESS_KEY", "ANTHROPIC_API_KEY", "OPS_AGENT_HARNESS"])  # fmt: skip
def test_a_credential_of_the_run_is_refused_by_its_name(name: str) -> None:
    said = problems({"a": {**LOCAL, "env": {"X": f"${{{name}}}"}}}, **{name: "some-value"})
    assert f"`a.env.X` refers to `{name}`, which belongs to the run itself" in said


@pytest.mark.parametrize("own", ["INPUT_GITHUB_TOKEN", "INPUT_ANTHROPIC_API_KEY"])
def test_a_credential_of_the_run_is_refused_under_another_name_too(own: str) -> None:
    said = problems({"a": LOCAL}, **{own: TOKEN})
    assert (
        "`WIKI_TOKEN`, to which `a.env.CONFLUENCE_PERSONAL_TOKEN` refers, holds a credential of the run itself" in said
    )
    assert TOKEN not in said


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("env", {"CONFLUENCE_PERSONAL_TOKEN": "hunter2hunter2"}),
        ("env", {"MY_API_KEY": "abcdefgh"}),
        ("env", {"DATABASE_PASSWORD": "correct horse"}),
        ("env", {"HARMLESS": "ATATT3xFfGF0abcdefgh"}),
        ("args", ["--token", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"]),
        ("headers", {"Authorization": "Bearer abcdefgh"}),
        ("headers", {"X-Api-Key": "abcdefgh"}),
    ],
    ids=str,
)
def test_a_secret_that_is_written_out_is_refused_with_advice_and_not_shown(key: str, values: Any) -> None:
    said = problems({"a": {**(REMOTE if key == "headers" else LOCAL), key: values}})
    assert "holds what looks like a secret; write `${NAME}` there, and set NAME from a secret" in said
    held = values[-1] if isinstance(values, list) else next(iter(values.values()))
    assert held not in said and held.removeprefix("Bearer ") not in said


@pytest.mark.parametrize(
    "values",
    [
        {"READ_ONLY_MODE": "true", "MAX_TOKENS": "4000", "TOKEN_URL": "https://id.example/token"},
        {"CONFLUENCE_USERNAME": "ops@wiki.example", "CONFLUENCE_API_TOKEN": "${WIKI_TOKEN}"},
        {"MCP_LOG_LEVEL": "debug", "PATH": "/opt/mcp/bin:/usr/bin", "TOKEN_AUTH": "yes"},
    ],
    ids=str,
)
def test_ordinary_settings_of_a_server_are_no_secrets(values: dict[str, str]) -> None:
    assert problems({"a": {**LOCAL, "env": values}}) == ""


def test_servers_and_spaces_need_each_other() -> None:
    assert "input `confluence_spaces`: it is missing beside" in problems({"a": LOCAL}, spaces="")
    assert "input `mcp_config`: it is missing beside" in "\n".join(
        read_inputs({"INPUT_CONFLUENCE_SPACES": "OPS"}).problems
    )
    assert "is not the key of a space" in problems({"a": LOCAL}, spaces='OPS") OR (space = "HR')


_KEYS = st.sampled_from(["mcpServers", "a", "command", "args", "env", "url", "type", "headers", "X"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    )
)
def test_any_json_is_read_or_refused(document: Any) -> None:
    read_inputs({"INPUT_MCP_CONFIG": json.dumps(document)})
