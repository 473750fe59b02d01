"""Which written standards apply, and what of them the llm is shown.

A standard is a Markdown file with front matter `description`, `globs`, `alwaysApply`. The front matter is read leniently, line by
line: people write `globs: **/*.tf`, which is not valid YAML.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate

from ops_agent.domain.briefing import Standard

MAX_STANDARD = 12_000
MAX_ALL = 60_000
PLACES = (".cursor/rules", ".claude/rules", "rules")
"""Where a repository keeps its own: `{place}/{id}/RULE.md`; an earlier place wins."""

_INFRASTRUCTURE_EXAMPLES = frozenset({"", "hcl", "terraform", "tf", "tfvars", "yaml", "yml", "json", "bash", "sh", "shell", "text", "txt"})
_COMMON_WORDS = frozenset(
    {"and", "the", "for", "with", "from", "when", "their", "rules", "standards", "github", "actions", "using", "aws", "store"}
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

    One applies always (`alwaysApply`, or given by the caller), by its globs over the repository's `paths`, or by words of its id and
    description in the request. Together they have at most MAX_ALL characters; what does not fit is among the others.
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
        found = Standard(id=standard_id, description=standard.description, text=shortened(standard.text), source=standard.source)
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
    return found.group() if found.group(2).casefold() in _INFRASTRUCTURE_EXAMPLES else "(an example in another language is left out)\n"


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
