"""What Terraform prints when something is wrong, as findings with file and line."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.terraform.obstacles import MODULE_REMEDY, remedy_of_denial

_MOST = 50
_ERROR = re.compile(r"^Error: (?P<summary>.+)$", re.MULTILINE)
_ON = re.compile(r"^\s+on (?P<file>\S+) line (?P<line>\d+)(, in [^\n]*)?:?$", re.MULTILINE)
_FMT_NAME = re.compile(r"^--- old/(?P<path>.+)$", re.MULTILINE)
_MODULE_SUMMARIES = frozenset(
    {"Failed to download module", "Error accessing remote module registry", "Module not found"}
)
_MODULE = re.compile(
    r'[mM]odule "(?P<name>[^"]+)"(?: \([^)]*\))?'
    r'(?: source code from "(?P<package>[^"]+)"|,? (?:from|cannot be found in the module registry at) (?P<registry>[^ ]+?)(?=:? |:?$|\.$))'
)
_REMEDIES = {
    "fmt": "Write the file as `terraform fmt` does; the difference is shown.",
    "init": "Correct the provider, module or backend settings named here.",
    "validate": "Correct the configuration at this place.",
    "plan": "Correct the configuration at this place, or what it refers to.",
}


def finding(
    check: str,
    root: str,
    what: str,
    *,
    file: str = "",
    line: int = 0,
    severity: Severity = Severity.BLOCKS,
    title: str = "",
) -> Finding:
    """A finding of a check. `file` is relative to the root module's directory `root`, as Terraform names it."""
    path = posixpath.normpath(posixpath.join(root, file)) if file else root
    return Finding(
        rule=f"check/{check}",
        title=title or f"terraform {check} failed",
        place=Place(path=path, line=line),
        what=what,
        remedy=remedy_of_denial(what) or _REMEDIES.get(check, "Correct the configuration at this place."),
        severity=severity,
    )


def unreachable(check: str, root: str, what: str) -> Finding:
    """A finding for a place that a check tried to reach, whether it passed otherwise or not. `what` names the
    place.
    """
    remedy = "Remove what asks for that place; providers from elsewhere need a provider mirror."
    return replace(
        finding(check, root, what, title="Terraform tried to reach a place that is not allowed"), remedy=remedy
    )


def from_json(check: str, root: str, diagnostics: Iterable[Any]) -> tuple[Finding, ...]:
    """Findings of the `diagnostics` of `validate -json`, or of the `diagnostic` of lines of `plan -json`. Warnings do
    not block.

    Anything that is not shaped like a diagnostic is passed over: the exit code alone decides whether the check failed.
    """
    found = []
    for diagnostic in diagnostics:
        if not isinstance(diagnostic, dict):
            continue
        where = diagnostic.get("range")
        where = where if isinstance(where, dict) else {}
        start = where.get("start")
        line = start.get("line") if isinstance(start, dict) else 0
        words = (str(diagnostic.get(key) or "").strip() for key in ("summary", "detail"))
        address = diagnostic.get("address")
        text = ": ".join(word for word in words if word) + (f" (at {address})" if address else "")
        file = str(where.get("filename") or "")
        is_error = diagnostic.get("severity") != "warning"
        found.append(
            finding(
                check,
                root,
                _short(text),
                file=file,
                line=line if isinstance(line, int) else 0,
                severity=Severity.BLOCKS if is_error else Severity.NOTICE,
                title="" if is_error else f"terraform {check} warns",
            )
        )
    return tuple(found[:_MOST])


def from_text(check: str, root: str, text: str) -> tuple[Finding, ...]:
    """Findings of `Error:` blocks printed without colour (init has no JSON before Terraform 1.9)."""
    starts = [*_ERROR.finditer(text)]
    found = []
    for here, after in zip(starts, [*starts[1:], None], strict=False):
        block = text[here.end() : after.start() if after else len(text)]
        on = _ON.search(block)
        detail = " ".join(
            line.strip() for line in _ON.sub("", block).splitlines() if line.strip() and not re.match(r"\s+\d+:", line)
        )
        place: dict[str, Any] = {"file": on["file"], "line": int(on["line"])} if on else {}
        if here["summary"] in _MODULE_SUMMARIES:
            found.append(
                _unfetched(root, detail, finding(check, root, _short(f"{here['summary']}: {detail}"), **place))
            )
            continue
        found.append(finding(check, root, _short(f"{here['summary']}: {detail}".rstrip(": ")), **place))
    return tuple(found[:_MOST])


def _unfetched(root: str, detail: str, raw: Finding) -> Finding:
    """`raw` as: which module of which root, from where, why not, and what to do; as it is when Terraform's words are
    not the known ones.
    """
    said = _MODULE.search(detail)
    if said is None:
        return raw
    source, why = said["package"] or said["registry"], detail[said.end() :].lstrip(": ")
    what = f"Module `{said['name']}` of the root `{root}` cannot be fetched from `{source}`: {why}"
    return replace(raw, title="A module cannot be fetched", what=_short(what, 700), remedy=MODULE_REMEDY)


def from_fmt(output: str) -> tuple[Finding, ...]:
    """One finding for each file that `fmt -check -diff` names; its paths are relative to the copy of the tree."""
    paths = dict.fromkeys(match["path"].strip() for match in _FMT_NAME.finditer(output))
    return tuple(
        finding("fmt", "", "The file is not formatted.", file=path, title="Terraform file is not formatted")
        for path in paths
    )


def json_lines(data: bytes) -> list[dict[str, Any]]:
    """The objects of a stream of JSON lines; anything else in it is passed over."""
    found = []
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def _short(text: str, most: int = 2_000) -> str:
    return text if len(text) <= most else text[:most] + " ..."
