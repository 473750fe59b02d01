"""docs/rules.md from the rules' own words and samples, and from the table of the rules over plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ops_agent.guard.names import CLOSED_NAMES
from ops_agent.guard.rule import Rule
from ops_agent.guard.rules import TABLE
from ops_agent.issue.admission import ALLOW_DESTROY
from ops_agent.plan.rules import PLAN_TABLE, PlanRule

_HEAD = """# Rules

What deterministic code says about every change before anything is executed, and again before anything is published. This page is
generated from the rules and their samples (`ops-agent rules`); a test holds it current.

A rule **blocks**, or it is **mentioned** to the agent and the reviewer. A finding whose code stands on the base branch already,
untouched, is reported as pre-existing and does not block. A rule that crashes blocks, and so does a file that cannot be read.

No file of the repository switches a rule off: its policy file on the base branch can only narrow. One rule gives way to a person: a label
on the issue lifts it, see [Plans](#plans). Ids that begin with `check/`, `actionlint/` and `zizmor/` are not on this
page: they are what Terraform and these two linters said. `layout/` is a question of [the layout](setup/policy-file.md), and
`guard/rule-crashed` is a rule that broke.

"""
_PLANS = f"""
## Plans

What is said of each plan that was made, from its values. **Blocks**: as above. A **danger** stands in the danger list, first in the
pull request, and does not block: the reviewer decides. A **notice** stands there after the dangers. Where both are named, it is a
danger when it is certain and grave, else a notice.

One rule gives way to the label `{ALLOW_DESTROY}` on the issue, if a person with write permission put it there before the run began; the
same label by anybody else, or by a bot, changes nothing. What it lifts is shown in the danger list all the same.

| rule | title | |
|---|---|---|
"""
_GROUPS = {"path": "Paths and size", "terraform": "Terraform", "workflow": "Workflows", "secret": "Secrets"}
_MOST_LINES = 14


def render(rules: Iterable[Rule], samples: Mapping[str, tuple[tuple[str, str], ...]]) -> str:
    """The page as Markdown. `samples` maps a rule's id to (file name, content) pairs; names start with `good-` or
    `bad-`.
    """
    table = list(rules)
    blocking = sum(r.blocks for r in table)
    counts = (
        f"{len(table)} rules over files, of which {blocking} block, and {len(PLAN_TABLE)} over [plans](#plans).\n\n"
    )
    parts = [_HEAD, counts, "| rule | title | |\n|---|---|---|\n"]
    parts += [f"| [`{r.id}`](#{_anchor(r.id)}) | {r.title} | {_effect(r)} |\n" for r in table]
    for group, title in _GROUPS.items():
        parts.append(f"\n## {title}\n")
        parts += [_section(r, samples.get(r.id, ())) for r in table if r.id.split("/")[0] == group]
        parts += [_closed_names()] if group == "path" else []
    return "".join([*parts, _PLANS, *(f"| `{r.id}` | {r.title} | {_severities(r)} |\n" for r in PLAN_TABLE)])


def render_rules() -> str:
    """The page without samples, which stand in the source repository only."""
    return render(TABLE, {})


def _section(rule: Rule, samples: tuple[tuple[str, str], ...]) -> str:
    lines = [f"\n### `{rule.id}`\n\n**{rule.title}** ({_effect(rule)}). {rule.reason}\n\n*Remedy:* {rule.remedy}\n"]
    for start, word in (("bad-", "Found"), ("good-", "Passes")):
        shown = next(
            ((name, text) for name, text in samples if name.startswith(start) and 0 < text.count("\n") <= _MOST_LINES),
            None,
        )
        if shown is not None:
            name, text = shown
            language = {"tf": "hcl", "tfvars": "hcl", "hcl": "hcl", "yml": "yaml", "md": "markdown"}.get(
                name.rpartition(".")[2], ""
            )
            lines.append(f"\n{word}:\n\n```{language}\n{text.rstrip()}\n```\n")
    return "".join(lines)


def _closed_names() -> str:
    rows = (f"| {c.what} | {' '.join(f'`{glob}`' for glob in c.globs)} | {c.why} |\n" for c in CLOSED_NAMES)
    head = "\n### Closed names\n\nAt any depth, in any case; paths are ASCII, so no other alphabet looks like one of them.\n\n"
    return f"{head}| | names | reason |\n|---|---|---|\n{''.join(rows)}"


def _effect(rule: Rule) -> str:
    return "blocks" if rule.blocks else "mentioned first" if rule.leads else "mentioned"


def _severities(rule: PlanRule) -> str:
    words = " or ".join(severity.name.lower() for severity in sorted(rule.severities))
    return f"{words}; a danger with `{ALLOW_DESTROY}`" if rule.lifted else words


def _anchor(rule_id: str) -> str:
    return rule_id.replace("/", "")
