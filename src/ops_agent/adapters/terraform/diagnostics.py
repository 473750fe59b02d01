"""What Terraform prints when something is wrong, as findings with file and line."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.terraform.obstacles import DENIED_REMEDY, MODULE_REMEDY, remedy_of_denial

MOST = 50
MODULE_TITLE = "A module cannot be fetched"
_ERROR = re.compile(r"^Error: (?P<summary>.+)$", re.MULTILINE)
_ON = re.compile(r"^\s+on (?P<file>\S+) line (?P<line>\d+)(, in [^\n]*)?:?$", re.MULTILINE)
_SOURCE_LINE = re.compile(r"\s+\d+:")
_OTHER_COMMAND = re.compile(r" ?To see which modules are currently depending on .*?following command: \S+ providers\b")
_FMT_NAME = re.compile(r"^--- old/(?P<path>.+)$", re.MULTILINE)
_MODULE_SUMMARIES = ("Failed to download module", "Error accessing remote module registry", "Module not found")
_MODULE = re.compile(
    r'[mM]odule "(?P<name>[^"]+)"(?: \([^)]*\))?(?: source code from "(?P<package>[^"]+)"|,? (?:from|cannot be found '
    r"in the module registry at) (?P<registry>[^ ]+?)(?=:? |:?$|\.$))"
)
_CORRECT = "Correct the configuration at this place."
_REMEDIES = {
    "fmt": "Write the file as `terraform fmt` does; the difference is shown.",
    "init": "Correct the provider, module or backend settings named here.",
    "plan": "Correct the configuration at this place, or what it refers to.",
}
_SEE_IT = "A person who may read the state sees the detail in a `terraform plan` of this target."
_DENIED = (
    "AWS denied a call to the role for plans: add the permission if it only describes (docs/setup/aws-role.md). "
    "CloudTrail of the account names the call, and so does a `terraform plan` by a person with this role."
)
# Terraform formats values between quotes, parentheses and digits, and so do providers.
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedError:
    """An `Error:` block. `file` is relative to the root module's directory, empty when none is named."""

    summary: str
    detail: str
    file: str = ""
    line: int = 0

    @property
    def text(self) -> str:
        return f"{self.summary}: {self.detail}".rstrip(": ")

    @property
    def module(self) -> tuple[str, str, str] | None:
        """Of a module that was not fetched its name, where it should have come from, and why it did not; None when
        these are not the known words.
        """
        found = _MODULE.search(self.detail) if self.summary in _MODULE_SUMMARIES else None
        if found is None:
            return None
        return found["name"], found["package"] or found["registry"], self.detail[found.end() :].lstrip(": ")


def printed_errors(text: str) -> Iterator[PrintedError]:
    """The `Error:` blocks of what was printed without colour (init has no JSON before Terraform 1.9)."""
    starts = [*_ERROR.finditer(text)]
    ends = [*(after.start() for after in starts[1:]), len(text)]
    for here, end in zip(starts, ends, strict=False):
        block = text[here.end() : end]
        on = _ON.search(block)
        lines = (line for line in _ON.sub("", block).splitlines() if not _SOURCE_LINE.match(line))
        yield PrintedError(
            summary=here["summary"],
            detail=_OTHER_COMMAND.sub("", " ".join(line.strip() for line in lines if line.strip())),
            file=on["file"] if on else "",
            line=int(on["line"]) if on else 0,
        )


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
        what=_short(what),
        remedy=remedy_of_denial(what) or _REMEDIES.get(check, _CORRECT),
        severity=severity,
    )


def unreachable(check: str, root: str, what: str) -> Finding:
    """A finding for a place that a check tried to reach, whether it passed otherwise or not; `what` names the place."""
    found = finding(check, root, what, title="Terraform tried to reach a place that is not allowed")
    if "by the proxy" in what:
        return replace(found, remedy="Let the proxy of this network pass that host (docs/setup/network.md).")
    return replace(found, remedy="Remove what asks for that place; providers from elsewhere need a provider mirror.")


def from_text(check: str, root: str, text: str) -> tuple[Finding, ...]:
    """Findings of the errors in `text`."""
    found = []
    for error in [*printed_errors(text)][:MOST]:
        raw = finding(check, root, error.text, file=error.file, line=error.line)
        if error.module is not None:
            name, source, why = error.module
            what = _short(f"Module `{name}` of the root `{root}` cannot be fetched from `{source}`: {why}", 700)
            raw = replace(raw, title=MODULE_TITLE, what=what, remedy=MODULE_REMEDY)
        found.append(raw)
    return tuple(found)


def from_json(check: str, root: str, diagnostics: Iterable[Any], *, withhold: bool = False) -> tuple[Finding, ...]:
    """Findings of the `diagnostics` of `validate -json`, or of the `diagnostic` of lines of `plan -json`. Warnings do
    not block. Anything that is not a diagnostic is skipped: the exit code alone says whether the check failed.

    `withhold` for a command that read a state: of each diagnostic only the place is kept, and a summary of words alone.
    Functions and providers quote their arguments in errors, sensitive ones too.
    """
    found = []
    for diagnostic in diagnostics:
        if not isinstance(diagnostic, dict):
            continue
        where = _object(diagnostic.get("range"))
        line = _object(where.get("start")).get("line")
        text = ": ".join(said for key in ("summary", "detail") if (said := str(diagnostic.get(key) or "").strip()))
        address = diagnostic.get("address")
        is_error = diagnostic.get("severity") != "warning"
        text = f"{text} (at {address})" if address else text
        made = finding(
            check,
            root,
            _withheld(str(diagnostic.get("summary") or "").strip()) if withhold else text,
            file=str(where.get("filename") or ""),
            line=line if isinstance(line, int) else 0,
            severity=Severity.BLOCKS if is_error else Severity.NOTICE,
            title="" if is_error else f"terraform {check} warns",
        )
        if withhold:
            denied = remedy_of_denial(text)
            # Any other names the call in the text's own words, which may be a value.
            fixed = denied if denied in (None, DENIED_REMEDY) else _DENIED
            made = replace(made, remedy=fixed or f"{made.remedy} {_SEE_IT}")
        found.append(made)
    # Without their addresses the instances of a resource are all the same.
    return tuple(dict.fromkeys(found))[:MOST]


def _withheld(summary: str) -> str:
    kept = summary if _WORDS.fullmatch(summary) else "Terraform reports a problem here"
    return f"{kept}; the detail may quote values of the state or of AWS, and is withheld"


def from_fmt(output: str) -> tuple[Finding, ...]:
    """One finding for each file that `fmt -check -diff` names; its paths are relative to the copy of the tree."""
    paths = dict.fromkeys(match["path"].strip() for match in _FMT_NAME.finditer(output))
    title = "Terraform file is not formatted"
    return tuple(finding("fmt", "", "The file is not formatted.", file=path, title=title) for path in paths)


def json_lines(data: bytes) -> list[dict[str, Any]]:
    """The objects in a stream of JSON lines; anything else is skipped."""
    found = []
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _short(text: str, most: int = 2_000) -> str:
    return text if len(text) <= most else text[:most] + " ..."
