"""The input `mcp_config`: MCP servers in the shape of `.mcp.json`, with secrets by reference.

`${NAME}` stands for a variable of the step. What a run itself holds (GitHub, AWS, the llm) can never be named, and a
secret that is written out is refused: it would be in the workflow file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ops_agent.config.inputs import SHORTEST_SECRET, base_url, shown
from ops_agent.model.wiki import McpServer

MAX_SERVERS = 4
_KINDS = {"stdio": "command", "http": "url", "streamable-http": "url"}
_KEYS = {"command": ("type", "command", "args", "env"), "url": ("type", "url", "headers")}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_SECRET_NAME = re.compile(
    r"(?i)token|secret|passw|authorization|credential|api_?-?key|private_?-?key|cookie|(?:^|_)pat$"
)
_KNOWN_TOKEN = re.compile(
    r"ATATT3x|gh[pousr]_\w{20}|github_pat_|sk-ant-|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abeprs]-|glpat-|eyJ\w{20}"
)
"""Beginnings of tokens that are secret under any name; the redactor (text/redaction.py) knows more of them."""
_HARMLESS = re.compile(r"(?i)\d*|true|false|yes|no|none|https?://[^@\s]*")
_OF_THE_RUN = re.compile(
    r"(?i)(?:INPUT|OPS_AGENT|GITHUB|GH|ACTIONS|RUNNER|AWS|ANTHROPIC|GOOGLE|CLOUDSDK|TF|ARM)(?:_.*)?|.*ANTHROPIC.*"
)
_EXAMPLE = '{"mcpServers": {"confluence": {"command": "mcp-atlassian", "env": {"CONFLUENCE_URL": "https://..."}}}}'
_PAGE = "docs/setup/confluence.md"


def servers(text: str) -> tuple[McpServer, ...]:
    """The servers that `text` describes, references unresolved. Raises ValueError with every problem; none quotes a
    value.
    """
    if not text.lstrip().startswith("{"):
        raise ValueError(
            f"it is not JSON; write the text of a `.mcp.json` like {_EXAMPLE} (a path is not read: a file of the "
            "repository could name a program)"
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"it is not JSON{at}; correct it") from None
    found = document.get("mcpServers")
    if not isinstance(found, dict) or not found or document.keys() != {"mcpServers"}:
        raise ValueError(f"it has no object `mcpServers`, or something beside it; write it like {_EXAMPLE}")
    problems = [problem for name, one in found.items() for problem in _problems(name, one)]
    if len(found) > MAX_SERVERS:
        problems.append(f"{len(found)} servers are too many; name at most {MAX_SERVERS}")
    if problems:
        raise ValueError(*problems)
    return tuple(_server(name, one) for name, one in found.items())


def _server(name: str, one: Mapping[str, Any]) -> McpServer:
    return McpServer(
        name=name,
        command=one.get("command", ""),
        arguments=tuple(one.get("args", ())),
        environment=one.get("env", {}),
        url=one.get("url", ""),
        headers=one.get("headers", {}),
    )


def _problems(name: str, one: Any) -> Iterator[str]:
    """What is wrong with one server, and what to do."""
    if not _NAME.fullmatch(name):
        yield f"{shown(name)} is not the name of a server; use letters, digits, `-` and `_`"
        return
    if not isinstance(one, dict):
        yield f"`{name}` is not an object; give it `command` or `url`"
        return
    kind = one.get("type", "http" if "url" in one else "stdio")
    if kind not in _KINDS if isinstance(kind, str) else True:
        yield f"`{name}.type` is not one of {', '.join(_KINDS)}; correct or remove it (`sse` is not spoken)"
        return
    main = _KINDS[kind]
    for key in sorted(set(one) - set(_KEYS[main])):
        yield f"`{name}.{shown(key)[1:-1]}` is not known; keep {', '.join(f'`{k}`' for k in _KEYS[main])}"
    text = one.get(main)
    if not isinstance(text, str) or not text or _has_control(text):
        yield f"`{name}.{main}` is missing or no text; give {'the program' if main == 'command' else 'the address'}"
    elif main == "url":
        try:
            base_url(text)
        except ValueError as error:
            yield f"`{name}.url`: {error}"
    elif "/" in text and not text.startswith("/"):
        yield f"`{name}.command` is a relative path; give an absolute one, or a program on PATH"
    arguments = one.get("args", [])
    if not isinstance(arguments, list) or not all(isinstance(a, str) and "\x00" not in a for a in arguments):
        yield f'`{name}.args` is not a list of texts; write ["..."]'
    else:
        for number, argument in enumerate(arguments):
            yield from _of_value(f"{name}.args[{number}]", "", argument)
    for key, names, what in (("env", _VARIABLE, "variable"), ("headers", _HEADER, "header")):
        given = one.get(key, {})
        if not isinstance(given, dict):
            yield f'`{name}.{key}` is not an object; write {{"NAME": "value"}}'
            continue
        for own, value in given.items():
            if not names.fullmatch(own) or (key == "env" and own.upper().startswith(("OPS_AGENT", "LD_"))):
                yield f"{shown(own)} in `{name}.{key}` cannot be set; use another {what}, or remove it"
            elif not isinstance(value, str) or _has_control(value):
                yield f"`{name}.{key}.{own}` is no text on one line; put it in quotes"
            else:
                yield from _of_value(f"{name}.{key}.{own}", own, value)


def _of_value(place: str, name: str, value: str) -> Iterator[str]:
    """Problems of references, and of a secret that is written out."""
    for reference in _REFERENCE.findall(value):
        if not _VARIABLE.fullmatch(reference):
            yield f"`{place}` refers to {shown(reference)}; write `${{NAME}}` with the name of a variable"
        elif _OF_THE_RUN.fullmatch(reference):
            what = "which belongs to the run itself and is never handed to a server"
            yield f"`{place}` refers to `{reference}`, {what}; give the server's own token another name"
    rest = _REFERENCE.sub("", value)
    plain = re.sub(r"(?i)^\s*(?:bearer|basic|token)\s*", "", rest)
    looks_secret = bool(name and _SECRET_NAME.search(name)) and not _HARMLESS.fullmatch(plain.strip())
    if (looks_secret and len(plain.strip()) >= SHORTEST_SECRET) or _KNOWN_TOKEN.search(value):
        remedy = "write `${NAME}` there, and set NAME from a secret under `env:` of the step"
        yield f"`{place}` holds what looks like a secret; {remedy} ({_PAGE})"


def _has_control(text: str) -> bool:
    return any(ord(c) < 32 or ord(c) == 127 for c in text)


def resolved(
    given: tuple[McpServer, ...], environment: Mapping[str, str], of_the_run: Collection[str]
) -> tuple[tuple[McpServer, ...], tuple[str, ...]]:
    """The servers with the values of their references, and the problems. `of_the_run` are the run's own secrets, which
    no server gets under any name.
    """
    problems: list[str] = []

    def fill(server: McpServer, place: str, text: str, secrets: list[str]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1]
            held = environment.get(name, "").strip()
            if not held:
                what = f"`{server.name}.{place}` refers to `{name}`, which the step does not set or which is empty"
                problems.append(f"{what}; set it under `env:` of the step ({_PAGE})")
            elif held in of_the_run:
                what = f"`{name}`, to which `{server.name}.{place}` refers, holds a credential of the run itself"
                problems.append(f"{what}; give the server a token of its own")
            elif _has_control(held):
                problems.append(f"`{name}` holds a line break; check how the secret was stored")
            else:
                secrets.append(held)
            return held

        return _REFERENCE.sub(value, text)

    def of(server: McpServer) -> McpServer:
        secrets: list[str] = []
        return replace(
            server,
            arguments=tuple(fill(server, f"args[{n}]", text, secrets) for n, text in enumerate(server.arguments)),
            environment={n: fill(server, f"env.{n}", text, secrets) for n, text in server.environment.items()},
            headers={n: fill(server, f"headers.{n}", text, secrets) for n, text in server.headers.items()},
            secrets=tuple(dict.fromkeys(s for s in secrets if len(s) >= SHORTEST_SECRET)),
        )

    return tuple(of(server) for server in given), tuple(dict.fromkeys(problems))
