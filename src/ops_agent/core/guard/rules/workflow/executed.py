"""Files of the repository that a workflow runs: whoever writes one writes a workflow (F03, F11 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ops_agent.core.guard.paths import is_workflow
from ops_agent.core.guard.subjects import Hit, WholeChange
from ops_agent.core.guard.trees import SourceTree
from ops_agent.core.sources.reading_workflows import read_workflow
from ops_agent.domain.terraform_source import Unreadable

# Read a document and never run it. Everything else is taken to run what it is given.
_READERS = frozenset(
    {
        "terraform",
        "tofu",
        "cat",
        "head",
        "tail",
        "wc",
        "ls",
        "test",
        "[",
        "[[",
        "grep",
        "rg",
        "echo",
        "printf",
        "diff",
        "cmp",
        "stat",
        "aws",
    }
    | {"sha256sum", "md5sum", "mkdir", "rm", "git", "tflint", "trivy", "checkov", "tfsec", "conftest", "terraform-docs", "markdownlint"}
    | {"markdownlint-cli2", "mdl", "vale", "cspell", "codespell", "lychee", "markdown-link-check", "yamllint", "prettier", "hcl2json", "jq"}
    | {"yq", "sort", "uniq", "cut", "tr", "true"}
)
_INTERPRETER = re.compile(r"(ba|z|da|k|fi)?sh|source|\.|python[0-9.]*|pypy3?|node|deno|bun|tsx|ruby|perl|php|lua|pwsh|powershell|exec|eval")
_MAKE = re.compile(r"\bg?make\b.*\s(-[a-zA-Z]*f|--file|--makefile)")
_TAKES_INPUT = re.compile(
    r"\|\s*((sudo|env|command)\s+)?((ba|z|da|k|fi)?sh\b|(source|eval|xargs|parallel)\b|(python[0-9.]*|node|ruby|perl|php)\s*-?\s*($|[;&|)]))"
    r"|\b(eval|xargs)\b|\b(ba|z|da|k)?sh\b[^|;&]*<\(|-exec(dir)?\s+(\S*/)?((ba|z|da|k)?sh|python|source)"
)
_SUBSTITUTION = re.compile(r"\$\(|`|<\(")
_PREFIXES = re.compile(
    r"\s*(([A-Za-z_][A-Za-z0-9_]*=\S*|!|\(|\{|sudo|then|do|else|if|while|time|env|command|nohup|npx|uvx|timeout\s+\S+)\s+)*"
)
_SEGMENTS = re.compile(r"\|\|?|&&?|;|\$\(|`")
_COMPUTED = re.compile(r"\$\{\{.*?\}\}|\$\{[^}]*\}|\$\w+|\$[*@#?]|\{[^}]*\}")
_COMMAND = re.compile(r"\$\([^)]*\)|`[^`]*`")
_NO_FILES = frozenset({"on", "name", "run-name", "concurrency", "permissions"})
_WORDS = re.compile(r"[A-Za-z0-9._]{3,}")


def executed_file(change: WholeChange) -> Iterator[Hit]:
    """A workflow runs a file that this change writes.

    `bash infra/README.md`, `source`, `make -f` and `python` run any file whatever its name: what a workflow or local action of the
    repository runs is workflow code. A document may be named by commands only that are known to read (`cat`, linters).

    Remedy: Leave the file as it is, or take its name out of the workflow; write commands into `run:`, where they are judged.
    """
    changed = [c.path for c in change.changes.changes if not is_workflow(c.path)]
    if not changed:
        return
    for path in sorted(change.head.paths):
        for line, script, is_script in _texts(path, change.head):
            for file in changed:
                if _runs(script, file) if is_script else _is_named_as_document(script, file):
                    yield Hit(path=file, line=0, what=f"`{path}` line {line} runs `{file}`, or may run it", anchor=f"{path} {file}")


def _texts(path: str, tree: SourceTree) -> Iterator[tuple[int, str, bool]]:
    """Line, text, and whether it is a script, of everything in a workflow or local action that can name a file to run."""
    if is_workflow(path):
        workflow = read_workflow(tree.read(path))
        if isinstance(workflow, Unreadable):
            yield 1, tree.read(path).decode(errors="replace"), True
            return
        for text in workflow.texts:
            if text.path[0] not in _NO_FILES and text.path[-1] not in ("if", "name"):
                yield text.line, text.text, text.path[-1] == "run"
    elif path.rpartition("/")[2] in ("action.yml", "action.yaml"):
        yield 1, tree.read(path).decode(errors="replace"), True


def _runs(script: str, file: str) -> bool:
    for line in script.replace("\\\n", " ").split("\n"):
        if not _names(line, file):
            continue
        if _TAKES_INPUT.search(line) or _MAKE.search(line):
            return True
        if _is_named_as_document(line, file) and _SUBSTITUTION.search(line):
            return True
        if any(_runs_in(segment, file) for segment in _SEGMENTS.split(line)):
            return True
    return False


def _runs_in(segment: str, file: str) -> bool:
    """One command: an interpreter with the file as its script, the file itself, or a document in the hands of an unknown command."""
    prefix = _PREFIXES.match(segment)
    words = [w for w in _split(segment[prefix.end() :] if prefix else segment) if w]
    if not words:
        return False
    command, *rest = words
    if _means(command, file):
        return True
    name = command.rpartition("/")[2]
    if _INTERPRETER.fullmatch(name):
        return any(_means(word, file) for word in _scripts(rest))
    return name not in _READERS and _is_named_as_document(segment, file)


def _scripts(words: list[str]) -> Iterator[str]:
    """What an interpreter may take as its script: the first operand, and every value of an option before it."""
    after_option = False
    for word in words:
        if word.startswith("-"):
            yield word.partition("/")[2]
            after_option = True
            continue
        yield word
        if not after_option:
            return
        after_option = False


def _names(text: str, file: str) -> bool:
    return any(_means(word, file) for word in _split(text))


def _is_named_as_document(text: str, file: str) -> bool:
    """Named without a pattern: patterns and Terraform's own files are named by everything that checks and deploys."""
    return file.endswith(".md") and any("*" not in w and "?" not in w and _means(w, file) for w in _split(text))


def _split(text: str) -> Iterator[str]:
    """Words with what is computed as `*`; quotes and backslashes inside of words fall away as they do in a shell."""
    for form in dict.fromkeys((_COMPUTED.sub("*", text), _COMPUTED.sub("*", _COMMAND.sub("*", text)))):
        for word in re.split(r"[\s|&;()<>=,`]+", form):
            yield word.replace('"', "").replace("'", "").replace("\\", "")


def _means(word: str, file: str) -> bool:
    """Can `word` be a path of `file`, from any working directory? A word that is hardly more than a wildcard says nothing."""
    name = re.sub(r"^(\.{1,2}/|/|\*/)+", "", word)
    if not _WORDS.search(name) or name.endswith("/"):
        return False
    parts = file.split("/")
    return any(fnmatchcase("/".join(parts[start:]), name) for start in range(len(parts)))
