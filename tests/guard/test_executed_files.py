"""Scripts that run a document or a Terraform file, and scripts that only name it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.guard.rules.workflow.scripts import executed_by, may_be

NOTES, VARIABLES = "infra/README.md", "infra/environments/dev/terraform.tfvars"
FILES = (NOTES, VARIABLES, "infra/main.tf", "infra/backend/dev/backend.hcl")


def runs(script: str, values: dict[str, tuple[str, ...]] | None = None) -> bool:
    return any(may_be(pattern, file) for pattern in executed_by(script, values or {}) for file in FILES)


@pytest.mark.parametrize(
    "script",
    [
        "bash infra/README.md",
        "sh ./infra/README.md",
        "/bin/bash -x infra/README.md",
        "/usr/bin/env bash infra/README.md",
        "python3 -u infra/README.md",
        "node infra/README.md",
        "perl infra/main.tf",
        f". {VARIABLES}",
        f"source {VARIABLES}",
        "source infra/backend/dev/backend.hcl",
        "source ../infra/README.md",
        "source ${GITHUB_WORKSPACE}/infra/README.md",
        '. "infra/environments/$1/terraform.tfvars"',
        '. "infra/environments/${{ matrix.environment }}/terraform.tfvars"',
        ". infra/environments/{dev,prod}/terraform.tfvars",
        'set -a; . "$DIR/terraform.tfvars"; set +a',
        '[ -f x ] && source "$ENVIRONMENT".tfvars || true',
        "cd infra && . ./README.md",
        "bash infra/READ*.md",
        "for f in infra/*.md; do bash $f; done",
        "f=infra/README.md\nbash $f",
        f'eval "$(cat {VARIABLES})"',
        "eval $(< infra/README.md)",
        "eval `cat infra/README.md`",
        "bash -c '. infra/README.md'",
        'bash -c "$(cat infra/README.md)"',
        "bash <(cat infra/README.md)",
        "bash < infra/README.md",
        "bash <<E\n. infra/README.md\nE",
        "sudo -E bash infra/README.md",
        "timeout 5 bash infra/README.md",
        "FOO=1 bash infra/README.md",
        "bash -o pipefail infra/README.md",
        "bash \\\n  infra/README.md",
        "if bash infra/README.md; then echo; fi",
        "x=$(bash infra/README.md)",
        "echo `bash infra/README.md`",
        "( . infra/README.md )",
        "{ . infra/README.md; }",
        f"plan:\n\tset -a; . {VARIABLES}; terraform plan",
    ],
)
def test_a_script_that_hands_a_file_to_an_interpreter_runs_it(script: str) -> None:
    assert runs(script)


def test_a_variable_of_the_workflow_is_known() -> None:
    assert runs('. "$FILE"', {"FILE": (VARIABLES,)}) and runs(". ${{ inputs.file }}", {"inputs.file": ("x", NOTES)})
    assert not runs('. "$FILE"', {"FILE": ("scripts/env.sh",)}) and not runs('. "$FILE"')


@pytest.mark.parametrize(
    "script",
    [
        "cat infra/README.md",
        "# bash infra/README.md",
        "true # . infra/README.md",
        'echo "run bash infra/README.md by hand"',
        "grep x infra/README.md",
        f"terraform plan -var-file={VARIABLES}",
        "terraform init -backend-config=infra/backend/dev/backend.hcl",
        "terraform fmt -check infra/main.tf",
        "tflint --chdir infra main.tf",
        f"python scripts/check.py {VARIABLES}",
        "bash scripts/lint.sh infra/README.md",
        "python -m yamllint infra/README.md",
        f"make plan VAR_FILE={VARIABLES}",
        "find . -name '*.md' | xargs markdownlint",
        "terraform-docs markdown infra --output-file README.md",
        "cat infra/README.md >> $GITHUB_STEP_SUMMARY",
        "while read -r l; do echo $l; done < infra/README.md",
        "source scripts/env.sh",
        "source .env",
        "echo done. infra/README.md",
        "cp infra/README.md /tmp",
        'eval "$(ssh-agent)"',
        "python3 -c 'print(1)'",
        "git add infra/README.md",
        "for f in scripts/*.sh; do bash $f; done",
        "sed -i s/a/b/ infra/README.md",
        "bash infra/OTHER.md",
        ". docs/notes.md",
        "test -f infra/README.md && echo yes",
        "bash -n scripts/x.sh && cat infra/README.md",
        "tree . -I '*.md'",
        "node scripts/gen.js > infra/README.md",
    ],
)
def test_a_script_that_only_names_a_file_does_not_run_it(script: str) -> None:
    assert not runs(script)


@pytest.mark.parametrize(
    "script",
    [
        "./infra/README.md --now",
        "cat infra/README.md | bash",
        "find . -type f | xargs bash",
        "make -f README.md all",
        f"cat {VARIABLES} >> $GITHUB_ENV",
        "deploy-tool --config infra/README.md",
        "f=infra/README.md\ncat $f > /tmp/s\nbash /tmp/s",
        "subprocess.run(['bash','infra/README.md'])",
        "BASH_ENV=infra/README.md bash scripts/x.sh",
    ],
)
def test_nothing_else_is_asked(script: str) -> None:
    """The files of a change have no execute bit, and the pull request shows them; see what is left open."""
    assert not runs(script)


@given(st.text(alphabet="bash .$(){}<>|&;'\"`\\\n=*/-x.md", max_size=80))
def test_any_script_is_judged(script: str) -> None:
    runs(script)
