"""The written standards: which apply to a work item, and what of them the llm sees.

A standard is a Markdown file with front matter `description`, `globs`, `alwaysApply`. Those in this folder are bundled;
one of the repository replaces the bundled one of the same id, and one of the input `standards` replaces both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import translate
from functools import cache
from importlib.resources import files

from ops_agent.model.conversation import SharedStandards, Standard

MAX_FILE_BYTES = 200_000
MAX_STANDARD = 12_000
MAX_ALL = 60_000
PLACES = (".cursor/rules", ".claude/rules", "rules")
"""Where a repository keeps its own: `{place}/{id}/RULE.md`; an earlier place wins."""

_ALWAYS_TOUCHED = "infra/main.tf"
"""Every work item is about Terraform, in an empty repository too."""
_INFRASTRUCTURE_EXAMPLES = {"", "hcl", "terraform", "tf", "tfvars", "yaml", "yml", "json", "bash", "sh", "shell"}
_INFRASTRUCTURE_EXAMPLES |= {"text", "txt"}
_COMMON_WORDS = {"with", "from", "when", "their", "rules", "standards", "github", "actions", "using", "store"}
_SERVICES = {"s3", "sns", "sqs", "ecs"}
_EXAMPLE = re.compile(r"^(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n.*?^\1[ \t]*$\n?", re.MULTILINE | re.DOTALL)


def standards_for(
    given: str,
    paths: Collection[str],
    read: Callable[[str], bytes],
    request: str,
    shared: Sequence[SharedStandards] = (),
) -> tuple[tuple[Standard, ...], tuple[Standard, ...]]:
    """The standards that the work touches, and the others, which the agent may ask for.

    `given` is the input `standards`; `paths` and `read` are the base commit; `request` is the work item's text. Of one
    id the first source counts: input, repository, `shared` in its order, bundled.
    """
    found = {name: read_standard(name, raw, "bundled") for name, raw in bundled().items()}
    for source in reversed(shared):
        found |= {standard.id: standard for standard in source.found}
    for name, path in standard_paths(paths).items():
        found[name] = read_standard(name, _text(read(path)), path)
    for standard in _given(given, paths, read):
        found[standard.id] = standard
    return choose_standards(found.values(), (*paths, _ALWAYS_TOUCHED), request)


@cache
def bundled() -> dict[str, str]:
    """Raw text, front matter included, by the standard's id."""
    entries = (entry for entry in files(__package__).iterdir() if entry.name.endswith(".md"))
    return {entry.name.removesuffix(".md"): entry.read_text(encoding="utf-8") for entry in entries}


def standard_paths(paths: Collection[str]) -> dict[str, str]:
    """The repository's own standards: id -> path."""
    found: dict[str, str] = {}
    for place in reversed(PLACES):
        for path in sorted(paths):
            if path.startswith(f"{place}/") and path.endswith("/RULE.md") and path.count("/") == place.count("/") + 2:
                found[path.split("/")[-2]] = path
    return found


def _given(text: str, paths: Collection[str], read: Callable[[str], bytes]) -> list[Standard]:
    """The input `standards`: paths of files on the base commit, one a line, or else text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    if all(line in paths for line in lines):
        return [read_standard(_id_of(line), _text(read(line)), "input") for line in lines]
    return [read_standard("given-by-the-caller", text, "input")]


def _id_of(path: str) -> str:
    *above, name = path.split("/")
    return above[-1] if name == "RULE.md" and above else name.rsplit(".", 1)[0]


def _text(content: bytes) -> str:
    return content[:MAX_FILE_BYTES].decode("utf-8", "replace")


def read_standard(standard_id: str, raw: str, source: str) -> Standard:
    """The file's text without its front matter; a file without any applies only by its id's words."""
    fields, text = _front_matter(raw.replace("\r\n", "\n").removeprefix("\ufeff"))
    return Standard(
        id=standard_id,
        description=" ".join(fields.get("description", ())),
        globs=fields.get("globs", ()),
        always=fields.get("alwaysapply", ("",))[:1] == ("true",),
        text=text.strip(),
        source=source,
    )


def _front_matter(raw: str) -> tuple[Mapping[str, tuple[str, ...]], str]:
    """Read leniently, line by line: people write `globs: **/*.tf`, which is not valid YAML."""
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


def choose_standards(
    candidates: Iterable[Standard], paths: Collection[str], request: str
) -> tuple[tuple[Standard, ...], tuple[Standard, ...]]:
    """The standards that apply, and the others.

    One applies always (`alwaysApply`, or given by the caller), by its globs over the repository's `paths`, or by words
    of its id and description in the request. What is beyond MAX_ALL characters is among the others. Material
    (pages of a wiki) has a limit of its own where it comes from, and never takes the place of another standard.
    """
    lowered = request.casefold()
    ranked = sorted(((_rank(one, paths, lowered), one.id, one) for one in candidates), key=lambda entry: entry[:2])
    chosen: list[Standard] = []
    others: list[Standard] = []
    left = MAX_ALL
    for rank, _, one in ranked:
        found = replace(one, text=shortened(one.text))
        if one.is_material:
            (chosen if one.always else others).append(found)
        elif rank > 2 or len(found.text) > left:
            others.append(found)
        else:
            left -= len(found.text)
            chosen.append(found)
    return tuple(chosen), tuple(sorted(others, key=lambda s: s.id))


def _rank(standard: Standard, paths: Collection[str], lowered_request: str) -> int:
    """0 for always, 1 by a path, 2 by a word, 3 for not at all."""
    if standard.always or standard.source == "input":
        return 0
    if any(map(_path_pattern(standard.globs).match, paths)):
        return 1
    words = re.findall(r"[a-z0-9]+", f"{standard.id} {standard.description}".casefold())
    stems = {
        w.removesuffix("s") if len(w) > 4 else w
        for w in words
        if (len(w) > 3 or w in _SERVICES) and w not in _COMMON_WORDS
    }
    return 2 if any(re.search(rf"(?<![a-z0-9]){re.escape(stem)}", lowered_request) for stem in stems) else 3


def _path_pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Globs of rule files: `**/` may be empty; `*` also crosses directories here, which only includes more."""
    every = {g for glob in globs for g in (glob, glob.removeprefix("**/"))}
    return re.compile("|".join(translate(g) for g in sorted(every)) or r"(?!)")


def shortened(text: str) -> str:
    """Without examples that are not infrastructure, and at most MAX_STANDARD characters; it says what was cut."""
    text = _EXAMPLE.sub(_kept_example, text)
    if len(text) <= MAX_STANDARD:
        return text
    return f"{text[:MAX_STANDARD].rsplit(chr(10), 1)[0]}\n\n(cut here: {len(text) - MAX_STANDARD} more characters)"


def _kept_example(found: re.Match[str]) -> str:
    if found.group(2).casefold() in _INFRASTRUCTURE_EXAMPLES:
        return found.group()
    return "(an example in another language is left out)\n"
