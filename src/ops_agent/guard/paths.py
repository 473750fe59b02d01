"""Which paths may be written: the allow-list, and the names that nothing opens.

The same function answers the agent's tools before a write (quick feedback) and the judge afterwards (authority).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase, translate
from functools import cache
from typing import Final

from ops_agent.guard.data import records
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Layout

MAX_FILE_BYTES = 1_000_000
MAX_PATH = 400
EMPTY_REPOSITORY_AREAS = ("infra", "terraform")
WORKFLOW_DIRECTORY = ".github/workflows/"

_PLAIN = re.compile(r"[A-Za-z0-9._@+=-]+(/[A-Za-z0-9._@+=-]+)*")
_BACKEND_DIRECTORY = re.compile(r"(^|/)backends?(/[^/]+)?/[^/]+\.hcl$")


def path_refusal(path: str, content: bytes | None, policy: Policy, layout: Layout | None = None) -> str | None:
    """Why `path` may not be written with `content` (None: deleted), as one sentence; None when it may.

    Without a `layout` the place in the repository is not checked, only the kind of file.
    """
    return (
        _form_refusal(path) or _denied(path) or _kind_refusal(path, policy, layout) or _content_refusal(path, content)
    )


def is_workflow(path: str) -> bool:
    """True for `.github/workflows/*.yml|yaml`; GitHub reads no deeper directory."""
    name = path.removeprefix(WORKFLOW_DIRECTORY)
    return path.startswith(WORKFLOW_DIRECTORY) and "/" not in name and name.endswith((".yml", ".yaml"))


def is_action(path: str) -> bool:
    """True for an action's own file, in any directory: a workflow may run it as `./directory`."""
    return path.rpartition("/")[2] in ("action.yml", "action.yaml")


def is_backend_file(path: str) -> bool:
    """True for partial backend configuration: `backend/{env}/*.hcl`, `backend/*.hcl`, `*.tfbackend`."""
    return path.endswith(".tfbackend") or bool(_BACKEND_DIRECTORY.search(path))


def areas(layout: Layout) -> tuple[str, ...]:
    """Top-level directories that hold Terraform; `.` when a root is at the top; the conventional ones in a
    repository without any.
    """
    holders = [*(r.path for r in layout.roots), *(m for r in layout.roots for m in r.local_modules), *layout.linked]
    return tuple(sorted({h.split("/")[0] for h in holders})) or EMPTY_REPOSITORY_AREAS


def _form_refusal(path: str) -> str | None:
    if not path or len(path) > MAX_PATH:
        return f"a path has 1 to {MAX_PATH} characters"
    if not _PLAIN.fullmatch(path):
        return "a path is relative, separated by `/`, and made of ASCII letters, digits and `._@+=-`"
    for segment in path.split("/"):
        if segment.endswith("."):
            return "a path has no `.` or `..` segment, and no segment ends with a dot"
    return None


def _denied(path: str) -> str | None:
    named = _closed_name(path)
    if named is not None:
        return named
    if any(s.startswith(".") for s in path.split("/")[1:]):
        return "hidden files and directories are never written"
    return None


def _kind_refusal(path: str, policy: Policy, layout: Layout | None) -> str | None:
    closed = next((glob for glob in policy.closed_paths if fnmatchcase(path, glob)), None)
    if closed is not None:
        return f"the repository's policy closes `{closed}`"
    restricted = next((glob for glob in policy.ruleset_paths if _glob_pattern(glob).fullmatch(path)), None)
    if restricted is not None:
        return f"a ruleset of the repository restricts `{restricted}`"
    if path.casefold().startswith(".github"):
        if not is_workflow(path):
            return "under `.github` only `workflows/*.yml` and `workflows/*.yaml` may be written"
        return None if policy.allow_workflow_files else "the repository's policy does not let ops-agent write workflows"
    if path.endswith(".hcl") and not is_backend_file(path) and not _known_backend(path, layout):
        return "an `.hcl` file is written only as a backend file: `backend/{environment}/backend.hcl`"
    if not path.endswith((".tf", ".tfvars", ".md", ".hcl", ".tfbackend")):
        return "only `.tf`, `.tfvars`, `.md`, backend files and workflows are in the agent's domain"
    if layout is not None:
        allowed = areas(layout)
        if "." not in allowed and path.split("/")[0] not in allowed:
            return f"Terraform and its documentation belong under {', '.join(f'`{a}/`' for a in allowed)}"
    return None


def _known_backend(path: str, layout: Layout | None) -> bool:
    return layout is not None and any(e.backend_file == path for r in layout.roots for e in r.environments)


def _content_refusal(path: str, content: bytes | None) -> str | None:
    if content is None:
        return None
    if len(content) > MAX_FILE_BYTES:
        return f"a file has at most {MAX_FILE_BYTES:,} bytes; `{path}` would have {len(content):,}"
    if b"\x00" in content:
        return "a file is text: it holds no NUL byte"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return f"a file is UTF-8; byte {error.start} is not"
    return None


CLOSED_NAMES: Final = records("closed_names")
"""Names that are never written, by what they are: `globs`, `why` and, for files alone, `only`."""


@cache
def _closed() -> tuple[tuple[re.Pattern[str], bool, str], ...]:
    """A pattern for one segment of a path, whether it is for the last one only, and the reason."""
    return tuple(
        (re.compile("|".join(map(translate, names["globs"].split()))), "only" in names, names["why"])
        for names in CLOSED_NAMES.values()
    )


def _closed_name(path: str) -> str | None:
    """Why a name in `path` is closed, None when none is. Any case counts; paths have no letters beside ASCII."""
    segments = path.casefold().split("/")
    for pattern, is_of_files, why in _closed():
        if any(pattern.match(s) for s in (segments[-1:] if is_of_files else segments) if s != ".github"):
            return why
    return None


def _glob_pattern(text: str) -> re.Pattern[str]:
    """A pattern of a ruleset: `*` stays within a folder, `**` does not."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", text)
    kinds = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]?"}
    return re.compile("".join(kinds.get(piece) or re.escape(piece) for piece in pieces))
