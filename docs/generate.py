"""Everything that is derived from a source in the repository, written or (`--check`) compared: `make docs`, `make
lint`.

action.yml -> docker/action.yml, the input blocks of the reusable workflow, docs/inputs.md, the README's tables;
Conclusion and the errors -> docs/outcomes.md; the doctor's checks -> docs/doctor.md. (docs/rules.md comes from the
rules and their samples, see tests/rules.)
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

SECRETS = ("github_token", "anthropic_api_key", "module_credentials")
# What to do about conclusions that are no error: those of errors.py bring their own remedy.
REMEDIES = {
    "published": "Review it as you would a stranger's; dangers come first.",
    "updated": "Review what changed since the last time.",
    "verified": "Review it: that nothing blocks is no review (docs/verify.md).",
    "concluded": "Nothing; the comment on the issue says what comes next.",
    "no_changes": "Close the issue, or write into it what is missing, and approve again.",
    "duplicate": "Nothing. To repeat the work, remove the label and put it on again.",
    "declined": "The comment says what the issue needs; add it and approve again.",
    "needs_info": "Answer the questions in the issue's text and approve again.",
    "needs_split": "Create a sub-issue for each proposed part and approve them.",
    "infeasible": "Read the reason; the comment proposes a follow-up issue.",
    "checks_failed": "Read the findings, write into the issue what the agent could not know, and approve again.",
    "plan_failed": "Read Terraform's error, correct the repository, the role or the issue, and approve again.",
    "budget_exhausted": "Split the issue, or raise `max_turns`, `max_cost_usd` or `timeout_minutes`.",
    "no_progress": "Make the issue more precise, or split it, and approve again.",
    "not_authorised": "Ask a person with write permission on the repository to apply the label or to start the "
    "workflow.",
    "content_changed": "Read the current text and approve again.",
    "stale": "Approve again: the run starts from the current branch.",
}
DOCTOR_INPUTS = ("probe_llm", "doctor_issue")
SELECT_INPUTS = (
    *("issue_number", "target_repository", "base_branch", "label_trigger", "title_prefix", "role_label"),
    *("project_owner", "project_number", "status_field", "status_ready", "status_in_progress", "status_review"),
    *("allowed_bots", "branch_prefix", "ca_certificates", "dry_run"),
)


def action() -> dict[str, Any]:
    """action.yml as data; every default is text."""
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def groups() -> dict[str, list[str]]:
    """Input names by the group comments of action.yml."""
    found: dict[str, list[str]] = {}
    for line in _section("inputs", "outputs").splitlines():
        if group := re.fullmatch(r"  # (.+)", line):
            found[group[1]] = []
        elif name := re.fullmatch(r"  (\w+):", line):
            found[list(found)[-1]].append(name[1])
    return found


def _section(start: str, end: str) -> str:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    return text.split(f"\n{start}:\n")[1].split(f"\n{end}:\n")[0]


def container_action() -> str:
    """docker/action.yml: the same inputs and outputs; the runner itself sets INPUT_*."""
    inputs = _section("inputs", "outputs")
    outputs = re.sub(r"    value: .*\n", "", _section("outputs", "runs") + "\n")
    return (
        "# Generated from action.yml by `make docs`: do not edit.\n"
        "name: ops-agent (container)\n"
        f"description: {action()['description']}\n"
        f"author: {action()['author']}\n\n"
        f"inputs:\n{inputs.rstrip()}\n\noutputs:\n{outputs.rstrip()}\n\n"
        "runs:\n  using: docker\n"
        "  image: ../Dockerfile # zizmor: ignore[unpinned-images] a file; its base image is pinned by digest\n"
        "  args:\n    - ${{ inputs.command }}\n"
    )


def reusable_workflow() -> str:
    """The reusable workflow with its generated blocks renewed."""
    path = ROOT / ".github/workflows/ops-agent.yml"
    text = path.read_text(encoding="utf-8")
    inputs = action()["inputs"]
    call = [name for name in inputs if name not in (*SECRETS, *DOCTOR_INPUTS, "command")]
    declared = "".join(
        f"      {name}: {{ type: string, default: {_quoted(inputs[name].get('default', ''))} }}\n" for name in call
    )
    handed = {
        "select": "".join(f"          {name}: ${{{{ inputs.{name} }}}}\n" for name in SELECT_INPUTS),
        "run": "".join(f"          {name}: ${{{{ inputs.{name} }}}}\n" for name in call if name != "issue_number"),
    }
    text = _between(text, "inputs of action.yml", declared)
    for job, block in handed.items():
        text = _between(text, f"inputs of {job}", block)
    return text


def _quoted(default: str) -> str:
    return "'" + str(default).replace("'", "''") + "'"


def _between(text: str, name: str, block: str) -> str:
    """`text` with what is between the marks of `name` replaced; the marks stay."""
    pattern = re.compile(
        rf"(^ *(?:#|<!--) begin {re.escape(name)}[^\n]*\n)(.*?)(^ *(?:#|<!--) end {re.escape(name)})", re.S | re.M
    )
    renewed, count = pattern.subn(lambda found: found[1] + block + found[3], text)
    if count != 1:
        raise SystemExit(f"the marks `begin {name}` ... `end {name}` are missing or doubled")
    return renewed


def inputs_page() -> str:
    """docs/inputs.md."""
    known = action()
    lines = [
        "# Inputs and outputs",
        "",
        "Generated from [action.yml](../action.yml) by `make docs`. Every input is text; an empty text means the",
        "default. All problems are reported at once, each with what to do. The container form (`docker/action.yml`)",
        "has the same inputs and outputs.",
    ]
    for group, names in groups().items():
        lines += ["", f"## Inputs: {group}", "", "| input | default | meaning |", "|---|---|---|"]
        lines += [
            f"| `{n}` | {_default(known['inputs'][n])} | {_cell(known['inputs'][n]['description'])} |" for n in names
        ]
    lines += ["", "## Outputs", "", "| output | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(output['description'])} |" for name, output in known["outputs"].items()]
    return "\n".join(lines) + "\n"


def _default(declared: dict[str, Any]) -> str:
    return f"`{declared['default']}`" if declared.get("default") else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def readme() -> str:
    """README.md with its table of inputs renewed: the ones that most callers set, by group."""
    known = action()
    rows = ["| group | inputs (defaults) |", "|---|---|"]
    for group, names in groups().items():
        cells = [
            f"`{n}`" + (f" ({_default(known['inputs'][n])})" if _default(known["inputs"][n]) else "") for n in names
        ]
        rows.append(f"| {group} | {', '.join(cells)} |")
    rows.append(f"| outputs | {', '.join(f'`{name}`' for name in known['outputs'])} |")
    return _between((ROOT / "README.md").read_text(encoding="utf-8"), "inputs", "\n".join(rows) + "\n")


def outcomes_page() -> str:
    """docs/outcomes.md."""
    from ops_agent.model import errors
    from ops_agent.model.outcome import Conclusion
    from ops_agent.pages.job_summary import SENTENCES

    hints = {
        broken.conclusion: broken.default_hint
        for broken in vars(errors).values()
        if isinstance(broken, type) and issubclass(broken, errors.OpsAgentError) and "conclusion" in vars(broken)
    }
    lines = [
        "# How a run can end",
        "",
        "Generated from the code by `make docs`. The word is the output `conclusion`; it comes from code, never from",
        "the language model. Exit code 0 is a normal end, also if the run declines. *Again*: whether the same run,",
        "started again, can end differently without a change by a person.",
        "",
        "No work is lost: when files were changed and no pull request shows them, the job summary has them as a patch,",
        "and the output `patch` names the file. Left out are files in which a rule finds a secret, files that the",
        "redaction would change, and files that the guard refuses; each is named. Review the patch first: it may break",
        "rules or fail checks, which is why the run ended.",
        "",
        "| exit | conclusion | again | what happened | what to do |",
        "|---|---|---|---|---|",
    ]
    for conclusion in Conclusion:
        again = "yes" if conclusion.retryable else "no"
        remedy = hints.get(conclusion) or REMEDIES[conclusion.value]
        lines.append(
            f"| {conclusion.exit_code} | `{conclusion}` | {again} | {_cell(SENTENCES[conclusion])} | {_cell(remedy)} |"
        )
    return "\n".join(lines) + "\n"


def doctor_page() -> str:
    """docs/doctor.md with its table of checks renewed: what each check's function says of itself."""
    from ops_agent.doctor.checks import CHECKS

    rows = ["| check | what it looks at |", "|---|---|"]
    for name, check in CHECKS.items():
        said = re.sub(r"\s*Raises [A-Z]\w+.*", "", " ".join((check.__doc__ or "").split("\n\n")[0].split()))
        rows.append(f"| {name} | {_cell(said)} |")
    return _between((ROOT / "docs/doctor.md").read_text(encoding="utf-8"), "checks", "\n".join(rows) + "\n")


def upgrading_page() -> str:
    """docs/upgrading.md with its table of names renewed."""
    from ops_agent.config.renamed import RENAMED

    rows = ["| what | old name | new name | since | the old one holds until |", "|---|---|---|---|---|"]
    rows += [f"| {r.kind} | `{r.old}` | `{r.new}` | {r.since} | {r.until} |" for r in RENAMED]
    return _between((ROOT / "docs/upgrading.md").read_text(encoding="utf-8"), "names", "\n".join(rows) + "\n")


PAGES: dict[str, Callable[[], str]] = {
    "docker/action.yml": container_action,
    ".github/workflows/ops-agent.yml": reusable_workflow,
    "docs/inputs.md": inputs_page,
    "README.md": readme,
    "docs/outcomes.md": outcomes_page,
    "docs/doctor.md": doctor_page,
    "docs/upgrading.md": upgrading_page,
}


def stale() -> dict[str, str]:
    """Path -> difference, for every page that is not what its source says."""
    found = {}
    for name, render in PAGES.items():
        path, wanted = ROOT / name, render().rstrip("\n") + "\n"
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if present != wanted:
            found[name] = "".join(
                difflib.unified_diff(present.splitlines(True), wanted.splitlines(True), name, "as generated", n=1)
            )
    return found


def main() -> int:
    if "--check" in sys.argv:
        differences = stale()
        for name, difference in differences.items():
            sys.stderr.write(f"{name} is not current; `make docs` writes it:\n{difference}\n")
        return 1 if differences else 0
    for name, render in PAGES.items():
        (ROOT / name).write_text(render().rstrip("\n") + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
