"""Variables that change what a harmless command does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, WorkflowFile
from ops_agent.guard.shell_words import plain_script

_STEERING = (
    r"(?:BASH_ENV|BASH_FUNC_\w*|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|PS4|ZDOTDIR|HOME|XDG_CONFIG_\w+|PATH|LD_\w+|DYLD_\w+|GCONV_PATH"
    r"|GIT_(?!(?:SHA|SHORT_SHA|COMMIT|COMMIT_SHA|BRANCH|REF|TAG|HASH|VERSION)(?!\w))\w+|ACTIONS_\w+|RUNNER_(?:TEMP|TOOL_CACHE|WORKSPACE|TRACKING_ID|DEBUG)|(?:MAN|GH_|AWS_)?PAGER"
    r"|LESSOPEN|EDITOR|VISUAL|NODE_(?:OPTIONS|PATH|EXTRA_CA_CERTS|REPL_\w+)|PYTHON(?:PATH|HOME|STARTUP|INSPECT|BREAKPOINT|USERBASE)"
    r"|RUBY(?:OPT|LIB)|PERL5\w+|_?JAVA_(?:TOOL_)?OPTIONS|JDK_JAVA_OPTIONS|MAVEN_OPTS|GRADLE_OPTS|MAKEFLAGS|GNUMAKEFLAGS"
    r"|GO(?:FLAGS|PROXY|NOSUMDB|NOSUMCHECK|SUMDB|INSECURE|TOOLCHAIN|ENV|AUTH)|RUSTC?_?(?:WRAPPER|FLAGS)|CARGO_\w+|DOTNET_STARTUP_HOOKS"
    r"|DOCKER_(?:HOST|CONFIG|CONTEXT)|KUBECONFIG|ANSIBLE_\w+|SSLKEYLOGFILE"
    r"|AWS_ENDPOINT_URL\w*|AWS_CONFIG_FILE|AWS_SHARED_CREDENTIALS_FILE|AWS_WEB_IDENTITY_TOKEN_FILE|AWS_EC2_METADATA_\w+"
    r"|AWS_CA_BUNDLE|AWS_CONTAINER_\w+|AWS_PROFILE|AWS_STS_\w+|AWS_USE_\w+|TF_CLI_\w+|TERRAFORM_CONFIG|TF_REATTACH_PROVIDERS|TF_PLUGIN_\w+"
    r"|TF_DATA_DIR|TF_LOG\w*|TF_TOKEN_\w+|TF_REGISTRY_\w+|TF_ENCRYPTION|\w*_PROXY|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_\w+|PIP_\w+|UV_\w+"
    r"|NPM_CONFIG_\w+|YARN_\w+)"
)
# Values that switch something off, or choose nothing: an empty pager is what everybody writes.
_HARMLESS = {
    "AWS_PAGER": ("", "cat"),
    "PAGER": ("", "cat"),
    "GH_PAGER": ("", "cat"),
    "GIT_PAGER": ("", "cat"),
    "GIT_TERMINAL_PROMPT": ("0",),
}
_INPUT = re.compile(
    r"(.*-)?(mirror|proxy|endpoint|hostname|server|base-url)(-.*)?|registry-url|output-credentials|pip-install|repository"
)
_OWN_PLACES = frozenset(
    {"", "false", "app.terraform.io", "https://registry.npmjs.org", "https://registry.npmjs.org/", "https://github.com"}
)
_NAME = re.compile(_STEERING, re.IGNORECASE)
_SET_IN_SCRIPT = re.compile(rf"(?<![A-Za-z0-9_$-]){_STEERING}(?:=|<<)")
_HARMLESS_IN_SCRIPT = re.compile(r"\b(?:\w*PAGER=(?:cat|\"\"|'')?(?=\s|$)|GIT_TERMINAL_PROMPT=0)", re.MULTILINE)


def steering_variable(file: WorkflowFile) -> Iterator[Hit]:
    """A variable changes what other commands do.

    `BASH_ENV` runs a file before every script, `AWS_ENDPOINT_URL_STS` and proxies lead credentials elsewhere,
    `TF_CLI_ARGS` adds options to every Terraform command: the step looks harmless and is not.

    Remedy: Leave the variable out; write options where the command stands.
    """
    for text in file.workflow.texts:
        is_variable = len(text.path) > 1 and text.path[-2] == "env" and _NAME.fullmatch(text.path[-1])
        if is_variable and text.text not in _HARMLESS.get(text.path[-1], ()):
            yield from file.hits_of_text(text, f"`{text.path[-1]}` is set")
    for job in file.workflow.jobs:
        for step in job.steps:
            for found in _SET_IN_SCRIPT.finditer(_HARMLESS_IN_SCRIPT.sub("", plain_script(step.run))):
                yield file.hit(step, f"`{found[0].rstrip('=<')}` is set", step.run_line, at=step.run)


def steering_input(file: WorkflowFile) -> Iterator[Hit]:
    """An input leads an allowed action elsewhere.

    Checkout sends the job's token to the server that it is told, setup actions run what a mirror hands them, and an
    action that puts credentials or passwords into outputs and logs gives them away: the action is allowed, and no
    longer does what it was allowed for.

    Remedy: Leave the input out.
    """
    for job in file.workflow.jobs:
        for step in job.steps:
            if not step.uses:
                continue
            for name, value in step.with_.items():
                plain = name.casefold().replace("_", "-")
                if (_INPUT.fullmatch(plain) and value not in _OWN_PLACES) or (plain, value) == (
                    "mask-password",
                    "false",
                ):
                    yield file.hit(
                        step,
                        f"`{name}: {value}` is given to `{step.uses}`",
                        step.uses_line,
                        at=f"{step.uses} {name}: {value}",
                    )
