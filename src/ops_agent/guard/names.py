"""Names of files and folders that are never written, at any depth and in any case: they steer other tools, or people's
eyes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property


@dataclass(frozen=True)
class ClosedNames:
    """`globs` of lower-case names with one reason; `of_files` leaves folders alone.

    Only what has a writable extension must stand here; the rest is named because it shows what is meant. No YAML: of
    all YAML only workflows may be written, and those may be called after the tool that they run.
    """

    what: str
    why: str
    globs: tuple[str, ...]
    of_files: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(translate(glob) for glob in self.globs))

    def closes(self, path: str) -> bool:
        """True when a segment of `path` (lower case), or its last one, has one of the names."""
        segments = path.split("/")
        return any(self._pattern.match(s) for s in (segments[-1:] if self.of_files else segments) if s != ".github")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CLOSED_NAMES: tuple[ClosedNames, ...] = (
    ClosedNames("git", "git's own files are never written", _words(".git*")),
    ClosedNames(
        "Terraform's own files",
        "Terraform's internals and lock file are never written",
        _words(".terraform* .tofu* .opentofu* terraform.d terraformrc tofurc .tofurc *.tfrc *.lock.hcl"),
    ),
    ClosedNames(
        "states and plans",
        "state and plan files hold secrets and are never written",
        _words("tfplan *.tfstate *.tfstate.* *.tfplan *.tfplan.*"),
    ),
    ClosedNames("reviewers", "CODEOWNERS decides who reviews", _words("codeowners codeowners.*")),
    ClosedNames(
        "forms that people trust",
        "templates of issues and pull requests speak in the repository's name",
        _words("pull_request_template* issue_template* discussion_template*"),
    ),
    ClosedNames(
        "agents and editors",
        "instructions and settings of agents are never written",
        _words(
            """
            agent.md agents.md agents.*.md agent.*.md claude.md claude.*.md gemini.md gemini.*.md codex.md codex.*.md copilot*.md
            cursor.md windsurf.md cline.md roo.md warp.md qwen.md crush.md jules.md opencode.md replit.md grok.md kiro.md junie.md goose.md
            *.instructions.md *.prompt.md *.chatmode.md *.agent.md *.mdc skill.md rule.md memory.md system_prompt*.md
            llms.txt llms-*.txt mcp.json *.mcp.json .mcp* .claude* .cursor* .gemini* .codex* .copilot* .aider* .windsurf* .cline* .roo*
            .continue* .amazonq* .kiro* .junie* .augment* .trae* .qwen* .opencode* .goose* .agent* .rules .vscode .idea .zed .devcontainer*
            """
        ),
    ),
    ClosedNames(
        "ops-agent",
        "ops-agent does not write its own policy or workflow",
        _words("ops-agent.yml ops-agent.yaml ops-agent.*.yml ops-agent.*.yaml"),
    ),
    ClosedNames(
        "scripts and build files",
        "scripts and build files are outside the agent's domain",
        _words(
            """
            *.sh *.bash *.zsh *.fish *.ps1 *.psm1 *.bat *.cmd *.py *.pyc *.js *.mjs *.cjs *.ts *.rb *.pl *.php *.lua *.go *.jar *.mk
            makefile makefile.* gnumakefile justfile .justfile rakefile gruntfile* gulpfile* jenkinsfile* procfile tiltfile
            vagrantfile earthfile dockerfile* *.dockerfile containerfile* docker-bake* gradlew* mvnw*
            build.gradle* settings.gradle* pom.xml package.json package-lock.json pyproject.toml setup.cfg tox.ini requirements*.txt
            .env* .envrc .direnv* .husky .pre-commit* .lefthook* renovate.json* .renovate*
            """
        ),
    ),
    ClosedNames(
        "settings of linters and scanners",
        "what checks the change is not written by it",
        _words(
            """
            tflint.hcl .tflint* .tfsec* .checkov* .trivy* .yamllint* .markdownlint* .editorconfig
            .gitleaks* gitleaks.toml .semgrep* .sonar* sonar-project.properties .zizmor* .actionlint*
            .infracost* .conftest* sentinel.hcl .terrascan* .kics* .snyk* .secrets* .detect-secrets*
            """
        ),
    ),
    ClosedNames(
        "override files",
        "override files change other files silently: edit the file itself",
        _words("override.tf override.tofu *_override.tf *_override.tofu override.*.json *_override.*.json"),
        of_files=True,
    ),
    ClosedNames(
        "Terraform's JSON syntax",
        "write HCL (`.tf`, `.tfvars`), not Terraform's JSON syntax",
        _words("*.tf.json *.tfvars.json *.tofu.json"),
        of_files=True,
    ),
    ClosedNames(
        "variable files that load themselves",
        "`*.auto.tfvars` is loaded silently in every environment: use the environment's variable file",
        _words("*.auto.tfvars"),
        of_files=True,
    ),
    ClosedNames(
        "OpenTofu's own files",
        "`.tofu` files shadow `.tf` files of the same name: write `.tf`",
        _words("*.tofu"),
        of_files=True,
    ),
    ClosedNames(
        "HCL of other commands",
        "this file type is executed by other commands",
        _words(
            "*.tftest.hcl *.tfmock.hcl *.tfquery.hcl *.tfcomponent.hcl *.tfdeploy.hcl *.tfstack.hcl *.tfpolicy.hcl "
            "*.tofutest.hcl *.pkr.hcl"
            " *.nomad.hcl *.stack.hcl terragrunt*.hcl root.hcl waypoint.hcl"
        ),
        of_files=True,
    ),
)


def closed_name(path: str) -> str | None:
    """Why a name in `path` is closed, None when none is. Any case counts; other alphabets are not open in paths at all."""
    lower = path.casefold()
    return next((closed.why for closed in CLOSED_NAMES if closed.closes(lower)), None)
