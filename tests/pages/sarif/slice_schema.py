"""Cut out of the published schema of SARIF 2.1.0 what our logs use, with all its bounds and without prose.

    python tests/pages/sarif/slice_schema.py FILE

FILE is `lib/schemas/sarif-2.1.0-rtm.5.json` of the npm package @microsoft/jest-sarif. Writes `sarif-2.1.0.json` beside
this script. Properties that we never write are left out; their objects stay closed, so the slice accepts no log that
the whole schema refuses.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

USED = {
    "": {"$schema", "version", "runs"},
    "run": {"tool", "results", "columnKind"},
    "tool": {"driver"},
    "toolComponent": {"name", "informationUri", "version", "rules"},
    "reportingDescriptor": {"id", "shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration"},
    "reportingConfiguration": {"level"},
    "multiformatMessageString": {"text"},
    "message": {"text"},
    "result": {"ruleId", "ruleIndex", "level", "message", "baselineState", "locations", "partialFingerprints"},
    "location": {"physicalLocation"},
    "physicalLocation": {"artifactLocation", "region"},
    "artifactLocation": {"uri", "uriBaseId"},
    "region": {"startLine"},
}


def cut(definition: dict[str, Any], used: set[str]) -> Any:
    kept = {name: shape for name, shape in definition["properties"].items() if name in used}
    return without_prose({**definition, "properties": kept})


def without_prose(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: without_prose(v) for k, v in node.items() if k not in ("description", "title", "default", "id")}
    return [without_prose(one) for one in node] if isinstance(node, list) else node


def main(source: Path) -> None:
    whole = json.loads(source.read_text(encoding="utf-8"))
    definitions = whole.pop("definitions")
    sliced = cut(whole, USED[""])
    # A property may be called `id`.
    sliced["definitions"] = {name: cut(definitions[name], used) for name, used in USED.items() if name}
    sliced["definitions"]["reportingDescriptor"]["properties"]["id"] = {"type": "string"}
    target = Path(__file__).with_name("sarif-2.1.0.json")
    target.write_text(json.dumps(sliced, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
