"""Which paths may be written: the allow-list, and the names that nothing opens.

The same function answers the agent's tools before a write (quick feedback) and the judge afterwards (authority).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from functools import cached_property

from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Layout

MAX_FILE_BYTES = 1_000_000
MAX_PATH = 400
EMPTY_REPOSITORY_AREAS = ("infra", "terraform")
WORKFLOW_DIRECTORY = ".github/workflows/"
POLICY_FILE = ".github/ops-agent.yml"

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


def is_backend_file(path: str) -> bool:
    """True for partial backend configuration: `backend/{env}/*.hcl`, `backend/*.hcl`, `*.tfbackend`."""
    return path.endswith(".tfbackend") or bool(_BACKEND_DIRECTORY.search(path))


def areas(layout: Layout) -> tuple[str, ...]:
    """Top-level directories that hold Terraform; `.` when a root is at the top; the conventional ones in a
    repository without any.
    """
    holders = [r.path for r in layout.roots] + [m for r in layout.roots for m in r.local_modules]
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
    if content.startswith(b"\xef\xbb\xbf"):
        return "a file starts without a byte order mark"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return f"a file is UTF-8; byte {error.start} is not"
    return None


# Names of files and folders that are never written, at any depth and in any case: they steer other tools, or people's
# eyes.


@dataclass(frozen=True)
class ClosedNames:
    """`globs` of lower-case names, separated by blanks, with one reason; `of_files` leaves folders alone.

    Only what has a writable extension must be here; the rest is named because it shows what is meant. No YAML: of all
    YAML only workflows may be written, and those may be called after the tool that they run.
    """

    what: str
    why: str
    globs: str
    of_files: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(translate(glob) for glob in self.globs.split()))

    def closes(self, path: str) -> bool:
        """True when a segment of `path` (lower case), or its last one, has one of the names."""
        segments = path.split("/")
        return any(self._pattern.match(s) for s in (segments[-1:] if self.of_files else segments) if s != ".github")


CLOSED_NAMES: tuple[ClosedNames, ...] = (
    ClosedNames("git", "git's own files are never written", ".git*"),
    ClosedNames(
        "Terraform's own files",
        "Terraform's internals and lock file are never written",
        ".terraform* .tofu* .opentofu* terraform.d terraformrc tofurc .tofurc *.tfrc *.lock.hcl",
    ),
    ClosedNames(
        "states and plans",
        "state and plan files hold secrets and are never written",
        "tfplan *.tfstate *.tfstate.* *.tfplan *.tfplan.*",
    ),
    ClosedNames("reviewers", "CODEOWNERS decides who reviews", "codeowners codeowners.*"),
    ClosedNames(
        "forms that people trust",
        "templates of issues and pull requests speak in the repository's name",
        "pull_request_template* issue_template* discussion_template*",
    ),
    ClosedNames(
        "agents and editors",
        "instructions and settings of agents are never written",
        """
        agent.md agents.md agents.*.md agent.*.md claude.md claude.*.md gemini.md gemini.*.md codex.md codex.*.md copilot*.md
        cursor.md windsurf.md cline.md roo.md warp.md qwen.md crush.md jules.md opencode.md replit.md grok.md kiro.md junie.md goose.md
        *.instructions.md *.prompt.md *.chatmode.md *.agent.md *.mdc skill.md rule.md memory.md system_prompt*.md
        llms.txt llms-*.txt mcp.json *.mcp.json .mcp* .claude* .cursor* .gemini* .codex* .copilot* .aider* .windsurf* .cline* .roo*
        .continue* .amazonq* .kiro* .junie* .augment* .trae* .qwen* .opencode* .goose* .agent* .rules .vscode .idea .zed .devcontainer*
        """,
    ),
    ClosedNames(
        "ops-agent",
        "ops-agent does not write its own policy or workflow",
        "ops-agent.yml ops-agent.yaml ops-agent.*.yml ops-agent.*.yaml",
    ),
    ClosedNames(
        "scripts and build files",
        "scripts and build files are outside the agent's domain",
        """
        *.sh *.bash *.zsh *.fish *.ps1 *.psm1 *.bat *.cmd *.py *.pyc *.js *.mjs *.cjs *.ts *.rb *.pl *.php *.lua *.go *.jar *.mk
        makefile makefile.* gnumakefile justfile .justfile rakefile gruntfile* gulpfile* jenkinsfile* procfile tiltfile
        vagrantfile earthfile dockerfile* *.dockerfile containerfile* docker-bake* gradlew* mvnw*
        build.gradle* settings.gradle* pom.xml package.json package-lock.json pyproject.toml setup.cfg tox.ini requirements*.txt
        .env* .envrc .direnv* .husky .pre-commit* .lefthook* renovate.json* .renovate*
        """,
    ),
    ClosedNames(
        "settings of linters and scanners",
        "what checks the change is not written by it",
        """
        tflint.hcl .tflint* .tfsec* .checkov* .trivy* .yamllint* .markdownlint* .editorconfig
        .gitleaks* gitleaks.toml .semgrep* .sonar* sonar-project.properties .zizmor* .actionlint*
        .infracost* .conftest* sentinel.hcl .terrascan* .kics* .snyk* .secrets* .detect-secrets*
        """,
    ),
    ClosedNames(
        "override files",
        "override files change other files silently: edit the file itself",
        "override.tf override.tofu *_override.tf *_override.tofu override.*.json *_override.*.json",
        of_files=True,
    ),
    ClosedNames(
        "Terraform's JSON syntax",
        "write HCL (`.tf`, `.tfvars`), not Terraform's JSON syntax",
        "*.tf.json *.tfvars.json *.tofu.json",
        of_files=True,
    ),
    ClosedNames(
        "variable files that load themselves",
        "`*.auto.tfvars` is loaded silently in every environment: use the environment's variable file",
        "*.auto.tfvars",
        of_files=True,
    ),
    ClosedNames(
        "OpenTofu's own files",
        "`.tofu` files shadow `.tf` files of the same name: write `.tf`",
        "*.tofu",
        of_files=True,
    ),
    ClosedNames(
        "HCL of other commands",
        "this file type is executed by other commands",
        """
        *.tftest.hcl *.tfmock.hcl *.tfquery.hcl *.tfcomponent.hcl *.tfdeploy.hcl *.tfstack.hcl *.tfpolicy.hcl
        *.tofutest.hcl *.pkr.hcl *.nomad.hcl *.stack.hcl terragrunt*.hcl root.hcl waypoint.hcl
        """,
        of_files=True,
    ),
)


def _closed_name(path: str) -> str | None:
    """Why a name in `path` is closed, None when none is. Any case counts; other alphabets are not open in paths at all."""
    lower = path.casefold()
    return next((closed.why for closed in CLOSED_NAMES if closed.closes(lower)), None)
