"""What scripts of workflows do: a net under the walls (F06, F07 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, WorkflowFile
from ops_agent.guard.rules.workflow.execution import SCRIPT_INPUTS
from ops_agent.guard.shell_words import COMPUTED, MOST_CHARACTERS, forms, logical_lines, pipelines, plain_script
from ops_agent.model.workflow import Job, Step
from ops_agent.workflows.expressions import parts_of

_SHELLS = frozenset({"", "bash", "sh", "python", "pwsh"})
# No expression may look from each place to the end of the script: a hostile one would be judged for hours. Hence the
# atomic groups, which take the first command of a line, and the parts that stop at the next separator.
_NAMED_SH = r"(?:ba|z|da|k)?sh\b"
_SH = rf"(?:/[^\s|;&]*/)?{_NAMED_SH}"
_LANGUAGES = r"(?:python[0-9.]*|node|ruby|perl|php)"
_BEFORE = r"(?:\w+=\S*\s+|(?:sudo|env|exec|command|nohup|time)\s+(?:-\S+\s+)*)*"
_START = r"(?:^|[;&|(`]|\$\(|\b(?:then|do|else|exec|env|command)\b)[ \t]*"
_SENDS = r"(\s-d\b|\s-F\b|\s-T\b|--data|--form|--upload|--post|\s-X|--request|\$\(|`|@)"
_AWS_CALLS = (
    r"(?:batch-)?get-secret-value|get-parameters?|decrypt|get-authorization-token|assume-role\S*|get-session-token|get-credentials-\S+"
    r"|get-password-data|create-access-key|create-login-profile|start-session|send-command|delete-\S+|terminate-\S+|schedule-key-deletion"
    r"|iam\s+(?!get-|list-|simulate-|generate-)[a-z]|organizations\s+(?!describe-|list-)[a-z]|s3\s+r[mb]\b|configure\s+(?:get|export-credentials)"
)
_DANGEROUS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"\b{_NAMED_SH}\s+(-c\s+)?[\"']?(<\(|\$\()\s*(curl|wget)"), "a download is run"),
    (
        re.compile(
            rf"\|&?\s*{_BEFORE}({_SH}|{_LANGUAGES}\s*(-\s*)?($|[;&|)]))|\b{_NAMED_SH}\s+(-\S+\s+)*<<<", re.MULTILINE
        ),
        "what a command prints is run",
    ),
    (
        re.compile(rf"{_START}((ba|z|da|k)?sh|source|\.|{_LANGUAGES})\s+(-\S+\s+)*[\"']?\$", re.MULTILINE),
        "a script is run whose name is computed",
    ),
    (
        re.compile(r"ACTIONS_(ID_TOKEN|RUNTIME|CACHE)|AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN|WEB_IDENTITY)"),
        "credentials are touched",
    ),
    (re.compile(r"\b(GITHUB_TOKEN|GH_TOKEN)\b"), "the job's token is touched"),
    (
        re.compile(
            r"(^|[;&|(`]|\$\()[ \t]*((/usr)?/bin/)?(printenv|env|set|export -p|declare -[px]+|compgen -[ve])\s*($|[|>;&)])|\$\{!\w+[@*]"
            r"|\bos\.environ(?!\s*(\[|\.(get|setdefault|pop)\b))|\bprocess\.env(?!\s*[.\[])|\bENV\.(to_h|each|inspect)|%ENV\b|\b(Get-ChildItem|Get-Item|gci|dir|ls|cat)\s+env:(?!\w)",
            re.MULTILINE,
        ),
        "the environment is printed",
    ),
    (re.compile(rf"^(?>[^\n]*?\b(?:curl|wget|http|xh)\b)[^\n]*{_SENDS}", re.MULTILINE), "data is sent away"),
    (
        re.compile(
            r"\b(nc|ncat|socat|telnet|ssh|scp|sftp|rsync|ftp|dig|nslookup|host)\b\s+[^\s=]|\burllib|\burlopen\b|\bhttp\.client\b|\bsocket\."
            r"|\brequests\.\w+\(|\bfetch\(|\baxios\b|Net::HTTP|\bLWP::|\b(Invoke-(WebRequest|RestMethod|Expression)|iwr|irm|iex)\b",
            re.MULTILINE,
        ),
        "a connection leads elsewhere",
    ),
    (
        re.compile(r"/proc/|/dev/tcp/|\.git/config|\.aws/(credentials|config)|~/\.aws|\.docker/config|docker\.sock"),
        "the machine's secrets are read",
    ),
    (
        re.compile(
            r"\b(nsenter|chroot|unshare)\s|\A(?s:(?>.*?\bdocker\s+))(\S+\s+)*?(--privileged|--pid|--cap-add|-v\s*/|--volume[= ]/)"
        ),
        "the machine is opened",
    ),
    (re.compile(r"\b(eval|sudo|base64|xxd|openssl)\b|\$'[^'\n]*\\[xuU0-7]"), "a command hides what it does"),
    (
        re.compile(
            r"\bgit\s+(?>(?:(?:-[Cc]|--git-dir|--work-tree|--namespace)\s+\S+|-\S+)\s+)*(push|remote|config(?!\s+--global\s+--add\s+safe\.directory\b))\b|\bhub\s+(api|push|fork|pr)\b"
            r"|\bgh\s+(pr|api|workflow|secret|variable|cache|release|repo|auth|run|extension|alias|gist|ssh-key|codespace)\b"
        ),
        "the repository is written",
    ),
    (
        re.compile(
            r"^(?>[^\n]*?\b(?:pip3?|pipx|npm|pnpm|yarn)\b)[^\n]*(index-url|--registry|git\+|https?://)", re.MULTILINE
        ),
        "packages come from elsewhere",
    ),
    (re.compile(r"\bGITHUB_PATH\b|::(set-env|add-path)\b"), "the path or environment of later steps is changed"),
    (
        re.compile(
            r"\b(terraform|tofu|terragrunt)\s+((run|run-all|-\S+)\s+)*(destroy|import|state|taint|force-unlock|console|login|workspace\s+delete)\b"
            r"|(?:^|[;&|])(?>[^\n;&|]*?\b(?:terraform|tofu|terragrunt)\b)[^\n;&|]*\s-destroy\b",
            re.MULTILINE,
        ),
        "Terraform's state is operated on",
    ),
    (
        re.compile(rf"\A(?s:(?>.*?\baws\s+))(\S+\s+)*?({_AWS_CALLS})"),
        "secrets or roles are read, or things are deleted, by a script",
    ),
)
_DOWNLOADS = re.compile(r"\b(curl|wget)\b")
_UNPACKS = re.compile(r"\bchmod\s+(-\S+\s+)*(\S*\+\S*x|[0-7]*[1357][0-7]*)\b|\b(tar|unzip|dpkg|rpm)\s")
_CHECKED = re.compile(r"\bsha(256|512)sum\b[^\n]*(-c|--check)|\bshasum\b[^\n]*-c|\bgpg\s+--verify|\bcosign\s+verify")
_HOLDS_TOKEN = re.compile(r"\bgithub\s*\.\s*token\b|\bgithub\s*\[|\bsecrets\b|\bgithub\b(?!\s*[.\[\w-])", re.IGNORECASE)
_OWN_API = re.compile(r"https://(api|uploads)\.github\.com/|\$\{?GITHUB_API_URL")


def dangerous_command(file: WorkflowFile) -> Iterator[Hit]:
    """A script does what no infrastructure workflow needs.

    Downloads that are run, printed environments, connections elsewhere, tokens, commands that are computed: shapes that
    took secrets out of pipelines before. This list is a net with holes; permissions, allow-lists and environments are
    the wall.

    Remedy: Say what the step must achieve with Terraform, the AWS CLI or plain `curl --fail "$URL"`; check what is
    downloaded with `sha256sum --check`.
    """
    for text in file.workflow.texts:
        if text.path[-3:] == ("defaults", "run", "shell") and text.text not in _SHELLS:
            yield from file.hits_of_text(text, f"the shell `{text.text}` is not open")
    for job in file.workflow.jobs:
        for step in job.steps:
            if step.shell not in _SHELLS:
                yield file.hit(step, f"the shell `{step.shell}` is not open")
            tokens = [n for e in (file.workflow.env, job.env, step.env) for n, v in e.items() if _holds_token(v)]
            for script in (step.run, *(text for name, text in step.with_.items() if name.casefold() in SCRIPT_INPUTS)):
                for what in dict.fromkeys(_objections(script, _shell_of(job, step), tokens)):
                    yield file.hit(step, what, step.run_line)


def _objections(script: str, shell: str, tokens: list[str]) -> Iterator[str]:
    if len(script) > MOST_CHARACTERS:
        yield f"the script is too long to be judged ({len(script):,} characters; at most {MOST_CHARACTERS:,})"
        return
    joined = re.sub(r"\\\n\s*", " ", script)
    plain = plain_script(script)
    yield from (what for pattern, what in _DANGEROUS if pattern.search(joined) or pattern.search(plain))
    if _DOWNLOADS.search(plain) and _UNPACKS.search(plain) and not _CHECKED.search(plain):
        yield "a download is unpacked or made a program, and nothing checks it"
    for name in tokens:
        sent = (
            line
            for line in joined.split("\n")
            if _DOWNLOADS.search(line) and re.search(rf"\$\{{?{re.escape(name)}\b", line)
        )
        if any(not _OWN_API.search(line) for line in sent):
            yield f"the token in `{name}` is sent away"
    if shell not in ("python", "pwsh") and _computes_a_command(script):
        yield "a command is computed"


def _shell_of(job: Job, step: Step) -> str:
    return step.shell or ("pwsh" if any("windows" in label for label in job.runs_on) else "")


def _holds_token(value: str) -> bool:
    return any(p.is_expression and _HOLDS_TOKEN.search(p.text) for p in parts_of(value))


def _without_lines(quotation: re.Match[str]) -> str:
    """Nothing in place of a text of several lines; what does not end is none."""
    ends = quotation[0][1:].endswith(('"', "'"))
    return '""' if ends and "\n" in quotation[0] else quotation[0]


def _computes_a_command(script: str) -> bool:
    """`$X now`, `${A}${B}`, `$(echo cu)rl`: the command's own name is not written. A path below a variable is."""
    without_long_texts = re.sub(r"\"(?:\\.|[^\"\\])*+(\"|\\?\Z)|'[^']*('|\Z)", _without_lines, script)
    for line in logical_lines(without_long_texts):
        for pipeline in pipelines(forms(re.sub(r"\$\([^()]*\)", COMPUTED, line.text), {})[0]):
            for command in pipeline.commands:
                word = next(
                    (
                        w
                        for w in command.words
                        if not re.match(r"[A-Za-z_]\w*(\[.*\])?\+?=", w) and w not in ("then", "do", "else")
                    ),
                    "",
                )
                if COMPUTED in word and "/" not in word:
                    return True
    return False
