"""Cut out of GitHub's published descriptions what the embedded platform and its checks use.

    python tests/fake_github/slice_descriptions.py FOLDER

FOLDER holds the unpacked npm packages @octokit/openapi, @octokit/graphql-schema and @octokit/webhooks-schemas, each in
a folder whose name contains `octokit-openapi`, `octokit-graphql-schema`, `octokit-webhooks-schemas` (as `npm pack`
names its archives). Writes `tests/fake_github/descriptions/{rest,webhooks}.json` and
`src/fake_github/schema/github.graphql`. Descriptions, examples and deprecation notes are left out; nothing
else is changed, except that `nullable` becomes a null type in the REST slice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from graphql import build_schema
from graphql_slice import prune

from fake_github.api import ROUTES

HERE = Path(__file__).parent
SDL = HERE.parent.parent / "src/fake_github/schema/github.graphql"
WEBHOOKS = (
    *("issues$closed", "issues$labeled", "pull_request$closed", "pull_request$synchronize"),
    "workflow_dispatch$event",
)
_LEFT_OUT = {
    "description",
    "examples",
    "example",
    "summary",
    "externalDocs",
    "tags",
    "x-github",
    "deprecated",
    "title",
    "x-multi-segment",
}


def find(folder: Path, package: str, file: str) -> Path:
    found = [path for path in folder.rglob(file) if any(package in part for part in path.parts)]
    if not found:
        raise SystemExit(f"no {file} of {package} below {folder}")
    return min(found, key=lambda path: len(path.parts))


def tidy(node: Any, *, names: bool = False) -> Any:
    """Without prose, with null types. `names` is True where keys are names of properties, not keywords."""
    if isinstance(node, list):
        return [tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {k: tidy(v, names=k == "properties") for k, v in node.items() if names or k not in _LEFT_OUT}
    if names or not kept.pop("nullable", False):
        return kept
    if isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
        if "enum" in kept and None not in kept["enum"]:
            kept["enum"] = [*kept["enum"], None]
        return kept
    return {"anyOf": [kept, {"type": "null"}]}


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*(references(v) for k, v in node.items() if k != "$ref")) if node else own


def with_references(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Add to `part` everything that it refers to, at the same place as in `whole`."""
    waiting = list(references(part))
    seen: set[str] = set()
    while waiting:
        pointer = waiting.pop()
        if pointer in seen:
            continue
        seen.add(pointer)
        *way, last = pointer.removeprefix("#/").split("/")
        source, target = whole, part
        for step in way:
            source, target = source[step], target.setdefault(step, {})
        target[last] = source[last]
        waiting += references(source[last])
    return part


def rest(package: Path) -> dict[str, Any]:
    whole = tidy(json.loads(package.read_text()))
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.template, {})[route.method.lower()] = whole["paths"][route.template][
            route.method.lower()
        ]
    sliced = with_references(whole, {"openapi": whole["openapi"], "paths": paths, "components": {}})
    return {"info": {"title": "GitHub v3 REST API (slice)", "license": whole["info"]["license"]}, **sliced}


def webhooks(package: Path) -> dict[str, Any]:
    whole = tidy(json.loads(package.read_text()))
    return with_references(whole, {"definitions": {name: whole["definitions"][name] for name in WEBHOOKS}})


def main(folder: Path) -> None:
    target = HERE / "descriptions"
    target.mkdir(exist_ok=True)
    for name, built in (
        ("rest", rest(find(folder, "octokit-openapi", "api.github.com.json"))),
        ("webhooks", webhooks(find(folder, "octokit-webhooks-schemas", "schema.json"))),
    ):
        (target / f"{name}.json").write_text(
            json.dumps(built, indent=None, separators=(",", ":"), sort_keys=True) + "\n"
        )
    # The published snapshot defines two fields twice; graphql-core is strict about that unless asked to trust the text.
    schema = build_schema(find(folder, "octokit-graphql-schema", "schema.graphql").read_text(), assume_valid_sdl=True)
    SDL.write_text(prune(schema))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
