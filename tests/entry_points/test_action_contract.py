"""One table of inputs and outputs: action.yml, Settings, `env:`, the container form, the reusable workflow and the
documents agree.
"""

from __future__ import annotations

from typing import Any

from entry_points.action_files import ACTION, ROOT, generator, load, run_script, steps_of
from ops_agent.config.renamed import accepted
from ops_agent.config.settings import INPUT_NAMES, Settings, read_inputs

INPUTS: dict[str, Any] = ACTION["inputs"]
THE_JOBS_TOKEN = "${{ github.token }}"


def test_settings_read_exactly_the_inputs_of_the_action() -> None:
    assert set(INPUTS) == INPUT_NAMES | accepted("input").keys()
    everything = {f"INPUT_{name.upper()}": "" for name in INPUTS}
    assert read_inputs(everything).problems == ()


def test_the_defaults_of_the_action_are_the_defaults_of_settings() -> None:
    given = {
        f"INPUT_{name.upper()}": entry["default"]
        for name, entry in INPUTS.items()
        if entry["default"] != THE_JOBS_TOKEN
    }
    assert Settings.from_inputs(given) == Settings() == Settings.from_inputs({})


def test_every_input_has_a_snake_case_name_a_description_and_a_text_as_default() -> None:
    for name, entry in INPUTS.items():
        assert name.replace("_", "").isalnum() and name == name.lower(), name
        assert len(entry["description"]) > 20, name
        assert isinstance(entry["default"], str), name


def test_the_composite_action_hands_over_every_input_and_nothing_else() -> None:
    handed = next(step["env"] for step in ACTION["runs"]["steps"] if step["id"] == "run")
    wanted = {f"INPUT_{name.upper()}": f"${{{{ inputs.{name} }}}}" for name in INPUTS if name != "command"}
    wanted |= {"OPS_AGENT_PYTHON": "${{ steps.install.outputs.python }}", "OPS_AGENT_COMMAND": "${{ inputs.command }}"}
    assert handed == wanted


def test_no_input_but_public_certificates_is_in_reach_of_the_installation() -> None:
    install = next(step for step in ACTION["runs"]["steps"] if step["id"] == "install")
    assert set(install["env"]) == {"ACTION_PATH", "CA_CERTIFICATES", "MAY_EMBED", "WITH_MCP", "PIP_CONFIG_FILE"}
    assert "==" in install["env"]["MAY_EMBED"] and "!= ''" in install["env"]["WITH_MCP"]  # true or false, never a text


def test_every_output_comes_from_the_step_that_runs() -> None:
    for name, entry in ACTION["outputs"].items():
        assert entry["value"] == f"${{{{ steps.run.outputs.{name} }}}}"


def test_the_container_form_has_the_same_inputs_and_outputs() -> None:
    container = load(ROOT / "docker/action.yml")
    assert container["inputs"] == INPUTS
    assert container["outputs"] == {
        name: {"description": entry["description"]} for name, entry in ACTION["outputs"].items()
    }
    assert container["runs"] == {"using": "docker", "image": "../Dockerfile", "args": ["${{ inputs.command }}"]}


def test_the_reusable_workflow_takes_every_input_and_hands_it_on() -> None:
    workflow = load(ROOT / ".github/workflows/ops-agent.yml")
    taken = workflow[True]["workflow_call"]["inputs"]
    secret = {"github_token", "anthropic_api_key", "module_credentials", "command"}
    doctors = {"probe_llm", "doctor_issue"}
    for name, entry in INPUTS.items():
        if name not in secret | doctors:
            assert taken[name] == {"type": "string", "default": entry["default"]}, name
    work = next(step["with"] for step in steps_of(workflow) if step["name"] == "Work on the item")
    assert set(work) == set(INPUTS) - doctors - {"command"}
    assert all(
        text == f"${{{{ inputs.{name} }}}}" for name, text in work.items() if name not in secret | {"issue_number"}
    )
    chosen = next(step["with"] for step in steps_of(workflow) if step["name"] == "Choose")
    assert set(chosen) <= set(INPUTS) and chosen["command"] == "select"


def test_an_empty_selection_starts_no_job() -> None:
    """An empty matrix would fail the run."""
    job = load(ROOT / ".github/workflows/ops-agent.yml")["jobs"]["run"]
    assert "include[0] != null" in job["if"] and "matrix != ''" in job["if"]
    assert job["concurrency"]["cancel-in-progress"] is False and "matrix.issue_number" in job["concurrency"]["group"]
    assert job["permissions"].keys() == {"contents", "issues", "pull-requests", "id-token"}


def test_every_generated_document_is_current() -> None:
    assert generator().stale() == {}, "make docs"


def test_the_last_line_replaces_the_shell_by_python_outside_the_workspace() -> None:
    lines = run_script("run").splitlines()
    assert lines[0] == 'cd -- "$RUNNER_TEMP"'
    assert lines[-1] == 'exec "$OPS_AGENT_PYTHON" -I -m ops_agent "$OPS_AGENT_COMMAND"'
