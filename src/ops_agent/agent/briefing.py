"""The two prompts: who the agent is and what holds (system), and what is to be done here (task)."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import Any

from ops_agent.model.briefing import Limits, Standard
from ops_agent.model.finding import Finding
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Layout, TerraformRoot, TerraformSource
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.model.work_item import WorkItem
from ops_agent.terraform.hcl import read_terraform
from ops_agent.text.templates import render

# Material stands between two lines with this run's random mark, as JSON: it cannot end its own fence (B10 of the
# security bar).
#
# This helps the llm to tell material from instructions. It proves nothing; the guards judge what comes out.

BOUNDARY_PREFIX = "B"
"""An upper-case letter first: no JSON escape ends with one, so the mark can be escaped inside any JSON text."""


def fenced(boundary: str, material: object) -> str:
    """`material` (what JSON can hold) between two lines with `boundary`, which does not stand in between. `unfenced`
    gives it back.
    """
    text = json.dumps(material, ensure_ascii=False, indent=None if isinstance(material, str) else 1)
    text = (
        text.replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
        .replace("\x85", "\\u0085")
        .replace("\x7f", "\\u007f")
    )
    return f"--- data {boundary}\n{_without(boundary, text)}\n--- end {boundary}"


def unfenced(boundary: str, text: str) -> object:
    """What `fenced` was given. Raises ValueError when `text` is not one fence with this boundary."""
    first, *middle, last = text.split("\n")
    if (first, last) != (f"--- data {boundary}", f"--- end {boundary}"):
        raise ValueError("not a fence with this boundary")
    return json.loads("\n".join(middle))


def _without(boundary: str, text: str) -> str:
    return text.replace(boundary, f"\\u{ord(boundary[0]):04x}{boundary[1:]}")


# The repository map: what stands where, in a page, so that the agent need not search for it.

MAX_FILES = 150
MAX_NAMES = 40
MAX_DIRECTORIES = 40
MAX_NAME = 200
_BLOCKS = ("resource", "data", "module", "variable", "output", "provider", "terraform", "locals", "moved")


def repository_map(layout: Layout, paths: Collection[str], read: Callable[[str], bytes]) -> dict[str, Any]:
    """Roots with environments and files, blocks by Terraform file, workflows, and how many files the rest has. Bounded;
    names escaped.
    """
    held = _terraform_files(layout, paths)
    shown = held[:MAX_FILES]
    found: dict[str, Any] = {
        "roots": [_root(r) for r in layout.roots[:MAX_DIRECTORIES]],
        "terraform_files": {plain_name(p): _names(read(p)) for p in shown},
        "workflows": [plain_name(p) for p in layout.workflows[:MAX_DIRECTORIES]],
        "other_files_by_directory": _others(set(paths) - set(held) - set(layout.workflows)),
    }
    if len(held) > len(shown):
        found["not_shown"] = f"{len(held) - len(shown)} more Terraform files: use list_files"
    if layout.findings:
        found["odd"] = [f"{plain_name(str(f.place))}: {f.what}" for f in layout.findings[:20]]
    return found


def plain_name(text: str) -> str:
    """A file or branch name with everything that cannot be seen escaped (B15), cut at 200 characters."""
    seen = "".join(
        c if c == " " or (c.isprintable() and unicodedata.category(c)[0] != "Z") else f"\\u{ord(c):04x}" for c in text
    )
    return seen if len(seen) <= MAX_NAME else seen[:MAX_NAME] + "…"


def _root(root: TerraformRoot) -> dict[str, Any]:
    environments = {
        plain_name(e.name): {
            "account": e.account,
            "backend_file": e.backend_file and plain_name(e.backend_file),
            "var_files": [plain_name(v) for v in e.var_files],
        }
        for e in root.environments
    }
    return {
        "path": plain_name(root.path),
        "environments": environments,
        "local_modules": [plain_name(m) for m in root.local_modules],
    }


def _terraform_files(layout: Layout, paths: Collection[str]) -> list[str]:
    """Those of the roots first, then of their modules, then all others."""
    order = {
        d: n for n, d in enumerate([r.path for r in layout.roots] + [m for r in layout.roots for m in r.local_modules])
    }
    held = [p for p in paths if p.endswith(".tf")]
    return sorted(held, key=lambda p: (order.get(p.rpartition("/")[0] or ".", len(order)), p))


def _names(content: bytes) -> str:
    source = read_terraform(content)
    if not isinstance(source, TerraformSource):
        return "cannot be read"
    names = [f"{b.type} {'.'.join(b.labels)}".strip() for b in source.blocks if b.type in _BLOCKS]
    more = f", and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return plain_names(names[:MAX_NAMES]) + more


def plain_names(names: list[str]) -> str:
    return ", ".join(plain_name(n) for n in names)


def _others(paths: set[str]) -> dict[str, int]:
    counts = Counter(p.split("/")[0] + "/" if "/" in p else p for p in paths)
    return {plain_name(name): count for name, count in sorted(counts.most_common(MAX_DIRECTORIES))}


MAX_FINDINGS = 40
MAX_OUTPUT = 4_000


def system_prompt(
    template: str, policy: Policy, limits: Limits, standards: tuple[Standard, ...], title_prefix: str
) -> str:
    """The same for every run in a repository, so that it is cached; nothing of the issue stands in it."""
    return render(
        template,
        title_prefix=title_prefix,
        region=policy.region,
        accounts=tuple(policy.accounts.items()),
        providers=_listed(policy.allowed_providers),
        modules=_listed(policy.allowed_modules),
        workflows=policy.allow_workflow_files,
        uses=_listed(policy.allowed_uses),
        repair_rounds=limits.max_repair_rounds,
        calls_per_turn=limits.max_tool_calls_per_turn,
        max_files=limits.max_files,
        max_file_bytes=f"{limits.max_file_bytes:,}",
        standards=standards,
    )


def task_prompt(
    template: str,
    item: WorkItem,
    boundary: str,
    repository_map: dict[str, Any],
    infra_context: str,
    others: tuple[Standard, ...],
) -> str:
    """The issue, what the caller adds and the repository map, each in its fence."""
    return render(
        template,
        boundary=boundary,
        item=fenced(boundary, _item(item)),
        context=fenced(boundary, infra_context) if infra_context.strip() else "",
        repository=item.target.full_name,
        base_branch=plain_name(item.base_branch),
        map=fenced(boundary, repository_map),
        others=tuple((plain_name(s.id), plain_name(s.description)) for s in others),
    )


def findings_material(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    """Findings as the llm gets them back: file and line, rule, what and what to do."""
    shown = [
        {"where": str(f.place), "rule": f.rule, "what": f.what[:1000], "remedy": f.remedy[:500]}
        for f in findings[:MAX_FINDINGS]
    ]
    return shown + (
        [{"more": f"{len(findings) - MAX_FINDINGS} further findings"}] if len(findings) > MAX_FINDINGS else []
    )


def check_material(check: CheckResult) -> dict[str, Any]:
    """A check as the llm gets it back: diagnostics with file and line.

    Output is told of `fmt` (its diff), and where no finding says what is wrong; never a plan's, which holds values of
    the real world.
    """
    told: dict[str, Any] = {"check": check.name, "subject": plain_name(check.subject), "status": str(check.status)}
    if check.findings:
        told["findings"] = findings_material(check.findings)
    tells_more = check.name == "fmt" or not (check.findings or check.name == "plan")
    if check.output and tells_more and check.status is not CheckStatus.PASSED:
        told["output"] = check.output[-MAX_OUTPUT:]
    return told


def _item(item: WorkItem) -> dict[str, Any]:
    request = item.request
    told: dict[str, Any] = {
        "issue": str(item.issue.ref),
        "title": item.title,
        "parent": str(item.parent) if item.parent else None,
        "description": request.description,
        "user_stories": request.user_stories,
        "acceptance_criteria": [{"id": c.id, "text": c.text, "done": c.done} for c in request.criteria],
        "notes": request.notes,
        "assumptions": request.assumptions,
        "references": request.references,
        "comments": item.comments,
    }
    return {name: value for name, value in told.items() if value}


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{n}`" for n in names)


# Which written standards apply, and what of them the llm is shown.
#
# A standard is a Markdown file with front matter `description`, `globs`, `alwaysApply`. The front matter is read
# leniently, line by line: people write `globs: **/*.tf`, which is not valid YAML.

MAX_STANDARD = 12_000
MAX_ALL = 60_000
PLACES = (".cursor/rules", ".claude/rules", "rules")
"""Where a repository keeps its own: `{place}/{id}/RULE.md`; an earlier place wins."""

_INFRASTRUCTURE_EXAMPLES = frozenset(
    {"", "hcl", "terraform", "tf", "tfvars", "yaml", "yml", "json", "bash", "sh", "shell", "text", "txt"}
)
_COMMON_WORDS = frozenset(
    {
        "and",
        "the",
        "for",
        "with",
        "from",
        "when",
        "their",
        "rules",
        "standards",
        "github",
        "actions",
        "using",
        "aws",
        "store",
    }
)
_EXAMPLE = re.compile(r"^(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n.*?^\1[ \t]*$\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardFile:
    """A standard as it was found; `source` is `bundled`, `input` or the path of its file."""

    id: str
    description: str
    globs: tuple[str, ...]
    always: bool
    text: str
    source: str


def standard_paths(paths: Collection[str]) -> dict[str, str]:
    """The repository's own standards: id -> path."""
    found: dict[str, str] = {}
    for place in reversed(PLACES):
        for path in sorted(paths):
            if path.startswith(f"{place}/") and path.endswith("/RULE.md") and path.count("/") == place.count("/") + 2:
                found[path.split("/")[-2]] = path
    return found


def read_standard(standard_id: str, raw: str, source: str) -> StandardFile:
    """The file's text without its front matter; a file without any applies only by its id's words."""
    fields, text = _front_matter(raw.replace("\r\n", "\n").removeprefix("\ufeff"))
    return StandardFile(
        id=standard_id,
        description=" ".join(fields.get("description", ())),
        globs=fields.get("globs", ()),
        always=fields.get("alwaysapply", ("",))[:1] == ("true",),
        text=text.strip(),
        source=source,
    )


def choose_standards(
    candidates: Iterable[StandardFile], paths: Collection[str], request_words: str
) -> tuple[tuple[Standard, ...], tuple[Standard, ...]]:
    """The standards that the work touches, and the others, which the agent may ask for.

    One applies always (`alwaysApply`, or given by the caller), by its globs over the repository's `paths`, or by words
    of its id and description in the request. Together they have at most MAX_ALL characters; what does not fit is among
    the others.
    """
    lowered = request_words.casefold()
    ranked = []
    for standard in candidates:
        rank = _rank(standard, paths, lowered)
        ranked.append((rank, standard.id, standard))
    chosen: list[Standard] = []
    others: list[Standard] = []
    room = MAX_ALL
    for rank, standard_id, standard in sorted(ranked, key=lambda entry: entry[:2]):
        found = Standard(
            id=standard_id, description=standard.description, text=shortened(standard.text), source=standard.source
        )
        if rank > 2 or len(found.text) > room:
            others.append(found)
            continue
        room -= len(found.text)
        chosen.append(found)
    return tuple(chosen), tuple(sorted(others, key=lambda s: s.id))


def shortened(text: str) -> str:
    """Without examples that are not infrastructure, and at most MAX_STANDARD characters; what was cut is said."""
    text = _EXAMPLE.sub(_kept_example, text)
    if len(text) <= MAX_STANDARD:
        return text
    return f"{text[:MAX_STANDARD].rsplit(chr(10), 1)[0]}\n\n(cut here: {len(text) - MAX_STANDARD} more characters)"


def _rank(standard: StandardFile, paths: Collection[str], lowered_request: str) -> int:
    if standard.always or standard.source == "input":
        return 0
    if any(map(_path_pattern(standard.globs).match, paths)):
        return 1
    words = re.findall(r"[a-z0-9]+", f"{standard.id} {standard.description}".casefold())
    telling = {w for w in words if (len(w) > 3 or w in ("s3", "sns", "sqs", "ecs")) and w not in _COMMON_WORDS}
    stems = {w.removesuffix("s") if len(w) > 4 else w for w in telling}
    return 2 if any(re.search(rf"(?<![a-z0-9]){re.escape(stem)}", lowered_request) for stem in stems) else 3


def _path_pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Globs of rule files: `**/` may stand for nothing; `*` also crosses directories here, which only includes more."""
    every = {g for glob in globs for g in (glob, glob.removeprefix("**/"))}
    return re.compile("|".join(translate(g) for g in sorted(every)) or r"(?!)")


def _kept_example(found: re.Match[str]) -> str:
    return (
        found.group()
        if found.group(2).casefold() in _INFRASTRUCTURE_EXAMPLES
        else "(an example in another language is left out)\n"
    )


def _front_matter(raw: str) -> tuple[Mapping[str, tuple[str, ...]], str]:
    if not raw.startswith("---\n") or (end := raw.find("\n---", 3)) < 0:
        return {}, raw
    fields: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in raw[4 : end + 1].splitlines():
        key = re.match(r"([A-Za-z]+):(.*)", line)
        if key is not None:
            name = key.group(1).casefold()
            fields[name] = _values(key.group(2), is_list=name == "globs")
        elif name == "globs" and line.strip().startswith("- "):
            fields[name] += _values(line.strip()[2:], is_list=False)
    return fields, raw[end + 4 :].partition("\n")[2]


def _values(text: str, *, is_list: bool) -> tuple[str, ...]:
    text = text.strip()
    parts = text.removeprefix("[").removesuffix("]").split(",") if is_list else [text]
    return tuple(value for part in parts if (value := part.strip().strip("\"'")))
