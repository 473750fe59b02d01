"""Which scripts run a file, and which only name it (F03, F11): `workflow/executed-file` sees every form of the shell."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growth import assert_linear
from ops_agent.guard.shell_flows import Target
from ops_agent.guard.shell_reach import can_mean
from ops_agent.guard.shell_runs import runs

DOCUMENT, VARIABLES = "infra/README.md", "infra/environments/dev/terraform.tfvars"
INTERPRETERS = ["bash", "sh", "/bin/bash", "/usr/bin/env bash", "python3", "node", "perl"]
SPELLINGS = [
    "{f}",
    "./{f}",
    '"{f}"',
    "'{f}'",
    '"$GITHUB_WORKSPACE/{f}"',
    "${{ github.workspace }}/{f}",
    "${ROOT}/{f}",
    '"$DIR"/{base}',
]

RUNNING = [
    "{i} {w}",
    "{i} -x {w} --now",
    "{i} < {w}",
    "cat {w} | {i}",
    "cat {w} |\n  {i}",
    "sed 1d {w} | tr a b | sudo {i}",
    "( cat {w}; echo x ) | {i}",
    "source {w}",
    ". {w}",
    'eval "$(cat {w})"',
    'bash -c "$(cat {w})"',
    "bash -c 'exec sh {f}'",
    "bash <(cat {w})",
    "BASH_ENV={f} bash scripts/x.sh",
    "trap '. {f}' EXIT",
    "f={w}\n{i} $f",
    'for f in {w} other; do\n  {i} "$f"\ndone',
    'X="$(cat {w})"\neval "$X"',
    'X=$(cat {w})\nbash <<< "$X"',
    "cp {w} /tmp/x.sh && {i} /tmp/x.sh",
    "cat {w} > /tmp/x.sh\n. /tmp/x.sh",
    "ln -s {w} run\n./run",
    "ls {w} | xargs -n1 {i}",
    "find infra -type f | xargs -I F {i} F",
    "find . -type f -exec {i} {} \\;",
    "git ls-files | xargs {i}",
    'find . | while read -r f; do {i} "$f"; done',
    'while read -r line; do\n  eval "$line"\ndone < {w}',
    "make -f {w} all",
    "make -C infra --file={f}",
    "{i} <<EOF\nexec(open('{f}').read())\nEOF",
    "bash <<'EOF'\n. {f}\nEOF",
    "python3 -c \"exec(open('{f}').read())\"",
    "node -e \"require('child_process').execSync('bash {f}')\"",
    'cat {w} >> "$GITHUB_ENV"',
    "export $(grep -v '^#' {w})",
    "[ -f {w} ] && . {w}",
    "parallel {i} ::: {w}",
    "{w} --now",
    "sudo -u x {w}",
]
AROUND = [
    "{0}",
    "set -euo pipefail\n{0}",
    "if true; then\n{0}\nfi",
    "echo start; {0}",
    "cd infra\n{0}\n",
    "terraform fmt -check\n{0}",
    "cat {other}\n{0}",
    "{0}\n# a note",
    "true &&\n  {0}",
    "echo 'it is fine' && {0}",
]
NAMING = [
    "echo {w}",
    'echo "run bash {f} by hand"',
    "cat {w}",
    "# bash {f}",
    "true # . {f}",
    "grep -q x {w} || exit 1",
    "git add {w}",
    "test -f {w}",
    'cat {w} >> "$GITHUB_STEP_SUMMARY"',
    'X=$(wc -l {w})\necho "$X"',
    'R="$(grep region {w} | cut -d= -f2)"\necho "R=$R" >> "$GITHUB_OUTPUT"',
    "cp {w} /tmp/x && cat /tmp/x",
    "terraform plan -var-file={w} -out=tfplan && bash scripts/x.sh",
    "bash scripts/check.sh {w}",
    "python3 scripts/check.py {w}",
    "find . -name '*.sh' -exec bash {} \\;",
    "find . -name '*.tf' | xargs terraform fmt -check",
    "find scripts -type f | xargs bash",
    'while read -r line; do echo "$line"; done < {w}',
    "cat <<'EOF' > note.txt\nsource {f}\nEOF",
    'for f in scripts/*.sh; do bash "$f"; done\ncat {w}',
    "tar czf x.tgz {w}",
    "markdownlint-cli2 {w}",
]
QUIET = settings(max_examples=400, deadline=None)


def spelled(form: str, file: str, spelling: str, interpreter: str) -> str:
    word = spelling.replace("{f}", file).replace("{base}", file.rpartition("/")[2])
    return form.replace("{i}", interpreter).replace("{w}", word).replace("{f}", file)


@QUIET
@given(
    st.sampled_from(RUNNING),
    st.sampled_from([DOCUMENT, VARIABLES]),
    st.sampled_from(SPELLINGS),
    st.sampled_from(INTERPRETERS),
    st.sampled_from(AROUND),
)
def test_a_script_that_runs_the_file_is_seen_in_every_form(
    form: str, file: str, spelling: str, interpreter: str, around: str
) -> None:
    script = around.replace("{0}", spelled(form, file, spelling, interpreter)).replace("{other}", "docs/notes.txt")
    assert runs(script, file, {}), script


@QUIET
@given(
    st.sampled_from(NAMING), st.sampled_from([DOCUMENT, VARIABLES]), st.sampled_from(SPELLINGS), st.sampled_from(AROUND)
)
def test_a_script_that_only_names_the_file_is_let_alone(form: str, file: str, spelling: str, around: str) -> None:
    script = around.replace("{0}", spelled(form, file, spelling, "bash")).replace("{other}", "docs/notes.txt")
    assert not runs(script, file, {}), script


@pytest.mark.parametrize("form", RUNNING)
def test_every_form_is_seen_for_a_plain_path(form: str) -> None:
    for file in (DOCUMENT, VARIABLES):
        assert runs(spelled(form, file, "{f}", "bash"), file, {}), form


def test_another_file_is_not_meant() -> None:
    for form in RUNNING:
        if "find" not in form and "ls-files" not in form:
            assert not runs(spelled(form, "scripts/x.sh", "{f}", "bash"), DOCUMENT, {}), form


def test_a_variable_from_outside_of_the_script_is_followed() -> None:
    assert runs('bash "$SCRIPT"', DOCUMENT, {"SCRIPT": (DOCUMENT,)})
    assert runs("bash ${{ matrix.script }}", VARIABLES, {"matrix.script": ("x.sh", VARIABLES)})
    assert not runs('bash "$SCRIPT"', DOCUMENT, {"SCRIPT": ("scripts/x.sh",)})


def test_a_document_in_the_hands_of_an_unknown_command_counts_as_run() -> None:
    assert runs(f"deploy-tool --config {DOCUMENT}", DOCUMENT, {})
    assert not runs(f"deploy-tool --config {VARIABLES}", VARIABLES, {})


def test_the_whole_script_of_another_language_is_code() -> None:
    assert runs(f"exec(open('{VARIABLES}').read())", VARIABLES, {}, language="python")
    assert not runs(f"print('{VARIABLES}')", VARIABLES, {}, language="python")


def test_an_everyday_script_is_not_read_for_files_that_it_cannot_mean() -> None:
    """With fifty changed files and twenty workflows this is the difference between one second and half a minute."""
    script = """set -euo pipefail
for e in dev prod; do
  terraform plan -var-file="environments/$e/terraform.tfvars" -out="$e.tfplan" | tee "$e.txt"
done
bash scripts/x.sh "$(cat VERSION)"
find . -name '*.sh' -exec bash {} \\;
"""
    assert not can_mean(script, ["dev"], Target("infra/queue.tf"))
    assert can_mean(script, [], Target(VARIABLES)) and can_mean('bash "$A/$B"', [], Target(DOCUMENT))
    assert can_mean("find infra | xargs sh", [], Target(DOCUMENT)) and can_mean(
        "bash $X", ["infra/*"], Target(DOCUMENT)
    )


@given(st.text(alphabet="abc $(){}|&;<>'\"`\\\n=*#.-", max_size=80))
def test_any_text_is_judged(text: str) -> None:
    runs(text, DOCUMENT, {})
    runs(f"{text} bash {DOCUMENT}", DOCUMENT, {"a": ("b", "c")})


@pytest.mark.parametrize(
    "unit", ["$(", '"', "`", "(", "a|", "cat <<E\nx\n", 'bash -c "', "for f in infra/README.md; do echo $f; done\n"]
)
def test_cost_grows_with_the_length(unit: str) -> None:
    assert_linear(lambda n: runs(unit * n + f"\ntrue sh {DOCUMENT}", DOCUMENT, {}), 100)
