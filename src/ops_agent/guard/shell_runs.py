"""Does a script run a file? Whoever is not known to read only is taken to run a document that it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

from ops_agent.guard.shell_flows import MOST_DEPTH, WRAPPERS, Target, bind, gives, lists, mentions, outer_of
from ops_agent.guard.shell_reach import can_mean
from ops_agent.guard.shell_words import (
    MOST_CHARACTERS,
    Command,
    forms,
    logical_lines,
    pipelines,
    substitutions,
    unquoted,
    words_of,
)

_READERS = words_of(
    "terraform tofu terragrunt terraform-docs cat head tail wc ls test [ [[ grep egrep fgrep rg echo printf diff cmp"
    " comm stat file"
    " nl tac rev column fold less more sha256sum sha1sum md5sum mkdir rmdir rm touch cd pushd popd basename dirname "
    "realpath readlink"
    " git tflint trivy checkov tfsec conftest markdownlint markdownlint-cli2 mdl vale cspell codespell lychee "
    "markdown-link-check"
    " yamllint prettier hcl2json jq yq sort uniq cut tr paste join true false : base64 tar zip unzip gzip pandoc "
    "envsubst aws gh curl"
    " read mapfile readarray cp mv ln install rsync dd tee unset return exit shift for select case in esac done fi "
    "pre-commit hadolint"
    " shellcheck actionlint zizmor"
)
_SHELL = re.compile(r"(ba|z|da|k|fi|c|tc|mk|a)?sh|busybox")
_LANGUAGE = re.compile(
    r"python[0-9.]*|pypy3?|node|nodejs|deno|bun|tsx|ts-node|ruby|perl|php|lua|pwsh|powershell|Rscript|osascript|expect|tclsh"
)
_SOURCES = frozenset({".", "source", "eval"})
_FILE_OPTION = re.compile(r"-{1,2}(f|file|makefile|from-file|init-file|rcfile|include|I)")
_TAKES_A_FILE_OPTION = words_of("make gmake sed awk gawk mawk just")
_EXPORTS = words_of("export declare typeset readonly local set")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
_STARTS_A_FILE = re.compile(
    r"BASH_ENV|ENV|PYTHONSTARTUP|PROMPT_COMMAND|LD_PRELOAD|NODE_OPTIONS|PERL5OPT|RUBYOPT|GIT_\w+|MAKEFILES"
)
_INLINE = re.compile(r"-[a-zA-Z]*[ceErp]|--(eval|command|print)|-Command|-EncodedCommand", re.IGNORECASE)
_CODE_RUNS = re.compile(
    r"exec|eval|system|popen|subprocess|spawn|require|import|runpy|runpath|compile|dofile|loadfile|load\b|source|\bdo\b|`"
)
_ENVIRONMENT_FILES = {"GITHUB_ENV": ("/GITHUB_ENV",), "GITHUB_PATH": ("/GITHUB_PATH",)}
_MAY_RUN = re.compile(
    r"(?<![\w-])(\w*sh|busybox|python[0-9.]*|pypy3?|node(js)?|deno|bun|tsx|ts-node|ruby|perl|php|lua|pwsh|powershell|Rscript|osascript|expect"
    r"|tclsh|source|eval|xargs|parallel|g?make|[gm]?awk|sed|just|find|fd|export|declare|typeset|readonly|local|set)(?![\w-])"
    r"|(?<!\S)[\"']?\.\s|GITHUB_(ENV|PATH)|BASH_ENV|PYTHONSTARTUP|PROMPT_COMMAND|LD_PRELOAD|NODE_OPTIONS|(?<=\w)OPT=|GIT_|MAKEFILES"
    r"|(?m:^|[;&|(])[ \t]*[^\s=;&|(*?$]*[*?$]"
)


def runs(script: str, file: str, values: Mapping[str, tuple[str, ...]], *, language: str = "") -> bool:
    """True when `script` runs `file`, a copy of it or what stands in it. `values` are variables that are known outside
    of it.

    Of a script that is too long to be read, naming the file is enough.
    """
    target = Target(file)
    if _LANGUAGE.fullmatch(language):
        return _code_runs(script, target)
    given = [v for found in values.values() for v in found]
    named = any(target.name in text.casefold() for text in (script, *given))
    if not (named or (_may_run(script) and can_mean(script, given, target))):
        return False
    if len(script) > MOST_CHARACTERS:
        return named
    lines = logical_lines(script)
    known = {**values, **_ENVIRONMENT_FILES}
    bind(lines, target, known)
    seen = False
    for line in lines:
        for text in forms(line.text, known):
            if _line_runs(text, line.body, target, seen, 0):
                return True
        seen = seen or any(mentions(text, target) for text in forms(line.text, known))
    return False


@lru_cache(maxsize=256)
def _may_run(script: str) -> bool:
    return bool(_MAY_RUN.search(script))


def names_as_document(text: str, file: str) -> bool:
    """True when a value that is not a script names `file`, a document, without a pattern."""
    target = Target(file)
    return target.is_document and any(target.named_by(unquoted(w)) for w in re.split(r"[\s|&;()<>`]+", text) if w)


def starts_by_variable(name: str, value: str, file: str) -> bool:
    """True when `name` is a variable whose file is run by programs that say nothing about it (`BASH_ENV`)."""
    return bool(_STARTS_A_FILE.fullmatch(name)) and Target(file).named_by(value)


def _line_runs(text: str, body: str, target: Target, seen: bool, depth: int) -> bool:
    if depth > MOST_DEPTH:
        return mentions(text, target)
    if any(_script_runs(inside, target, depth) for _, _, inside in substitutions(text)):
        return True
    for pipeline in pipelines(outer_of(text, target)):
        given = seen and pipeline.takes_all
        for command in pipeline.commands:
            if given and _fed(command, target):
                return True
            if _command_runs(command.words, command.reads, target):
                return True
            name = command.words[0].rpartition("/")[2] if command.words else ""
            if name not in _READERS and any(_script_runs(q, target, depth) for q in command.quoted):
                return True
            given = given or gives(command, target)
        seen = seen or given
        if given and any(w.startswith("/GITHUB_") for c in pipeline.commands for w in c.writes):
            return True
        if body and _reads_code(pipeline.commands[0], body, target, depth):
            return True
    return False


def _script_runs(script: str, target: Target, depth: int) -> bool:
    return any(_line_runs(line.text, line.body, target, False, depth + 1) for line in logical_lines(script))


def _reads_code(command: Command, body: str, target: Target, depth: int) -> bool:
    """A here-document in the hands of an interpreter; in those of a reader only its substitutions run."""
    names = [w.rpartition("/")[2] for w in command.words]
    if any(_LANGUAGE.fullmatch(n) for n in names):
        return _code_runs(body, target)
    if names and names[0] in _READERS:
        return any(_script_runs(inside, target, depth) for _, _, inside in substitutions(body))
    return _script_runs(body, target, depth)


def _fed(command: Command, target: Target) -> bool:
    """A command behind a pipe that the file, or its name, flows into."""
    for position, word in enumerate(command.words):
        name, rest = word.rpartition("/")[2], command.words[position + 1 :]
        if name in ("xargs", "parallel"):
            token = next((w for n, w in enumerate(rest) if n and rest[n - 1] in ("-I", "-i")), "{}")
            filled = [w.replace(token, target.file) for w in rest]
            return _command_runs([*_operands(filled), target.file], [], target) or any(
                _script_runs(q.replace(token, target.file), target, 0) for q in command.quoted
            )
        if name in _SOURCES:
            return any(w in ("/dev/stdin", "-", "/proc/self/fd/0") for w in rest)
        if _SHELL.fullmatch(name) or _LANGUAGE.fullmatch(name):
            return all(w.startswith("-") or w == "/dev/stdin" for w in _first_script(rest)) and not any(
                _INLINE.fullmatch(w) for w in rest
            )
        if name not in WRAPPERS and not word.startswith("-") and not _ASSIGNMENT.fullmatch(word):
            return False
    return False


def _operands(words: list[str]) -> list[str]:
    """Behind the options of `xargs`: the first word that is a command."""
    position = 0
    while position < len(words) and (
        words[position].startswith("-") or words[position].isdigit() or words[position] == "{}"
    ):
        position += 2 if words[position] in ("-I", "-n", "-P", "-L", "-d", "-s") else 1
    return words[position:]


def _first_script(rest: list[str]) -> list[str]:
    operands = [w for w in rest if not w.startswith("-") or w == "-"]
    return operands[:1]


def _command_runs(words: list[str], reads: list[str], target: Target) -> bool:
    """One command: the file itself, an interpreter with the file as its script, or a document in the hands of an
    unknown command.
    """
    for position, word in enumerate(words):
        name, rest = word.rpartition("/")[2], words[position + 1 :]
        assigned = _ASSIGNMENT.fullmatch(word)
        if assigned:
            if _STARTS_A_FILE.fullmatch(assigned[1]) and target.named_by(assigned[2]):
                return True
            continue
        if (
            name in WRAPPERS
            or word in WRAPPERS
            or (position and word.startswith("-"))
            or re.fullmatch(r"[0-9.]+[smhd]?", word)
        ):
            continue
        if name in _SOURCES:
            return any(target.meant_by(w) for w in (rest if name == "eval" else [*_scripts(rest), *reads]))
        if target.command(word):
            return True
        if _SHELL.fullmatch(name):
            return any(target.meant_by(w) for w in _scripts([*rest, *reads]))
        if _LANGUAGE.fullmatch(name):
            return _language_runs(rest, reads, target)
        if name in _TAKES_A_FILE_OPTION:
            values = [b for a, b in pairwise(rest) if _FILE_OPTION.fullmatch(a)]
            values += [
                w.partition("=")[2] if w.startswith("--") else w[2:]
                for w in rest
                if w.startswith(("-f", "--file", "--makefile"))
            ]
            return any(target.meant_by(w) for w in values if w)
        if name in _EXPORTS:
            return any(target.meant_by(w) for w in rest)
        if name in ("find", "fd"):
            return _find_runs(words[position:], target)
        if name in _READERS:
            return False
        if position and words[position - 1].startswith("-"):
            continue  # the value of a wrapper's option, as in `sudo -u name`
        if any(
            _SHELL.fullmatch(n) or _LANGUAGE.fullmatch(n) or n in _SOURCES for n in (w.rpartition("/")[2] for w in rest)
        ):
            inner = next(n for n, w in enumerate(rest) if _is_interpreter(w.rpartition("/")[2]))
            if _command_runs(rest[inner:], reads, target):
                return True
        return target.is_document and any(target.named_by(w) for w in (*rest, *reads))
    return False


def _is_interpreter(name: str) -> bool:
    return bool(_SHELL.fullmatch(name) or _LANGUAGE.fullmatch(name)) or name in _SOURCES


def _find_runs(words: list[str], target: Target) -> bool:
    starts = next((n for n, w in enumerate(words) if w in ("-exec", "-execdir", "-ok", "-okdir", "-x", "--exec")), None)
    if starts is None or not lists(words[:starts], target):
        return False
    return _command_runs([w.replace("{}", target.file) for w in words[starts + 1 :]], [], target)


def _language_runs(rest: list[str], reads: list[str], target: Target) -> bool:
    inline = next((n for n, w in enumerate(rest) if _INLINE.fullmatch(w)), None)
    if inline is not None:
        return _code_runs(" ".join(rest[inline + 1 :]), target)
    if "-m" in rest:
        return target.is_document and any(target.named_by(w) for w in rest)
    return any(target.meant_by(w) for w in _scripts([*rest, *reads]))


def _scripts(words: list[str]) -> Iterator[str]:
    """What an interpreter may take as its script: the first operand, and every value of an option before it."""
    after_option = False
    for word in words:
        if word == ":::":
            continue
        if word.startswith("-"):
            yield word.partition("=")[2]
            after_option = True
            continue
        yield word
        if not after_option:
            return
        after_option = False


def _code_runs(code: str, target: Target) -> bool:
    """Code of another language that names the file: a document, or any file beside a word that runs things."""
    words = [w for w in re.split(r"[\s'\"`()\[\]{},;=<>|&]+", code) if w]
    if not any(target.named_by(w) for w in words):
        return False
    return target.is_document or bool(_CODE_RUNS.search(code))
