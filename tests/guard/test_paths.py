"""The paths that may be written, and those that nothing opens."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.guard.paths import path_refusal
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Layout, TerraformRoot

POLICY = Policy()
INFRA = Layout(roots=(TerraformRoot(path="infra", environments=()),), workflows=())

GOOD = [
    "infra/main.tf",
    "infra/modules/queue/variables.tf",
    "infra/environments/dev/terraform.tfvars",
    "infra/dev.tfvars",
    "infra/backend/dev/backend.hcl",
    "infra/backend/dev.hcl",
    "infra/dev.tfbackend",
    "infra/README.md",
    ".github/workflows/deploy.yml",
    ".github/workflows/deploy.yaml",
]
STRANGE = [
    "",
    "infra/x.tf\x00",
    "infra/x\n.tf",
    "infra/x.tf ",
    "infra/ .tf",
    "infra/" + "a" * 4097 + ".tf",
    ".git\u200c/config",
    unicodedata.normalize("NFD", "infra/é.tf"),
    "．git/config",
]
OUTSIDE = r"""
    /etc/passwd ../x.tf infra/../x.tf infra/./x.tf a//b.tf infra/x.tf/ ..\x.tf infra\x.tf %2e%2e/x.tf ~/x.tf file://x.tf
    C:/x.tf infra/x.tf."""
GIT = """
    .git/config .git/hooks/x.md .gitmodules .gitattributes infra/.gitignore .GIT/config .git::$INDEX/x.tf
    infra/.GitHub/x.md infra/.hidden/x.tf"""
TERRAFORM_INTERNALS = """
    infra/.terraform/x.tf infra/.terraform.lock.hcl infra/terraform.d/plugins/x.tf .terraformrc terraform.tfrc
    infra/.TERRAFORM/x.tf infra/terraform.tfstate infra/x.tfplan infra/terraform.tfstate.backup"""
GITHUB = """
    CODEOWNERS .github/CODEOWNERS docs/CODEOWNERS .github/dependabot.yml .github/actions/x/action.yml
    .github/workflows/sub/x.yml .GitHub/workflows/x.yml .github/Workflows/x.yml .github/workflows/x.md
    .github/ops-agent.yml .github/workflows/../ops-agent.yml"""
CODE = "Makefile infra/deploy.sh package.json .env .env.prod src/app.py infra/handler.py"
AGENTS = "CLAUDE.md AGENTS.md infra/claude.md .claude/settings.md .mcp.json .cursor/rules/x.md .gemini/x.md"
SHADOWS = """
    infra/override.tf infra/main_override.tf infra/main.tf.json infra/x.tfvars.json infra/x.auto.tfvars
    infra/x.auto.tfvars.json infra/main.tofu infra/x.tofu.json infra/x.tftest.hcl infra/x.tfquery.hcl
    infra/terragrunt.hcl infra/x.hcl infra/x.json infra/Main_Override.tf infra/override.tf.json infra/main.TF"""
BAD = STRANGE + " ".join([OUTSIDE, GIT, TERRAFORM_INTERNALS, GITHUB, CODE, AGENTS, SHADOWS]).split()


@pytest.mark.parametrize("path", GOOD)
def test_the_teams_files_may_be_written(path: str) -> None:
    assert path_refusal(path, b"# text\n", POLICY, INFRA) is None


@pytest.mark.parametrize("path", BAD)
def test_every_other_path_is_refused_with_a_reason(path: str) -> None:
    for content in (b"", None):
        for layout in (None, INFRA):
            assert path_refusal(path, content, POLICY, layout)


def test_terraform_outside_the_directories_that_hold_terraform_is_refused() -> None:
    assert path_refusal("src/main.tf", b"", POLICY, INFRA)
    assert path_refusal("src/README.md", b"", POLICY, INFRA)


def test_a_repository_without_terraform_gets_its_first_files_in_the_conventional_place() -> None:
    empty = Layout(roots=(), workflows=())
    assert path_refusal("infra/main.tf", b"", POLICY, empty) is None
    assert path_refusal("main.tf", b"", POLICY, empty)


def test_a_root_at_the_top_opens_the_whole_repository_for_terraform_only() -> None:
    top = Layout(roots=(TerraformRoot(path=".", environments=()),), workflows=())
    assert path_refusal("main.tf", b"", POLICY, top) is None
    assert path_refusal("main.py", b"", POLICY, top)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\x00b", b"a" * 1_000_001])
def test_a_file_that_is_not_plain_utf8_or_is_too_large_is_refused(content: bytes) -> None:
    assert path_refusal("infra/main.tf", content, POLICY, INFRA)


def test_a_policy_that_closes_workflows_closes_them() -> None:
    assert path_refusal(".github/workflows/x.yml", b"", Policy(allow_workflow_files=False), INFRA)


@given(
    st.text(max_size=40),
    st.sampled_from(["", "infra/", ".github/workflows/", ".git/", "infra/.terraform/"]),
    st.sampled_from(["", ".tf", ".md", ".yml"]),
)
def test_any_path_is_refused_or_stays_inside_in_its_plain_form(middle: str, start: str, end: str) -> None:
    path = start + middle + end
    if path_refusal(path, b"", POLICY, None) is None:
        assert path.isascii() and not path.startswith("/")
        assert not {"..", ".", "", ".git", ".terraform"} & set(path.casefold().split("/"))


STEERING = """
    AGENTS.md AGENTS.override.md agents.local.md CLAUDE.md claude.local.md SKILL.md RULE.md memory.md GEMINI.md
    WARP.md copilot-instructions.md terraform.instructions.md review.prompt.md plan.chatmode.md
    PULL_REQUEST_TEMPLATE.md issue_template.md .cursorrules .windsurfrules .clinerules .mcp.json mcp.json .tflint.hcl
    tflint.hcl .terraformrc .tofurc .pre-commit-config.yaml .envrc Makefile GNUmakefile makefile.md justfile
    docker-bake.hcl docker-bake.override.hcl root.hcl terragrunt.hcl terragrunt.stack.hcl x.tfpolicy.hcl sentinel.hcl
    lefthook.yml atlantis.yaml dependabot.yml tfplan CODEOWNERS.md Dockerfile.md"""
DIRECTORIES = ("", "infra/", "infra/modules/queue/", "infra/backend/dev/", "infra/docs/deep/er/")


@pytest.mark.parametrize("name", STEERING.split())
def test_what_steers_other_agents_and_tools_is_closed_at_any_depth_and_in_any_case(name: str) -> None:
    for directory in DIRECTORIES:
        for form in (name, name.lower(), name.upper(), name.title(), name.swapcase()):
            assert path_refusal(directory + form, b"# text\n", POLICY, None), directory + form


@given(
    st.sampled_from(STEERING.split()[:20]),
    st.integers(0, 30),
    st.sampled_from(["\u200b", "\u0131", "\u212a", "\uff21", "\u0430", "\u00ad"]),
)
def test_a_closed_name_with_a_look_alike_letter_is_refused_too(name: str, place: int, letter: str) -> None:
    """Paths are plain ASCII."""
    cut = place % len(name)
    assert path_refusal(f"infra/{name[:cut]}{letter}{name[cut + 1 :]}", b"# text\n", POLICY, INFRA)


@pytest.mark.parametrize(
    "name",
    [
        "infra/agents/main.tf",
        "infra/modules/rules/main.tf",
        "infra/prompts/README.md",
        "infra/skills.tf",
        ".github/workflows/trivy.yml",
    ],
)
def test_modules_may_be_called_like_what_they_make(name: str) -> None:
    assert path_refusal(name, b"# text\n", POLICY, INFRA) is None


@pytest.mark.parametrize(
    ("glob", "path", "closed"),
    [
        ("infra/*", "infra/main.tf", True),
        ("infra/*", "infra/net/main.tf", False),
        ("infra/**/*", "infra/net/main.tf", True),
        ("infra/**/*", "infra/main.tf", True),
        ("**/*.md", "README.md", True),
        ("infra", "infra/main.tf", False),
    ],
)
def test_a_path_that_a_ruleset_restricts_is_refused_by_github_s_patterns(glob: str, path: str, closed: bool) -> None:
    refusal = path_refusal(path, b"", Policy(ruleset_paths=(glob,)))
    assert refusal == (f"a ruleset of the repository restricts `{glob}`" if closed else None)
