"""Variables that change what a harmless command does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.core.guard.subjects import Hit, WorkflowFile

_STEERING = (
    r"(?:BASH_ENV|ENV|BASH_FUNC_\w*|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|PS4|IFS|PATH|LD_\w+|DYLD_\w+|GIT_\w+|NODE_OPTIONS|NODE_EXTRA_CA_CERTS"
    r"|PYTHON(?:PATH|HOME|STARTUP|INSPECT)|RUBYOPT|PERL5\w+|JAVA_TOOL_OPTIONS|AWS_ENDPOINT_URL\w*|AWS_CONFIG_FILE|AWS_SHARED_CREDENTIALS_FILE"
    r"|AWS_CA_BUNDLE|AWS_CONTAINER_\w+|AWS_PROFILE|AWS_STS_\w+|AWS_USE_\w+|TF_CLI_\w+|TERRAFORM_CONFIG|TF_REATTACH_PROVIDERS|TF_PLUGIN_\w+"
    r"|TF_DATA_DIR|TF_LOG\w*|\w*_PROXY|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_\w+|PIP_\w+|UV_\w+|NPM_CONFIG_\w+)"
)
_NAME = re.compile(_STEERING, re.IGNORECASE)
_SET_IN_SCRIPT = re.compile(rf"(?<![A-Za-z0-9_$-]){_STEERING}(?:=|<<)")


def steering_variable(file: WorkflowFile) -> Iterator[Hit]:
    """A variable changes what other commands do.

    `BASH_ENV` runs a file before every script, `AWS_ENDPOINT_URL_STS` and proxies lead credentials elsewhere, `TF_CLI_ARGS` adds options
    to every Terraform command: the step looks harmless and is not.

    Remedy: Leave the variable out; write options where the command stands.
    """
    for text in file.workflow.texts:
        if len(text.path) > 1 and text.path[-2] == "env" and _NAME.fullmatch(text.path[-1]):
            yield from file.hits_of_text(text, f"`{text.path[-1]}` is set")
    for job in file.workflow.jobs:
        for step in job.steps:
            for found in _SET_IN_SCRIPT.finditer(step.run):
                yield file.hit(step, f"`{found[0].rstrip('=<')}` is set", step.run_line)
