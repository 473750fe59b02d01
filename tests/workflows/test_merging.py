"""What a merge applies, read from the workflows of the base branch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.terraform import Environment, Layout, TerraformRoot
from ops_agent.workflows.evaluation import Value, evaluate, holds, written_out
from ops_agent.workflows.merging import MergeEffect, what_a_merge_does

APPLY = "terraform apply tfplan"


def root(path: str, *environments: str) -> TerraformRoot:
    return TerraformRoot(
        path=path, environments=tuple(Environment(name=e, account=None, backend_file=None) for e in environments)
    )


def effects(
    workflow: str, *roots: TerraformRoot, branch: str = "main", changed: tuple[str, ...] | None = None, **others: str
) -> tuple[MergeEffect, ...]:
    files = {f".github/workflows/{name}.yml": text.encode() for name, text in {"deploy": workflow, **others}.items()}
    layout = Layout(roots=roots or (root("infra", "dev", "prod"),), workflows=tuple(sorted(files)))
    return what_a_merge_does(layout, files.get, branch, changed)


def shown(found: tuple[MergeEffect, ...]) -> list[tuple[str, str, str, bool, bool]]:
    return [(e.event, e.root, e.environment, e.on_merge, e.certain) for e in found]


def deploy(on: str, job: str = "environment: prod", directory: str = "infra", run: str = APPLY) -> str:
    return (
        f"on: {on}\njobs:\n  apply:\n    runs-on: ubuntu-24.04\n    {job}\n    steps:\n"
        f"      - run: {run}\n        working-directory: {directory}\n"
    )


def test_a_push_to_the_base_branch_that_applies_is_named_with_root_and_environment() -> None:
    assert effects(deploy("{push: {branches: [main]}}")) == (
        MergeEffect(
            workflow=".github/workflows/deploy.yml",
            job="apply",
            event="push",
            root="infra",
            environment="prod",
            on_merge=True,
        ),
    )


@pytest.mark.parametrize(
    ("on", "starts"),
    [
        ("push", True),
        ("[pull_request, push]", True),
        ("{push: {branches: ['ma*']}}", True),
        ("{push: {branches: ['**', '!main']}}", False),
        ("{push: {branches: [release]}}", False),
        ("{push: {branches-ignore: [main]}}", False),
        ("{push: {tags: ['v*']}}", False),
        ("{push: {tags: ['v*'], branches: [main]}}", True),
        ("{pull_request: {types: [closed], branches: [main]}}", True),
        ("{pull_request: {types: [closed], branches: [release]}}", False),
        ("workflow_dispatch", False),
        ("{schedule: [{cron: '0 3 * * *'}]}", False),
    ],
)
def test_only_events_of_a_merge_into_the_base_branch_count_as_a_merge(on: str, starts: bool) -> None:
    assert any(effect.on_merge for effect in effects(deploy(on))) is starts


def test_a_workflow_that_only_calls_start_is_no_effect_by_itself() -> None:
    assert effects(deploy("workflow_call")) == ()


@pytest.mark.parametrize(
    ("changed", "starts"), [(("infra/main.tf",), True), (("docs/read.md",), False), (("infra/notes.md",), False)]
)
def test_path_filters_leave_out_what_the_change_does_not_touch(changed: tuple[str, ...], starts: bool) -> None:
    on = "{push: {branches: [main], paths: ['infra/**', '!infra/*.md']}}"
    assert bool(effects(deploy(on), changed=changed)) is starts


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("github.event_name == 'push'", True),
        ("github.ref == 'refs/heads/main' && success()", True),
        ("github.ref_name == 'release'", None),
        ("github.event_name == 'workflow_dispatch' || github.ref != 'refs/heads/main'", None),
        ("vars.APPLY == 'yes'", False),
        ("always()", True),
        ("needs.plan.outputs.changed == 'true'", False),
    ],
)
def test_conditions_decide_whether_a_job_applies(condition: str, expected: bool | None) -> None:
    found = effects(deploy("push", f"if: {condition}\n    environment: prod"))
    assert [effect.certain for effect in found] == ([] if expected is None else [expected])


def test_a_matrix_of_environments_is_one_effect_for_each() -> None:
    job = "strategy: {matrix: {env: [dev, prod]}}\n    environment: ${{ matrix.env }}"
    assert [e.environment for e in effects(deploy("push", job))] == ["dev", "prod"]


def test_a_computed_matrix_cannot_be_told() -> None:
    job = "strategy: {matrix: {env: '${{ fromJSON(needs.x.outputs.list) }}'}}\n    environment: ${{ matrix.env }}"
    assert shown(effects(deploy("push", job))) == [("push", "infra", "", True, True)]


def test_the_environment_that_falls_back_by_branch_is_evaluated() -> None:
    job = "env:\n      ENVIRONMENT: ${{ inputs.environment || (github.ref_name == 'main' && 'prod' || 'dev') }}"
    assert [e.environment for e in effects(deploy("push", job))] == ["prod"]
    assert [e.environment for e in effects(deploy("push", job), branch="develop")] == ["dev"]


def test_the_variable_file_names_the_environment_when_nothing_else_does() -> None:
    run = "terraform plan -var-file=environments/dev/terraform.tfvars -out=p && terraform apply p"
    assert [e.environment for e in effects(deploy("push", "timeout-minutes: 9", run=run))] == ["dev"]


@pytest.mark.parametrize(
    ("run", "directory"),
    [
        ("terraform -chdir=infra apply p", "."),
        ("|\n          cd infra\n          terraform apply p", "."),
        ("terraform -chdir=../infra apply p", "tools"),
        ('terraform -chdir="$DIR" apply p', "."),
    ],
)
def test_the_directory_is_found_wherever_it_is_chosen(run: str, directory: str) -> None:
    two = (root("infra", "prod"), root("network", "prod"))
    found = effects(deploy("push", "env: {DIR: infra}", directory, run), *two)
    assert [e.root for e in found] == ["infra"]


def test_a_directory_that_is_computed_cannot_be_told() -> None:
    two = (root("infra", "prod"), root("network", "prod"))
    assert [e.root for e in effects(deploy("push", directory="${{ vars.WHERE }}"), *two)] == [""]


def test_a_reusable_workflow_is_followed_with_its_inputs() -> None:
    caller = "on: push\njobs:\n  prod:\n    uses: ./.github/workflows/apply.yml\n    with: {env: prod, dir: infra}\n"
    called = deploy("workflow_call", "environment: ${{ inputs.env }}", "${{ inputs.dir }}")
    assert shown(effects(caller, apply=called)) == [("push", "infra", "prod", True, True)]


def test_reusable_workflows_that_call_each_other_end() -> None:
    caller = "on: push\njobs:\n  again:\n    uses: ./.github/workflows/deploy.yml\n"
    assert effects(caller) == ()


def test_a_workflow_that_follows_one_of_a_merge_is_a_merge_too() -> None:
    build = "name: Build\non: push\njobs:\n  b:\n    runs-on: x\n    steps: [{run: make}]\n"
    found = effects(deploy("{workflow_run: {workflows: [build], types: [completed]}}"), build=build)
    assert shown(found) == [("workflow_run", "infra", "prod", True, True)]


@pytest.mark.parametrize(
    "step",
    [
        "uses: dflook/terraform-apply@v2\n        with: {path: infra}",
        "uses: gruntwork-io/terragrunt-action@v3\n        with: {tg_dir: infra, tg_command: apply}",
        "uses: op5dev/tf-via-pr@v13\n        with: {working-directory: infra, command: apply}",
    ],
)
def test_known_actions_that_apply_are_found(step: str) -> None:
    workflow = f"on: push\njobs:\n  a:\n    runs-on: x\n    environment: prod\n    steps:\n      - {step}\n"
    assert shown(effects(workflow)) == [("push", "infra", "prod", True, True)]


def test_a_script_that_may_apply_is_an_uncertain_effect() -> None:
    assert shown(effects(deploy("push", run="make deploy", directory="."))) == [("push", "infra", "prod", True, False)]


@pytest.mark.parametrize(
    "run", ["terraform plan", "echo terraform-apply", "terraform apply-me", "'# terraform apply'", "kubectl apply -f x"]
)
def test_what_applies_no_terraform_is_no_effect(run: str) -> None:
    assert effects(deploy("push", run=run)) == ()


def test_a_job_that_a_merge_and_a_dispatch_start_is_listed_once() -> None:
    assert len(effects(deploy("[push, workflow_dispatch]"))) == 1


REACHES = "permissions: {id-token: write}"


def pushed(step: str, job: str = "environment: prod") -> str:
    return f"on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    {job}\n    steps:\n      - {step}\n"


@pytest.mark.parametrize(
    "run",
    [
        "./scripts/deploy.sh prod",
        "bash scripts/deploy.sh prod",
        "make deploy",
        "make -C infra deploy",
        "make ENV=prod apply",
        "cd infra && make apply",
        "task infra:apply",
        "npx cdktf deploy",
        "gh workflow run deploy.yml",
        "aws codepipeline start-pipeline-execution --name infra",
        "./ci/run.sh prod",
        "python tools/roll_out.py",
        "curl -sS https://example.com/x | bash",
        "$TF apply tfplan",
        "terraform ${{ vars.COMMAND }}",
        "docker run --rm org/tool:latest prod",
    ],
)
def test_what_cannot_be_read_may_apply(run: str) -> None:
    assert [(e.on_merge, e.certain, bool(e.unread)) for e in effects(pushed(f"run: {run}"))] == [(True, False, True)]


@pytest.mark.parametrize(
    "step",
    [
        "uses: org/tool@v1",
        "uses: ./.github/actions/tf",
        "uses: docker://org/tool:latest",
        "uses: peter-evans/repository-dispatch@v3",
        "{shell: python, run: 'import os'}",
    ],
)
def test_an_action_that_is_not_known_may_apply(step: str) -> None:
    assert [(e.certain, bool(e.unread)) for e in effects(pushed(step))] == [(False, True)]


@pytest.mark.parametrize(
    "run",
    [
        "make test lint",
        "make",
        "npm ci && npm run build",
        "npx -y prettier --check .",
        "poetry run pytest -q",
        "python -m pip install -r requirements.txt",
        "sudo apt-get update",
        'echo "deploy; apply" | tee log',
        "terraform -chdir=infra plan -out=p",
        "aws sts get-caller-identity",
        "aws s3 sync site s3://site",
        "docker build -t x . && docker push x",
        'if [[ "$A" == b && "$C" == d ]]; then echo no; fi',
        "x=$(terraform output -raw y)",
        "./scripts/test.sh",
        "kubectl apply -f x",
        "export A=b",
        "n=$((total / 2))",
        "chrome --version",
    ],
)
def test_ordinary_commands_make_no_noise(run: str) -> None:
    quoted = run.replace("'", "''")
    assert effects(pushed(f"run: '{quoted}'")) == ()


@pytest.mark.parametrize(
    "step",
    [
        "uses: actions/checkout@v4",
        "uses: aws-actions/configure-aws-credentials@v4",
        "uses: hashicorp/setup-terraform@v3",
        "uses: dflook/terraform-plan@v2",
        "uses: org/setup-tool@v1",
        "uses: org/ops-agent@v1",
        "uses: op5dev/tf-via-pr@v13\n        with: {command: plan}",
    ],
)
def test_known_actions_make_no_noise(step: str) -> None:
    assert effects(pushed(step)) == ()


@pytest.mark.parametrize(
    ("job", "can"),
    [
        ("timeout-minutes: 5", False),
        ("permissions: {contents: write}", False),
        ("env: {TOKEN: '${{ secrets.GITHUB_TOKEN }}'}", False),
        ("env: {TOKEN: '${{ secrets.TF_TOKEN }}'}", True),
        (REACHES, True),
        ("permissions: write-all", True),
        ("environment: prod", True),
    ],
)
def test_a_job_without_credentials_applies_nothing(job: str, can: bool) -> None:
    assert bool(effects(pushed("run: ./ci/run.sh", job))) is can


def test_a_machine_of_ones_own_may_have_a_role() -> None:
    text = pushed("run: ./ci/run.sh", "timeout-minutes: 5").replace("ubuntu-24.04", "[self-hosted, linux]")
    assert [e.certain for e in effects(text)] == [False]


def test_a_job_that_surely_applies_is_not_doubted_for_its_other_steps() -> None:
    text = pushed("run: ./ci/notify.sh\n      - run: terraform apply p\n        working-directory: infra")
    assert shown(effects(text)) == [("push", "infra", "prod", True, True)]


def test_what_is_started_by_hand_is_not_doubted() -> None:
    assert effects(pushed("run: ./ci/run.sh").replace("on: push", "on: workflow_dispatch")) == ()


def test_a_destroy_is_an_effect_of_its_own() -> None:
    found = effects(deploy("push", run="terraform destroy -auto-approve"))
    assert [(e.root, e.environment, e.destroys) for e in found] == [("infra", "prod", True)]


def test_terraform_in_a_container_applies() -> None:
    run = "docker run --rm hashicorp/terraform:1.9 -chdir=infra apply -auto-approve"
    assert shown(effects(deploy("push", run=run, directory="."))) == [("push", "infra", "prod", True, True)]


def test_a_merge_queue_is_a_merge() -> None:
    assert shown(effects(deploy("merge_group"))) == [("merge_group", "infra", "prod", True, True)]


@pytest.mark.parametrize(
    ("uses", "found"),
    [
        ("org/shared/.github/workflows/terraform.yml@v1", [False]),
        ("org/shared/.github/workflows/lint.yml@v1", []),
    ],
)
def test_a_workflow_of_another_repository_cannot_be_read(uses: str, found: list[bool]) -> None:
    assert [e.certain for e in effects(f"on: push\njobs:\n  infra:\n    uses: {uses}\n")] == found


def test_a_composite_action_of_the_repository_is_read() -> None:
    step = "{run: 'terraform -chdir=infra ${{ inputs.command }}', shell: bash}"
    action = f"runs:\n  using: composite\n  steps: [{step}]\n"
    for command, found in (("apply", [("push", "infra", "prod", True, True)]), ("plan", [])):
        files = {
            ".github/workflows/a.yml": pushed(f"uses: ./.github/actions/tf\n        with: {{command: {command}}}"),
            ".github/actions/tf/action.yml": action,
        }
        layout = Layout(roots=(root("infra", "dev", "prod"),), workflows=(".github/workflows/a.yml",))
        read = {path: text.encode() for path, text in files.items()}.get
        assert shown(what_a_merge_does(layout, read, "main")) == found


def test_a_workflow_that_cannot_be_read_may_apply() -> None:
    assert [(e.job, e.on_merge, e.certain, e.unread) for e in effects("on: [push\n")] == [
        ("", True, False, ".github/workflows/deploy.yml")
    ]


KNOWN: dict[str, Value] = {"github.ref_name": "main", "github.event_name": "push", "inputs.": "", "matrix.n": None}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'it''s'", "it's"),
        ("github.ref_name == 'MAIN'", True),
        ("github.ref_name != 'main' || 'b'", "b"),
        ("inputs.x || 'dev'", "dev"),
        ("matrix.n || 'dev'", None),
        ("matrix.n && false", False),
        ("matrix.n || true", None),
        ("!failure() && 'yes'", "yes"),
        ("format('{0}-{1}', github.ref_name, 'x')", "main-x"),
        ("startsWith(github.ref_name, 'MA')", True),
        ("contains(matrix.n, 'x')", None),
        ("fromJSON('[1]')[0]", None),
        ("github.ref_name ==", None),
        ("(" * 100 + "'a'" + ")" * 100, None),
    ],
)
def test_an_expression_has_githubs_value_or_none(expression: str, value: Value) -> None:
    assert evaluate(expression, KNOWN) == value


@given(st.text(alphabet="abz.'()!&|=, []{}$0", max_size=60))
def test_no_text_makes_the_evaluation_fail(text: str) -> None:
    evaluate(text, KNOWN)
    holds(text, KNOWN)
    written_out(text, KNOWN)


_JOINED = st.recursive(
    st.sampled_from(["true", "false", "m.x", "m.y"]),
    lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({' '.join(parts)})"),
)


@given(_JOINED)
def test_what_is_told_without_a_value_is_so_for_every_value(expression: str) -> None:
    told = evaluate(expression, {})
    results = {evaluate(expression, {"m.x": x, "m.y": y}) for x in (True, False) for y in (True, False)}
    assert told is None or results == {told}


@pytest.mark.parametrize(
    "run",
    [
        "terraform ${{ github.ref == 'refs/heads/main' && 'apply' || 'plan' }} -auto-approve",
        "terraform ${{ inputs.action || 'apply' }}",
        "terraform '${{ github.event_name == 'push' && 'apply -auto-approve' || 'plan' }}'",
        "terragrunt apply-all",
        "terragrunt --working-dir infra run --all apply",
        "terragrunt --terragrunt-working-dir=infra apply",
        "terragrunt run --all --queue-include-dir x -- apply",
        "terragrunt run-all --terragrunt-include-dir x destroy",
        "terragrunt destroy-all",
    ],
)
def test_an_apply_is_found_however_its_verb_is_written(run: str) -> None:
    found = effects(deploy("{push: , workflow_dispatch: }", directory=".", run="|\n          " + run))
    assert [(e.on_merge, e.certain, e.destroys) for e in found] == [(True, True, "destroy" in run)]


@pytest.mark.parametrize(
    ("run", "doubted"),
    [
        ("terraform ${{ steps.x.outputs.action }}", True),
        ("terraform ${{ vars.MAIN == github.ref && 'apply' || 'plan' }}", True),
        ("terraform plan ${{ steps.x.outputs.flags }}", False),
        ("terraform -chdir=${{ steps.x.outputs.directory }} plan", False),
        ("terragrunt ${{ steps.x.outputs.action }}", True),
        ("terragrunt run --all ${{ steps.x.outputs.action }}", True),
        ("terragrunt exec", True),
        ("terragrunt run --all --working-dir ${{ steps.x.outputs.directory }} plan", False),
        ("terragrunt hclfmt --check", False),
        ("terragrunt plan && echo apply by hand", False),
    ],
)
def test_a_verb_that_is_computed_may_be_an_apply(run: str, doubted: bool) -> None:
    found = effects(deploy("push", run="|\n          " + run))
    assert [(e.on_merge, e.certain) for e in found] == ([(True, False)] if doubted else [])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("null == false", True),
        ("inputs.dry_run == false", True),
        ("inputs.dry_run != true", True),
        ("inputs.dry_run == true", False),
        ("'' == 0", True),
        ("null == 0", True),
        ("true == 1", True),
        ("1 == 1.0", True),
        ("'2' == 2", True),
        ("'1' == true", True),
        ("'true' == true", None),
        ("'yes' != false", None),
        ("'A' == 'a'", True),
        ("format('{0}', 3)", "3"),
    ],
)
def test_values_of_unlike_type_are_compared_as_numbers(expression: str, value: Value) -> None:
    assert evaluate(expression, {"inputs.": ""}) == value


def test_an_input_that_a_push_does_not_have_is_false() -> None:
    job = 'environment: prod\n    if: "inputs.dry_run == false"'
    found = effects(deploy("{push: , workflow_dispatch: {inputs: {dry_run: {type: boolean}}}}", job))
    assert [(e.event, e.on_merge, e.certain) for e in found] == [("push", True, True)]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("mai[n]", True),
        ("maink?", True),
        ("mai+n", True),
        ("[a-z]+", True),
        ("[a-z]", False),
        ("[A-Z0-9]+", False),
        ("mai?", False),
        ("mainn?", True),
        ("m*+n", True),
        ("ma.n", False),
        ("ma\\in", True),
        ("[z-a]", False),
        ("+main", False),
    ],
)
def test_a_filter_pattern_is_read_as_github_reads_it(pattern: str, matches: bool) -> None:
    found = effects(deploy(f"{{push: {{branches: ['{pattern}']}}}}"))
    assert any(effect.on_merge for effect in found) is matches
    changed = effects(deploy(f"{{push: {{paths: ['{pattern}']}}}}"), changed=("main",))
    assert bool(changed) is matches


@pytest.mark.parametrize(
    ("script", "certain"),
    [
        ("echo DO=1 >> $GITHUB_ENV", False),
        ("cat settings >> $GITHUB_ENV", False),
        ("DO=1", False),
        ("for DO in 0 1; do", False),
        ("read -r DO < file", False),
        ("echo OTHER=1 >> $GITHUB_ENV", None),
        ("echo $DO == 1", None),
    ],
)
def test_a_variable_that_a_script_may_assign_is_not_known(script: str, certain: bool | None) -> None:
    text = (
        "on: push\nenv: {DO: '0'}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    environment: prod\n    steps:\n"
        f"    - run: {script!r}\n    - run: terraform apply\n      if: env.DO == '1'\n"
    )
    assert [e.certain for e in effects(text) if not e.unread] == ([] if certain is None else [certain])


def test_a_script_that_chooses_its_verb_is_doubted() -> None:
    run = "|\n          if test -f go; then verb=apply; fi\n          terraform $verb"
    for env in ("env: {verb: plan}\n    environment: prod", "environment: prod"):
        assert [e.certain for e in effects(deploy("push", env, run=run))] == [False]


def test_a_matrix_with_more_forms_than_are_read_may_apply() -> None:
    names = ", ".join(f"d{number}" for number in range(40))
    job = f"strategy: {{matrix: {{d: [{names}]}}}}\n    environment: prod\n    if: matrix.d == 'd39'"
    assert [(e.on_merge, e.certain) for e in effects(deploy("push", job))] == [(True, False)]


@pytest.mark.parametrize(
    ("first", "condition", "starts"),
    [
        ("{push: {branches: [main]}}", "", True),
        ("{push: {branches: [main]}}", "github.event.workflow_run.event == 'workflow_run'", True),
        ("{push: {branches: [main]}}", "github.event.workflow_run.event == 'push'", False),
        ("{pull_request: {types: [closed], branches: [main]}}", "", True),
        ("pull_request", "", False),
        ("{push: {branches: [release]}}", "", False),
    ],
)
def test_a_chain_of_workflows_is_followed_from_the_merge_on(first: str, condition: str, starts: bool) -> None:
    def after(name: str) -> str:
        return f"{{workflow_run: {{workflows: [{name}], types: [completed]}}}}"

    job = "environment: prod" + (f'\n    if: "{condition}"' if condition else "")
    test = "jobs: {x: {runs-on: ubuntu-24.04, steps: [{run: make test}]}}\n"
    a, b = f"name: A\non: {first}\n{test}", f"name: B\non: {after('A')}\n{test}"
    found = effects(f"name: C\n{deploy(after('B'), job)}", a=a, b=b)
    assert any(e.on_merge for e in found) is starts
    loop = effects(f"name: C\n{deploy(after('B'), job)}", b=f"name: B\non: {after('C')}\n{test}")
    assert loop == ()


@pytest.mark.parametrize(
    "step",
    [
        "uses: aws-actions/aws-codebuild-run-build@v1",
        "uses: aws-actions/amazon-ecs-run-task@v1",
        "run: aws ecs run-task --task-definition terraform",
        "run: curl -X POST https://app.terraform.io/api/v2/runs -d @run.json",
        "run: gh run rerun 5",
        "run: ./deploy.sh --version",
        "run: ./ci/run.sh --help",
        "run: bash ci/run.sh --version",
        "{shell: \"bash -c 'terraform apply' {0}\", run: ls}",
        "{shell: bash -c ./ci/run.sh, run: ls}",
        "{shell: ./ci/run.sh, run: ls}",
        "{run: ls, env: {BASH_ENV: ci/run.sh}}",
        "uses: actions/github-script@v7\n        with: {script: await github.rest.actions.createWorkflowDispatch(x)}",
    ],
)
def test_what_runs_elsewhere_or_unseen_may_apply(step: str) -> None:
    assert [(e.on_merge, e.certain, bool(e.unread)) for e in effects(pushed(step))] == [(True, False, True)]


@pytest.mark.parametrize(
    "step",
    [
        "{shell: bash, run: ls}",
        "{shell: 'bash -el {0}', run: ls}",
        "{shell: 'bash --noprofile --norc -eo pipefail {0}', run: ls}",
        "{shell: pwsh, run: ls}",
        "run: python --version",
        "run: ./gradlew --version",
        "run: gh api repos/o/r/actions/runs",
        "uses: actions/deploy-pages@v4",
        "uses: actions/github-script@v7\n        with: {script: 'await github.rest.issues.createComment({})'}",
    ],
)
def test_usual_shells_and_questions_make_no_noise(step: str) -> None:
    assert effects(pushed(step)) == ()


def test_a_script_that_dispatches_needs_no_credential() -> None:
    step = "uses: actions/github-script@v7\n        with: {script: await github.rest.actions.createWorkflowDispatch(x)}"
    assert [e.certain for e in effects(pushed(step, "timeout-minutes: 5"))] == [False]


def test_an_apply_in_another_shell_is_named() -> None:
    step = """{shell: python, run: 'import subprocess; subprocess.run(["terraform", "apply"])'}"""
    assert [(e.certain, e.unread) for e in effects(pushed(step, "timeout-minutes: 5"))] == [
        (False, "terraform apply in a script of python")
    ]
    text = pushed("run: ls").replace("jobs:", "defaults: {run: {shell: 'bash -c \"terraform apply\" {0}'}}\njobs:")
    assert [(e.certain, e.unread) for e in effects(text)] == [(False, "terraform apply in a script of bash")]


@pytest.mark.parametrize(
    ("type_", "given_", "condition", "expected"),
    [
        ("boolean", "false", "!inputs.skip", [True]),
        ("boolean", "true", "inputs.skip != 'true'", [False]),
        ("boolean", "true", "!inputs.skip", []),
        ("boolean", "false", "inputs.skip", []),
        ("string", "'false'", "inputs.skip == 'false'", [True]),
    ],
)
def test_an_input_of_a_called_workflow_has_its_type(
    type_: str, given_: str, condition: str, expected: list[bool]
) -> None:
    on = f"{{workflow_call: {{inputs: {{skip: {{type: {type_}}}}}}}}}"
    caller = f"on: push\njobs:\n  go:\n    uses: ./.github/workflows/deploy.yml\n    with: {{skip: {given_}}}\n"
    found = effects(deploy(on, f'environment: prod\n    if: "{condition}"'), a=caller)
    assert [e.certain for e in found] == expected


def test_a_truth_value_of_a_matrix_is_not_taken_for_a_text() -> None:
    job = "strategy: {matrix: {skip: [true]}}\n    environment: prod\n    if: matrix.skip != 'true'"
    assert [e.certain for e in effects(deploy("push", job))] == [False]
