"""docs/rules.md from the rules' own words and samples, and from the table of the rules over plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ops_agent.guard.paths import CLOSED_NAMES
from ops_agent.guard.rule import Rule
from ops_agent.guard.rules import TABLE
from ops_agent.model.finding import Severity
from ops_agent.plan.findings import DANGERS, PLAN_TABLE, STANDARDS, PlanRule
from ops_agent.text.templates import fill

_GROUPS: Final = {
    "path": "Paths and size",
    "terraform": "Terraform",
    "workflow": "Workflows",
    "zizmor": "Workflows: zizmor",
    "actionlint": "Workflows: actionlint",
    "secret": "Secrets",
}
_LANGUAGES: Final = {"tf": "hcl", "tfvars": "hcl", "hcl": "hcl", "yml": "yaml", "md": "markdown"}
_MAX_LINES: Final = 14
_EFFECTS: Final = {
    Severity.BLOCKS: "blocks",
    Severity.DECISION: "makes a draft",
    Severity.WARNING: "mentioned first",
    Severity.NOTICE: "mentioned",
}


def rules_page(rules: Iterable[Rule], samples: Mapping[str, tuple[tuple[str, str], ...]]) -> str:
    """The page as Markdown. `samples`: rule id -> (file name, content) pairs; names start with `good-` or `bad-`."""
    table = list(rules)
    closed = [
        f"| {what} | {' '.join(f'`{glob}`' for glob in names['globs'].split())} | {names['why']} |"
        for what, names in CLOSED_NAMES.items()
    ]
    blocking = sum(rule.severity is Severity.BLOCKS for rule in table)
    return fill(
        "pages/messages/rules.md",
        counts=f"{len(table)} rules over files, of which {blocking} block, and {len(PLAN_TABLE)}",
        rows="\n".join(f"| [`{r.id}`](#{r.id.replace('/', '')}) | {r.title} | {_effect(r)} |" for r in table),
        groups=[
            (title, [_section(r, samples.get(r.id, ())) for r in table if r.id.split("/")[0] == group], group == "path")
            for group, title in _GROUPS.items()
        ],
        closed_names="\n".join(closed),
        plan_rows="\n".join(f"| `{r.id}` | {r.title} | {_severities(r)} |" for r in DANGERS),
        standard_rows="\n".join(f"| `{r.id}` | {r.title} | {r.remedy} |" for r in STANDARDS),
    )


def render_rules() -> str:
    """The page without samples, which are in the source repository only."""
    return rules_page(TABLE, {})


def _section(rule: Rule, samples: tuple[tuple[str, str], ...]) -> str:
    parts = [f"### `{rule.id}`", f"**{rule.title}** ({_effect(rule)}). {rule.reason}", f"*Remedy:* {rule.remedy}"]
    for start, word in (("bad-", "Found"), ("good-", "Passes")):
        fitting = (one for one in samples if one[0].startswith(start) and 0 < one[1].count("\n") <= _MAX_LINES)
        for name, text in list(fitting)[:1]:
            language = _LANGUAGES.get(name.rpartition(".")[2], "")
            parts += [f"{word}:", f"```{language}\n{text.rstrip()}\n```"]
    return "\n\n".join(parts)


def _effect(rule: Rule) -> str:
    return f"{_EFFECTS[rule.severity]}, can be disputed" if rule.disputable else _EFFECTS[rule.severity]


def _severities(rule: PlanRule) -> str:
    words = " or ".join(severity.name.lower() for severity in sorted(rule.severities))
    return f"{words}; lifted by `{rule.lifted_by}`" if rule.lifted_by else words
