"""What scripts of workflows do, and what variables make of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fnmatch import translate
from functools import lru_cache

from ops_agent.config.strict_yaml import read_yaml
from ops_agent.guard.data import expressions, table, words
from ops_agent.guard.paths import is_workflow
from ops_agent.guard.rule import SCRIPT_INPUTS, WholeChange, WorkflowFile, hit, rule
from ops_agent.guard.tree import SourceTree
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Unreadable
from ops_agent.model.workflow import Job, Permissions, Step
from ops_agent.workflows.expressions import parts_of
from ops_agent.workflows.shell import COMPUTED, MAX_CHARACTERS, Line, commands_of, forms, script_lines

_SHELL = re.compile(r"|python|pwsh|(?:ba)?sh(?:(?: -(?:[euxl]+|o pipefail)| --noprofile| --norc)* \{0\})?")
_WRITES = "the repository is written"
_DOWNLOADS = re.compile(r"\b(curl|wget)\b")
_UNPACKS = re.compile(r"\bchmod\s+(-\S+\s+)*(\S*\+\S*x|[0-7]*[1357][0-7]*)\b|\b(tar|unzip|dpkg|rpm)\s")
_MEMBERS = re.compile(r"(\bunzip(?:\s+-[joqn]+)*\s+[\w.-]+)(?:\s+\w[\w.-]*)+\Z")
_RUNS = re.compile(
    r"(?:^|[;&|(`])\s*(?:sudo\s+)?(?:(?:ba|z|da|k)?sh|source|\.|python[0-9.]*)\s+(?:-\S+\s+)*([^\s;&|)]+)"
)
_CHECKED = re.compile(r"\bsha(256|512)sum\b[^\n]*(-c|--check)|\bshasum\b[^\n]*-c|\bgpg\s+--verify|\bcosign\s+verify")
_HOLDS_TOKEN = re.compile(r"\bgithub\s*\.\s*token\b|\bgithub\s*\[|\bsecrets\b|\bgithub\b(?!\s*[.\[\w-])", re.IGNORECASE)
_INSTALLS = re.compile(
    r"(^|[;&|(])\s*sudo\s+(?:-E\s+)?apt(?:-get)?\s+(?:-(?:y|q|qq|-yes)\s+)*(?:update|install)"
    r"(?:[ \t]+(?:-(?:y|q|qq|-yes|-no-install-recommends)|[a-z0-9][a-z0-9.+-]*(?:=[\w.:~+-]+)?)(?=[\s;&|]|\Z))*"
    r"(?=\s*(?:[;&|]|\Z))"
)
# A folder behind those of `PATH` hides no command; one of the machine's holds no file of the repository.
_FOLDER = (
    r"(?:\$HOME|\$\{HOME\}|~|/opt|/usr/local|/home/linuxbrew|\$RUNNER_TEMP|\$RUNNER_TOOL_CACHE)(?:/(?!\.\.)[\w.-]+)*"
)
_EVERYDAY = re.compile(
    rf"\becho\s+[\"']?(?:{_FOLDER}(?::{_FOLDER})*|\$\(go env GOPATH\)/bin)[\"']?\s*>>\s*"
    r"[\"']?\$\{?GITHUB_PATH\b\}?[\"']?"
    r"|\bsudo\s+rmz?(?:\s+-[rf]+)*(?:\s+(?:/usr/(?:share|local|lib)|/opt)(?:/(?!\.\.)[\w.+*-]+)+)+(?=\s*(?:[;&|]|\Z))"
)
_OWN_API = re.compile(r"https://(api|uploads)\.github\.com/|\$\{?GITHUB_API_URL")


_STEERING = f"(?:{'|'.join(sorted(words('steering_variables')))})"
# Values that switch something off, or choose nothing: an empty pager is what everybody writes.
_HARMLESS = re.compile(
    r"(AWS_|GH_|GIT_)?PAGER=(cat)?|GIT_TERMINAL_PROMPT=0|GIT_LFS_SKIP_SMUDGE=[01]|TF_LOG=(ERROR|WARN|INFO)?"
    r"|TF_CLI_ARGS(_\w+)?=(\s*-(no-color|input=false|compact-warnings|lock-timeout=\w+))*\s*"
    r"|TF_PLUGIN_CACHE_DIR=(?!.*\.\.)(/home/runner|/tmp|\$\{\{ *runner\.temp *\}\})(/[\w./-]*)?"
)
_NAME = re.compile(_STEERING, re.IGNORECASE)
_SET_IN_SCRIPT = re.compile(rf"(?<![A-Za-z0-9_$-]){_STEERING}(?:=|<<)")
_HARMLESS_IN_SCRIPT = re.compile(
    r"(?<![\w-])(?:\w*PAGER=(?:cat|\"\"|'')?(?=\s|$)|GIT_TERMINAL_PROMPT=0"
    rf"|PATH=[\"']?(?:{_FOLDER}:)*\$(?:PATH|\{{PATH\}})(?::[\w./${{}}()~-]+)*[\"']?(?=[\s;&|]|$))",
    re.MULTILINE,
)


_MAY_SET = re.compile(r"(?<![${\w])[A-Za-z_]\w*|(?<=\{)[A-Za-z_]\w*(?=:?=)")
_USED = re.compile(r"\$\{?([A-Za-z_]\w*)")
_WORD = re.compile(r"(?:matrix|inputs)\.[\w-]+|(?<=env\.)\w+|(?<![.\w])[A-Za-z_]\w*")
_MAX_NAMES = 100
_READS_EVERYTHING = frozenset(
    {"a download is run", "what a command prints is run", "a script is run whose name is computed"}
    | {"a command is computed", "a download is unpacked or made a program, and nothing checks it"}
)
_Texts = dict[str, list[str]]


@rule(Severity.BLOCKS)
def dangerous_command(file: WorkflowFile) -> Iterator[Finding]:
    """A script does what no infrastructure workflow needs.

    Running a download, printing the environment, connecting elsewhere, using a token, computing a command: this is how
    secrets have been taken out of pipelines. The list cannot be complete; permissions, allow-lists and environments are
    the real protection.

    Remedy: Use Terraform, the AWS CLI or plain `curl --fail "$URL"`; check downloads with `sha256sum --check`.
    """
    for text in file.workflow.texts:
        place = text.path[-3:] if text.path[-3:-2] == ("defaults",) else (*text.path[2:3], *text.path[4:])
        if place in (("defaults", "run", "shell"), ("steps", "shell")) and not _SHELL.fullmatch(text.text):
            yield file.hit_text(text, f"the shell `{text.text}` is not allowed")
    of_workflow = _tokens_of(file.workflow.env)
    of_job = {job.id: of_workflow | _tokens_of(job.env) for job in file.workflow.jobs}
    defined = _variables(file)
    digests = {scope: hash(str(texts)) for scope, texts in defined.items()}
    for job, step, text in file.scripts:
        scopes = [scope for scope in ((), (job.id,), (job.id, text.path[3])) if scope in defined]
        tokens = of_job[job.id] | _tokens_of(step.env)
        if len(text.text) > MAX_CHARACTERS:
            size = f"{len(text.text):,} characters; at most {MAX_CHARACTERS:,}"
            yield file.hit_text(text, f"the script is too long to be judged ({size})")
            continue
        for token in (p.text for p in parts_of(text.text) if p.is_expression and _HOLDS_TOKEN.search(p.text)):
            yield file.hit_text(text, "a token or secret is pasted into the script: pass it by `env`", at=token)
        lines = script_lines(text.text)
        meaning = _meanings(lines, [defined[s] for s in scopes], [digests[s] for s in scopes])
        rights = (job.permissions or file.workflow.permissions or Permissions(scopes={}, line=0)).scopes
        open_scopes = {"contents", "pull-requests"} & set(file.policy.allowed_permissions)
        may_write = any(rights.get(scope) == "write" for scope in open_scopes)
        for line, what in _objections(lines, _shell_of(job, step, text.path[-1]), tokens):
            if what != _WRITES or not may_write:
                yield file.hit_text(text.part(line.number, line.text), what, at=f"{what}: {meaning(line, what)}")


def _objections(lines: tuple[Line, ...], shell: str, tokens: frozenset[str]) -> Iterator[tuple[Line, str]]:
    """What is wrong, each with its line, or with the commands of it that are wrong by themselves."""
    for line in lines:
        for what, pattern in expressions("dangerous_commands").items():
            if _offends(line, pattern):
                alone = [part for part in _parts_of(line) if _offends(part, pattern)]
                yield from ((part, what) for part in alone or [line])
        for name in sorted(tokens) if _DOWNLOADS.search(line.text) and not _OWN_API.search(line.text) else ():
            if re.search(rf"\$\{{?{re.escape(name)}\b", line.text):
                yield line, f"the token in `{name}` is sent away"
        if shell not in ("python", "pwsh", "javascript") and not line.is_text and _computes_a_command(line.text):
            yield line, "a command is computed"
    fetching = [line.plain for line in lines if _DOWNLOADS.search(line.plain)]
    names = {word.rpartition("/")[2] for plain in fetching for word in re.split(r"[\s=;&|>]+", plain)} - {""}
    for line in lines if fetching and not any(_CHECKED.search(line.text) for line in lines) else ():
        if _UNPACKS.search(line.plain):
            # Where the download comes from and how it is unpacked counts; which of its files does not.
            text = " && ".join(_MEMBERS.sub(r"\1", part.text) for part in _parts_of(line))
            yield replace(line, text=text), "a download is unpacked or made a program, and nothing checks it"
        if any(run[1].rpartition("/")[2] in names for run in _RUNS.finditer(line.plain)):
            yield line, "a download is run"


def _offends(line: Line, pattern: re.Pattern[str]) -> bool:
    plain = (_EVERYDAY.sub("", _INSTALLS.sub(r"\1 apt", written)) for written in (line.text, line.plain))
    return any(map(pattern.search, plain))


def _parts_of(line: Line) -> list[Line]:
    """The commands of a line that `&&` joins, as far as quotes and brackets let it be seen."""
    parts = [""]
    for piece in re.split(r"(\s&&\s)", line.text):
        is_even = not any(parts[-1].count(quote) % 2 for quote in "\"'`")
        if piece[1:3] == "&&" and is_even and all(parts[-1].count(a) == parts[-1].count(b) for a, b in ("()", "{}")):
            parts.append("")
        else:
            parts[-1] += piece
    return [replace(line, text=part.strip()) for part in parts]


def _variables(file: WorkflowFile) -> dict[tuple[str, ...], _Texts]:
    """Everything that the workflow defines for scripts, by the job and step that it is for: names with their texts."""
    found: dict[tuple[str, ...], _Texts] = {}
    for text in file.workflow.texts:
        if name := _variable(text.path):
            job = text.path[1:2] if text.path[0] == "jobs" else ()
            step = text.path[3:4] if job and text.path[2] == "steps" else ()
            found.setdefault((*job, *step), {}).setdefault(name.casefold(), []).append(text.text)
    return found


def _meanings(lines: tuple[Line, ...], scopes: list[_Texts], digests: list[int]) -> Callable[[Line, str], str]:
    """What a line is, with everything that may set its variables: with another value it is another command.

    `scopes` are what the workflow, the job and the step define, `digests` all of each: a script that is downloaded or
    computed can read all of them.
    """
    setters: _Texts = {}
    for line in lines:
        for word in set(_MAY_SET.findall(line.text)):
            setters.setdefault(word, []).append(line.text)
    known: dict[str, int] = {}

    def read_by(text: str) -> set[str]:
        words = _WORD.findall(text.casefold())  # names of contexts have no case
        return {*_USED.findall(text), *(w for w in words if any(w in scope for scope in scopes))}

    def behind(name: str) -> int:
        found: dict[str, tuple[str, ...]] = {}
        pending = {name}
        while pending:
            one = pending.pop()
            found[one] = tuple(
                text
                for texts in (*scopes, setters)
                for text in texts.get(one if texts is setters else one.casefold(), ())
            )
            for text in found[one]:
                pending |= read_by(text) - found.keys()
                if len(pending) + len(found) > _MAX_NAMES:  # too many to distinguish
                    return hash((lines, *digests))
        return hash(tuple(sorted(found.items())))

    def meaning(line: Line, what: str) -> str:
        names = sorted(read_by(line.text))
        known.update({name: behind(name) for name in names if name not in known})
        read = digests if what in _READS_EVERYTHING else []
        return f"{line.text} {[(name, known[name]) for name in names]} {read}"

    return meaning


def _shell_of(job: Job, step: Step, key: str) -> str:
    if key != "run" and step.uses.startswith("actions/github-script@"):
        return "javascript"
    return step.shell or ("pwsh" if any("windows" in label for label in job.runs_on) else "")


def _tokens_of(variables: Mapping[str, str]) -> frozenset[str]:
    """The variables that hold a token or a secret."""

    def holds_one(value: str) -> bool:
        return any(p.is_expression and _HOLDS_TOKEN.search(p.text) for p in parts_of(value))

    return frozenset(name for name, value in variables.items() if holds_one(value))


_TEST = re.compile(
    r"\[\[\s.{0,500}?\s\]\]|\$\{\{\s*(?:contains|startsWith|endsWith|success|failure|always)\([^()]*\)\s*\}\}"
)


def _computes_a_command(line: str) -> bool:
    """`$X now`, `${A}${B}`, `$(echo cu)rl`: the command's own name is not written. A path below a variable is.
    `terraform $X`: nor is what Terraform does.
    """
    without_tests = _TEST.sub("test", line)
    inner = re.sub(r"\$\([^()]*\)", COMPUTED, without_tests)
    commands = list(commands_of(forms(inner, {})[0]))
    names = [re.sub(r"[\"']", "", words[0]) for words in commands]
    return any(COMPUTED in name and "/" not in name for name in names) or any(map(_computes_a_subcommand, commands))


@rule(Severity.BLOCKS)
def steering_variable(file: WorkflowFile) -> Iterator[Finding]:
    """A variable changes what other commands do.

    `BASH_ENV` runs a file before every script, `AWS_ENDPOINT_URL_STS` and proxies send credentials elsewhere,
    `TF_CLI_ARGS` adds options to every Terraform command: the step looks harmless but is not.

    Remedy: Remove the variable; write options into the command.
    """
    for text in file.workflow.texts:
        name = text.path[-1]
        is_steering = text.path[-2:-1] == ("env",) and _NAME.fullmatch(name)
        if is_steering and not _HARMLESS.fullmatch(f"{name}={text.text}"):
            yield file.hit_text(text, f"`{name}` is set")
    for _, _, place, line in file.commands:
        for found in _SET_IN_SCRIPT.finditer(_HARMLESS_IN_SCRIPT.sub("", line.plain)):
            yield file.hit_text(place, f"`{found[0].rstrip('=<')}` is set")


# Documents and Terraform files that a workflow or script of the repository hands to an interpreter.

_WRITTEN = (".tf", ".tfvars", ".hcl", ".md")
_SCRIPT = re.compile(r"(^|/)([^/]+\.(sh|bash|zsh|mk)|(GNU)?[Mm]akefile|justfile)$")
_NAMES_ONE = re.compile(rb"\.(?:tf|tfvars|hcl|md)\b")
_INTERPRETS = re.compile(
    rb"(?:^|[\s;&|(`/\"'])(?:(?:ba|z|da|k)?sh|source|\.|eval|python[0-9.]*|node|ruby|perl|php|pwsh)[ \t<\\]+\S"
)
_CALLED = {"makefile": "make", "gnumakefile": "make", "justfile": "just"}
_MAX_SCRIPT_CHARACTERS = 200_000
_INTERPRETER = re.compile(r"(?:ba|z|da|k)?sh|python[0-9.]*|node|ruby|perl|php|pwsh|source|\.|eval")
_WRAPPERS = frozenset(
    {"sudo", "env", "exec", "command", "builtin", "nohup", "time", "timeout", "xargs"}
    | {"if", "while", "until", "then", "do", "else", "elif", "!", "{"}
)
_TAKES_A_VALUE = frozenset({"-o", "+o", "-O", "+O", "-W", "-X"})
_GIVEN = re.compile(r"(?<![\w-])([A-Za-z_]\w*)=([^\s;&|()]+)|(?<![\w-])for +([A-Za-z_]\w*) +in +([^;\n]*)")
_CONTENT = re.compile(r"[$<]\( *(?:cat +|< *)([^\s()]+) *\)|` *cat +([^\s`]+) *`|(?<!<)< *([^\s<>()&|;]+)")
_INNER = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
_Values = Mapping[str, tuple[str, ...]]

_SUBCOMMANDS = table("terraform_subcommands")
_MORE_FOLLOWS = frozenset({"run", "run-all", "graph", "exec", "stack"})
_GOES_BEFORE = re.compile(rf"-|[0-9]|\w+=|(?:{_INTERPRETER.pattern})\Z")
_EXECUTES = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_NOT_LITERAL = re.compile(rf"[{COMPUTED}`{{}}*?\[]")


def _computes_a_subcommand(command: list[str]) -> bool:
    """True where Terraform is run and what it does is not written in the command."""
    plain = [re.sub(r"\\(?=[A-Za-z])|[\"']", "", word) for word in command]
    names = [word.rpartition("/")[2] for word in plain]
    own = next((n for n, w in enumerate(names) if not _GOES_BEFORE.match(w) and w not in _WRAPPERS), 0)
    if any(map(_INTERPRETER.fullmatch, names[:own])):  # `sh -c "cd infra && terraform $X"`
        return any(map(_computes_a_subcommand, commands_of(" ".join(plain[own:]))))
    found = next((n for n, name in enumerate(names) if name in _SUBCOMMANDS), None)
    if (
        found is None
        or plain[own] in words("commands_that_run_nothing")
        or (plain[own] == "find" and not _EXECUTES.intersection(plain))
    ):
        return False
    is_given_more = "xargs" in plain[:found]
    return _is_open(" ".join(plain[found:]).split(), is_command=found == own or is_given_more, is_open=is_given_more)


def _is_open(command: list[str], *, is_command: bool, is_open: bool) -> bool:
    """True when the first word of `command` is followed by no subcommand as written, with `is_open` also when by none.
    Where it is not known to be a command, only a word that is computed counts.
    """
    known, last = _SUBCOMMANDS[command[0].rpartition("/")[2]], ""
    for word in command[1:]:
        is_value = command[0].endswith("terragrunt") and last.startswith("--") and "=" not in last and word not in known
        last = word
        if is_value:
            is_open |= bool(_NOT_LITERAL.search(word))
        elif not (word.startswith("-") and "{" not in word) and word not in _MORE_FOLLOWS:
            return bool(_NOT_LITERAL.search(word)) or (is_command and word not in known)
    return is_open


@rule(Severity.BLOCKS)
def executed_file(change: WholeChange) -> Iterator[Finding]:
    """A script of the repository runs a document or a Terraform file that this change writes.

    `bash infra/README.md` and `source terraform.tfvars` run a file whatever its name, so this change would write a
    program.

    Remedy: Leave the file as it is, or ask a person to change the script so that it reads the file instead of running
    it.
    """
    changed = [c.path for c in change.changes.changes if c.path.endswith(_WRITTEN)]
    for path, line, script, values in _scripts_of(change.head) if changed else ():
        for pattern in sorted(executed_by(script, values)):
            for file in (f for f in changed if may_be(pattern, f)):
                yield hit(path=file, what=f"`{path}` line {line} runs `{pattern}`", anchor=f"{path} {file}")


def _scripts_of(tree: SourceTree) -> Iterator[tuple[str, int, str, _Values]]:
    """Path, line, text and known variables of the scripts in workflows and local actions, and of the script files that
    these name.
    """
    texts: list[str] = []
    for path in sorted(tree.paths):
        if is_workflow(path) or path.rpartition("/")[2] in ("action.yml", "action.yaml"):
            content = tree.read(path)
            texts.append(content.decode(errors="replace"))
            if _NAMES_ONE.search(content) and _INTERPRETS.search(content):
                yield from ((path, *script) for script in _scripts_in(content))
    everything = "\n".join(texts)
    for path in sorted(p for p in tree.paths if _SCRIPT.search(p)):
        name = path.rpartition("/")[2]
        content = tree.read(path)
        is_called = re.compile(rf"(?<![\w.-]){re.escape(_CALLED.get(name.casefold(), name))}(?![\w-])")
        if _NAMES_ONE.search(content) and _INTERPRETS.search(content) and is_called.search(everything):
            yield path, 1, content.decode(errors="replace"), {}


def _scripts_in(content: bytes) -> Iterator[tuple[int, str, _Values]]:
    root = read_yaml(content, aliases=True)
    if isinstance(root, Unreadable):
        yield 1, re.sub(r"(?m)^[ \t]*(- +)?(run: *[|>]?[+-]?)?", "", content.decode(errors="replace")), {}
        return
    texts = [(where, node) for where, node in root.texts() if where]
    found: dict[str, dict[str, None]] = {}
    for where, node in texts:
        if name := _variable(where):
            found.setdefault(name, {})[node.text] = None
    values = {name: tuple(known) for name, known in found.items()}
    for where, node in texts:
        if where[-1] == "run" or (where[-2:-1] == ("with",) and where[-1].casefold() in SCRIPT_INPUTS):
            yield node.line, node.text, values


def _variable(where: tuple[str, ...]) -> str:
    """What scripts call a value: `NAME` of an `env`, `matrix.NAME`, `inputs.NAME`."""
    if where[-2:-1] == ("env",):
        return where[-1]
    if "matrix" in where[:-1]:
        axis = (
            key for key in where[where.index("matrix") + 1 :] if key not in ("include", "exclude") and not key.isdigit()
        )
        return f"matrix.{next(axis, '')}"
    return f"inputs.{where[-2]}" if where[-1] == "default" and "inputs" in where[:-2] else ""


def executed_by(script: str, values: _Values) -> frozenset[str]:
    """Shell patterns of the documents and Terraform files that `script` gives an interpreter, `source`, `.` or `eval`.

    `values` are what variables from outside can be; what is not known matches anything.
    """
    lines = [re.sub(r"[\"']", "", line.text) for line in script_lines(script[:_MAX_SCRIPT_CHARACTERS])]
    given: dict[str, dict[str, None]] = {}
    for found in (m for line in lines for m in _GIVEN.finditer(line)):
        words = dict.fromkeys(w for w in (found[2] or found[4]).split() if w.endswith(_WRITTEN))
        given.setdefault(found[1] or found[3], {}).update(words)
    known = {**values, **{name: tuple(words) for name, words in given.items() if words}}
    return frozenset(
        word for line in lines for form in forms(_CONTENT.sub(r" \1\2\3 ", line), known) for word in _executed_in(form)
    )


def _executed_in(line: str) -> Iterator[str]:
    """What one line runs, and what the substitutions inside it run."""
    for text in (_INNER.sub("*", line), *(m[1] or m[2] or "" for m in _INNER.finditer(line))):
        for command in re.split(r"[;&|()]+", re.sub(r"\{[^{}\s]*\}", "*", text.replace(COMPUTED, "*"))):
            yield from _operands_run(command.split())


def _operands_run(words: list[str]) -> Iterator[str]:
    """The first operand of an interpreter; of `eval` all; behind `-c` a command begins again."""
    i, is_wrapped = 0, False
    while i < len(words):
        name = words[i].rpartition("/")[2] or words[i]
        if words[i] == "." or _INTERPRETER.fullmatch(name):
            i += 1
            first = i
            while i < len(words) and words[i][0] in "-+":
                i += 2 if words[i] in _TAKES_A_VALUE else 1
            options = words[first:i]
            yield from (w for w in (words[i:] if name == "eval" else words[i : i + 1]) if w.endswith(_WRITTEN))
            if not any(re.fullmatch(r"-[a-z]*c", option) for option in options):
                return
            is_wrapped = False
        elif is_wrapped or name in _WRAPPERS or re.match(r"[A-Za-z_]\w*\+?=", words[i]):
            is_wrapped |= name in _WRAPPERS
            i += 1
        else:
            return


def may_be(pattern: str, path: str) -> bool:
    """True when the shell pattern can name `path`, seen from any directory of the repository."""
    plain = re.sub(r"^(?:\*|\.{1,2})?/+(?:\.{1,2}/+)*", "", pattern)
    parts = path.split("/")
    return any(_expression(plain).match("/".join(parts[i:])) for i in range(len(parts)))


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
