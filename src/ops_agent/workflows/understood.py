"""What certainly applies no Terraform, of what a workflow can run; the rest may, and nobody can tell.

A job without anything that AWS would accept applies nothing, whatever it runs. In any other job a command, an action or
a reusable workflow counts as understood when it is well known, or when its name says that it builds or tests.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from ops_agent.model.workflow import Job, Workflow
from ops_agent.workflows.shell import COMPUTED


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DEPLOYS: Final = re.compile(r"(?i)apply|deploy|destroy|provision|dispatch|gh workflow run")
"""Names that are suspected in every job."""
_CREDENTIALS: Final = re.compile(r"(?i)\bsecrets\b(?!\.github_token\b)|aws_access_key")
_HOSTED: Final = ("ubuntu-", "windows-", "macos-")
_ORDINARY: Final = _words("""
    activate all audit benchmark build bundle bump cache changed check checks ci clean codegen compile coverage
    credentials dependencies deps doc docs download e2e env filter fmt format formatting generate help images info
    inspect install integration label lint linter list login logs metadata mod notification notify package pack plan
    prepare prettier publish pull push report restore sbom scan security setup slack smoke summary sync tag test tests
    typecheck unit up update upload validate verify version
""")
_TOOLS: Final = _words("""
    [ [[ : { } ! ;; awk base64 basename break case cat cd chmod chown comm command continue cp cut date declare df diff
    dirname do done du echo egrep else esac exit export false fi find for function gpg grep gzip head hostname id if in
    jq kill ln local ls mapfile md5sum mkdir mktemp mv openssl popd printf ps pushd pwd read readonly realpath return rm
    rsync sed select seq set sha256sum shift shopt sleep sort split tail tar tee test then touch tput tr trap true type
    ulimit umask uname uniq unset unzip wait wc which while whoami yq zip
    apk apt apt-get asdf brew choco dpkg gem git git-lfs mise nvm pip pip3 pipx rustup yum
    actionlint ansible-lint bandit black cfn-lint checkov conftest coverage eslint flake8 golangci-lint gosec hadolint
    infracost isort jest kubeval markdownlint mocha mypy nox opa phpunit pre-commit prettier pylint pytest pyright
    regula rspec rubocop ruff shellcheck shfmt snyk staticcheck terraform-docs terrascan tflint tfsec tox trivy tsc
    vitest yamllint zizmor
    helm kubectl kustomize mkdocs semantic-release twine
""")
"""The shell and its tools, packages, checks, and what deploys something else than Terraform."""
_REACHING: Final = _words("aws curl gh wget")
_STARTS: Final = re.compile(
    r"(?i)\bstart-|\binvoke|send-command|put-events|workflow run|dispatch|deploy|apply|\brerun\b"
    r"|\brun-task|submit-job|(?<!actions)/runs\b"
)
"""What one of `_REACHING` starts elsewhere."""
_ELSEWHERE: Final = re.compile(r"run-task|run-build")
"""Actions of known owners that run elsewhere what this repository does not show."""
STARTS_A_WORKFLOW: Final = re.compile(r"(?i)dispatch|createDeployment\b|reRun|child_process|\bexec\.exec|actions/exec")
"""What a script of `actions/github-script` starts."""
_RUNNERS: Final = _words("""
    make just task rake npm yarn pnpm bun go cargo mvn mvnw gradle gradlew dotnet bundle composer docker podman poetry
    uv pipenv hatch turbo nx
""")
"""Their own verbs and the names of their targets say what they do."""
_INTERPRETERS: Final = _words("bash sh zsh python python3 node ruby perl pwsh source .")
_WRAPPERS: Final = (
    *(("npx",), ("bunx",), ("uvx",), ("sudo",), ("time",), ("exec",), ("env",), ("nohup",), ("xargs",)),
    *(("poetry", "run"), ("uv", "run"), ("pipenv", "run"), ("bundle", "exec"), ("pnpm", "exec"), ("npm", "exec")),
    *(("python", "-m"), ("python3", "-m")),
)
_HARMLESS: Final = _words("""
    backend catalog console dag find fmt force-unlock get graph graph-dependencies hcl hclfmt hclvalidate import info
    init init-all list login output output-all plan plan-all providers refresh render render-json scaffold show state
    taint terragrunt-info untaint validate validate-all validate-inputs version workspace
""")
"""Verbs of Terragrunt that apply nothing."""
_OWNERS: Final = _words("""
    actions aquasecurity astral-sh aws-actions azure bridgecrewio codecov docker cycjimmy dorny github
    google-github-actions googleapis hadolint opentofu ossf pypa release-drafter slackapi softprops step-security
    terraform-linters tj-actions webfactory zizmorcore
""")
"""None of their actions applies Terraform."""


def may_reach_aws(job: Job, workflow: Workflow) -> bool:
    """Whether a job could hold a credential: an environment, an identity token, a secret, or a machine of one's own."""
    permissions = job.permissions or workflow.permissions
    has_token = permissions is not None and (
        permissions.shorthand == "write-all" or permissions.scopes.get("id-token") == "write"
    )
    is_hosted = all(label.startswith(_HOSTED) for label in job.runs_on)
    texts = (job.text, *workflow.env.values(), *workflow.env)
    return bool(job.environment) or has_token or not is_hosted or any(map(_CREDENTIALS.search, texts))


def is_understood_command(words: Sequence[str]) -> bool:
    """Whether a command, as its words without quotes, applies no Terraform for all that can be known."""
    words = _unwrapped(words)
    if not words or words[-1] == "]]":
        return True
    name, rest = posixpath.basename(words[0]).casefold(), " ".join(words[1:])
    if COMPUTED in words[0]:
        return False
    if rest in ("--version", "--help") and "/" not in words[0] and not DEPLOYS.search(name):
        return True
    if name == "terragrunt":
        return _is_harmless(words[1:])
    if name in ("terraform", "tofu"):
        return COMPUTED not in next((word for word in words[1:] if word[:1] != "-"), "")
    if "/" not in words[0] and name in _TOOLS:
        return True
    if name in _REACHING:
        return not _STARTS.search(rest)
    if DEPLOYS.search(" ".join(words)):
        return False
    if name in _RUNNERS:
        return not rest or _is_ordinary(rest)
    script = next((word for word in words[1:] if word[:1] != "-"), "") if name in _INTERPRETERS else words[0]
    return _is_ordinary(posixpath.basename(script))


def is_understood_action(uses: str) -> bool:
    """The same for an action or a reusable workflow of another repository (`owner/name/path@ref`)."""
    name = uses.partition("@")[0].casefold()
    owner, _, rest = name.partition("/")
    if _ELSEWHERE.search(rest):
        return False
    if owner in _OWNERS or rest.partition("/")[0] == "ops-agent":
        return True
    return not uses.startswith("docker:") and not DEPLOYS.search(name) and _is_ordinary(rest)


def _unwrapped(words: Sequence[str]) -> Sequence[str]:
    """The command that another one runs: `npx -y prettier`, `python -m pytest`."""
    while wrapper := next((one for one in _WRAPPERS if tuple(words[: len(one)]) == one), None):
        words = words[len(wrapper) :]
        while words and (words[0].startswith("-") or "=" in words[0]):
            words = words[1:]
    return words


def _is_harmless(words: Sequence[str]) -> bool:
    """Whether a harmless verb of Terragrunt comes before any word that is not known, other than a flag's value."""
    last = ""
    for word in words:
        if word in _HARMLESS:
            return True
        if COMPUTED in word and word[:1] != "-" and last[:1] != "-":
            return False
        last = word
    return False


def _is_ordinary(text: str) -> bool:
    return not _ORDINARY.isdisjoint(re.split(r"[^a-z0-9]+", text.casefold()))
