"""What a consumer executes is pinned, locked and linted."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from entry_points.action_files import ACTION, ROOT, SAMPLE_WORKFLOWS, WORKFLOWS, load, steps_of, whole_workflows

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/setup").glob("*.md"))]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
EXAMPLES = sorted((ROOT / "examples").glob("*.yml"))
OURS_BY_TAG = re.compile(r"org/ops-agent(/docker|/\.github/workflows/ops-agent\.yml)?@v1( |$)")
LARGEST_RUNTIME = 70 * 2**20
LEFT_OUT = ("cryptography", "pycparser")
"""Requirements of requirements that the runtime's locks leave out (docs/decisions/0001-dependencies.md)."""


def workflow_texts() -> list[tuple[str, str]]:
    found = [
        (str(path.relative_to(ROOT)), path.read_text())
        for path in (*WORKFLOWS, *EXAMPLES, ROOT / "action.yml", ROOT / "docker/action.yml")
    ]
    found += [
        (str(p.relative_to(ROOT)), p.read_text())
        for p in SAMPLE_WORKFLOWS
        if ".github" in p.parts or p.name == "terraform.yml"
    ]
    return found + [
        (f"{page.name} example {n}", text) for page in PAGES for n, text in enumerate(whole_workflows(page.read_text()))
    ]


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda p: p.name)
def test_no_script_holds_an_expression(path: Path) -> None:
    assert not [step["run"] for step in steps_of(load(path)) if "${{" in step.get("run", "")]


@pytest.mark.parametrize(("name", "text"), workflow_texts(), ids=[name for name, _ in workflow_texts()])
def test_every_action_is_pinned_to_a_commit_with_its_tag_as_a_comment(name: str, text: str) -> None:
    """`$/` is this repository at the running commit; the tag of our own action is in what teams read."""
    for uses in re.findall(r"^\s*(?:- )?uses: (.+)$", text, re.MULTILINE):
        pinned = re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses)
        llm_may_write_a_tag = "work_items" in name and uses == "hashicorp/setup-terraform@v4"
        assert pinned or uses.startswith("$/") or OURS_BY_TAG.match(uses) or llm_may_write_a_tag, uses


def test_every_workflow_that_works_on_issues_keeps_the_patch_however_the_run_ends() -> None:
    """Not the container form, whose file stays in the container, not the demo, which writes to a folder, and not the
    minimal workflow, to which an addition brings it (tests/documents/test_readme.py).
    """
    held = []
    for name, text in workflow_texts():
        document = yaml.safe_load(text)
        steps = steps_of(document) if "jobs" in document and not name.startswith(("src/", "README.md")) else []
        for run in steps:
            if re.match(r"org/ops-agent@v1|\$/\.$", run.get("uses", "")) and "command" not in run["with"]:
                patch = f"steps.{run.get('id')}.outputs.patch"
                kept = [step for step in steps if step.get("if") == f"always() && {patch}"]
                assert [step["with"]["path"] for step in kept] == [f"${{{{ {patch} }}}}"], name
                held.append(name)
    assert {
        "examples/several-environments.yml",
        "examples/labelled-issue.yml",
        ".github/workflows/ops-agent.yml",
    } <= set(held)


def test_the_same_tag_is_the_same_commit_everywhere() -> None:
    commits: dict[str, set[str]] = {}
    for _, text in workflow_texts():
        for action, commit, tag in re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (v[\d.]+)", text):
            commits.setdefault(f"{action} {tag}", set()).add(commit)
    assert commits and all(len(found) == 1 for found in commits.values()), commits


def test_the_image_is_pinned_to_a_digest() -> None:
    sources = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert sources and all(re.search(r"@sha256:[0-9a-f]{64}$", source) for source in sources)


def test_every_locked_requirement_has_hashes() -> None:
    for path in LOCKS:
        blocks = re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)[1:]
        assert blocks, path.name
        for block in blocks:
            assert re.match(r"[\w.\[\]-]+==\S+", block) and "--hash=sha256:" in block, block.splitlines()[0]


def test_the_wider_locks_keep_the_versions_of_the_runtime() -> None:
    versions = {path.stem: dict(re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), re.MULTILINE)) for path in LOCKS}
    for name in ("container", "demo", "test", "bench"):
        assert versions["runtime"].items() <= versions[name].items(), name
    for name in ("runtime", "test"):
        shared = versions["mcp"].keys() & versions[name].keys()
        assert all(versions["mcp"][package] == versions[name][package] for package in shared), name
    assert versions["demo"].items() <= versions["test"].items() <= versions["bench"].items()
    shared = versions["docs"].keys() & versions["test"].keys()
    assert all(versions["docs"][name] == versions["test"][name] for name in shared)


def test_the_runtime_lock_holds_every_dependency_and_each_has_its_reason() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[<>=]", requirement)[0] for requirement in declared]
    lock = (ROOT / "requirements/runtime.txt").read_text().lower()
    reasons = (ROOT / "docs/decisions/0001-dependencies.md").read_text()
    for name in names:
        assert f"\n{name.lower()}==" in lock, f"{name}: make lock"
        assert re.search(rf"^\|[^|]*\b{re.escape(name)}\b", reasons, re.MULTILINE), f"{name} has no line of reason"


def test_the_table_of_costs_says_of_every_dependency_of_ours_that_we_want_it() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    rows = re.findall(
        r"^\| ([\w.-]+) \| [\d.]+ \| ([^|]+) \|$",
        (ROOT / "docs/decisions/0001-dependencies.md").read_text(),
        re.MULTILINE,
    )
    ours = {re.split(r"[<>=]", requirement)[0].lower() for requirement in declared}
    assert {name for name, wanted in rows if "ops-agent" in wanted.split(", ")} == ours, (
        "make it again: docs/dependency_costs.py"
    )


def test_the_runtime_installs_less_than_70_mib() -> None:
    names = re.findall(
        r"^([\w.-]+)==\S+(?!.*emscripten)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE
    )
    total = 0
    for name in names:
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        places = [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]
        total += sum(place.stat().st_size for place in places if place.exists())
    assert 50_000_000 < total < LARGEST_RUNTIME


def test_nothing_of_ours_needs_what_the_runtime_leaves_out() -> None:
    """Every module of the product is imported, and GitHub's client is made, where those packages do not exist."""
    for name in ("runtime", "container"):
        assert not re.search(
            rf"^({'|'.join(LEFT_OUT)})==", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE
        )
    script = f"""if True:
        import importlib, pkgutil, sys
        sys.modules.update(dict.fromkeys({LEFT_OUT!r}))
        import anthropic, github, hcl2, jwt, ops_agent
        github.Github(auth=github.Auth.Token("x"))
        for module in pkgutil.walk_packages(ops_agent.__path__, "ops_agent."):
            if not module.name.endswith(("__main__", ".sandbox_child")):
                importlib.import_module(module.name)
        """
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_release_has_no_cache_no_pull_request_an_environment_and_an_attestation() -> None:
    workflow = load(ROOT / ".github/workflows/release.yml")
    assert set(workflow[True]) == {"workflow_dispatch"}
    (job,) = workflow["jobs"].values()
    uses = [step.get("uses", "") for step in job["steps"]]
    assert job["environment"] == "release"
    assert any(one.startswith("actions/attest-build-provenance@") for one in uses)
    assert not any("cache" in one for one in uses)
    assert not any("cache" in step.get("with", {}) for step in job["steps"])


def test_updates_wait_at_least_a_week() -> None:
    updates = load(ROOT / ".github/dependabot.yml")["updates"]
    assert {"github-actions", "docker", "pip"} == {one["package-ecosystem"] for one in updates}
    assert all(one["cooldown"]["default-days"] >= 7 for one in updates)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_every_workflow_starts_without_permissions_and_names_why_a_job_has_one(path: Path) -> None:
    assert load(path)["permissions"] == {}
    for line in re.findall(r"^ {6}[a-z-]+: (?:read|write)\b.*$", path.read_text(), re.MULTILINE):
        assert "# to " in line, line


@pytest.mark.parametrize(("name", "text"), workflow_texts(), ids=[name for name, _ in workflow_texts()])
def test_our_workflows_and_the_examples_in_documents_pass_both_linters(name: str, text: str, tmp_path: Path) -> None:
    """zizmor as an auditor, and actionlint."""
    is_action = name.endswith("action.yml")
    place = tmp_path / ("action.yml" if is_action else ".github/workflows/example.yml")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    if not is_action:
        (tmp_path / "action.yml").write_text((ROOT / "action.yml").read_text())
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        checked = subprocess.run(
            [tool("actionlint"), str(place)], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert checked.returncode == 0, checked.stdout
    if "work_items" not in name:  # the agent's own workflow may name a tag; our code pins it before it is judged
        command = [
            tool("zizmor"),
            "--offline",
            "--persona=auditor",
            "--no-config",
            "--no-progress",
            "--quiet",
            str(place),
        ]
        audited = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert audited.returncode == 0, audited.stdout


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_the_action_is_for_humans_too() -> None:
    assert ACTION["branding"] and ACTION["description"].endswith(".")
