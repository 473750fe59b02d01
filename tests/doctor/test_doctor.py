"""The doctor finds what would stop a run, says what to do, and is never stopped itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from builders import MARIA, REPOSITORY, issue, settings_with
from ops_agent import doctor
from ops_agent.adapters.terraform import confinement
from ops_agent.cli import run_doctor
from ops_agent.config.arguments import parse
from ops_agent.config.settings import Settings
from ops_agent.doctor import diagnose, examine
from ops_agent.doctor.checks import CHECKS
from ops_agent.doctor.diagnosis import Diagnosis, Health, Setup
from ops_agent.doctor.report import as_json, as_lines, as_page, exit_code
from ops_agent.model.change_set import TreeEntry
from ops_agent.model.errors import AwsError, NotFound, ToolchainError
from ops_agent.model.event import Repository
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BoardCard, BranchRule, StateObject, TokenAbilities
from ops_agent.model.terraform import Environment, Layout, TerraformRoot
from ops_agent.model.wiki import WikiAnswer, WikiPage
from ops_agent.model.workflow import LintEntry
from ops_agent.terraform.layout import discover_layout

ROLE = "arn:aws:iam::125611408459:role/ops-agent-plan"
RUNNER = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": REPOSITORY.full_name}
OIDC = RUNNER | {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1/oidc"}
DEV = Environment(name="dev", account="125611408459", backend_file="infra/backend/dev/backend.hcl")
CARD = BoardCard(
    item_id="i", project_id="p", field_id="f", status="Ready", options=(("1", "Ready"), ("2", "In Progress"))
)


class Host:
    def __init__(
        self, abilities: TokenAbilities, described: Repository = REPOSITORY, error: Exception | None = None
    ) -> None:
        self.abilities, self.described, self.error = abilities, described, error

    def repository(self, _name: str) -> Repository:
        if self.error:
            raise self.error
        return self.described

    def viewer(self) -> Any:
        return MARIA

    def token_abilities(self, _name: str) -> TokenAbilities:
        return self.abilities

    def issue(self, _ref: Any) -> Any:
        return issue()

    def labels(self, _name: str) -> tuple[str, ...]:
        return ("Ready", "bug")


ALL = TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=True)


def setup(
    *,
    settings: Settings | None = None,
    environment: dict[str, str] | None = None,
    host: Host | None = None,
    card: BoardCard | str = CARD,
    lease_error: Exception | None = None,
    state_trouble: str = "",
    engine_error: Exception | None = None,
    finding: tuple[str, ...] = ("actionlint", "zizmor"),
    layout: Layout | None = None,
    tree: Any = None,
    rules: tuple[BranchRule, ...] = (),
) -> Setup:
    def try_role(environment: Environment, states: Any) -> tuple[str, dict[StateObject, str]]:
        if lease_error:
            raise lease_error
        return environment.account or "", {state: state_trouble for state in states if state_trouble}

    def engine() -> str:
        if engine_error:
            raise engine_error
        return "Terraform 1.15.5 (embedded)"

    world: Any = SimpleNamespace(
        issues=host or Host(ALL),
        branches=SimpleNamespace(rules=lambda _name, _branch: rules, ruleset=lambda _name, id_: (f"set {id_}", False)),
        board=SimpleNamespace(
            card=lambda _issue: card,
            statuses=lambda _name: card if isinstance(card, str) else tuple(name for _, name in card.options),
        ),
        cloud=SimpleNamespace(try_role=try_role, unplanned_reason=lambda _environment: None),
        terraform=SimpleNamespace(engine=engine, self_test=lambda: None, choose_engine=lambda _wishes: None),
        wiki=None,
        linters=SimpleNamespace(
            check=lambda files: {
                path: tuple(LintEntry(tool=tool, kind="x", line=1, says="y") for tool in finding) for path in files
            }
        ),
    )
    return Setup(
        settings=settings or healthy(),
        world=world,
        environment=OIDC if environment is None else environment,
        tree=tree,
        layout=layout
        or Layout(roots=(TerraformRoot(path="infra", environments=(DEV,), has_backend=True),), workflows=()),
    )


def healthy(**fields: Any) -> Settings:
    given: dict[str, Any] = {
        "github_token": "t",
        "anthropic_api_key": "k",
        "issue_number": "12",
        "aws_role_arns": {"dev": ROLE},
    }
    return settings_with(**(given | fields))


def ill(found: list[Diagnosis], health: Health = Health.FAIL) -> list[str]:
    return [one.what for one in found if one.health is health]


def test_a_healthy_setup_has_nothing_to_fix() -> None:
    found = examine(setup())
    assert {one.health for one in found} == {Health.OK}
    assert {one.subject for one in found} >= {"layout", "llm", "GitHub", "board", "AWS", "toolchain"}
    assert exit_code(found) == 0 and [*as_lines(found)][-1] == "No failures."


def test_what_is_wrong_gives_code_2_and_says_what_to_do() -> None:
    found = [Diagnosis(subject="AWS", health=Health.FAIL, what="no", hint="do this")]
    assert exit_code(found) == 2 and [*as_lines(found)][:2] == ["fail  AWS: no", "      -> do this"]


def test_a_skipped_check_is_named_in_the_summary() -> None:
    found = [Diagnosis("llm", Health.SKIP, "no key"), Diagnosis("AWS", Health.OK, "yes")]
    assert exit_code(found) == 0 and [*as_lines(found)][-1] == "No failures. Not checked: llm."


def test_a_token_that_may_not_write_is_named_by_permission() -> None:
    abilities = TokenAbilities(contents=True, pull_requests=False, issues=None, workflows=False)
    found = examine(setup(host=Host(abilities)))
    assert ill(found) == ["the token may not write pull requests"]
    assert "the token does not show whether it may write issues" in ill(found, Health.WARN)
    assert "the token may not write workflow files" in ill(found, Health.WARN)


def test_rulesets_that_stand_in_the_way_of_our_branches_are_named() -> None:
    rules = (
        BranchRule(kind="creation", ruleset=1),
        BranchRule(kind="workflows", ruleset=2),
        BranchRule(kind="file_path_restriction", ruleset=3, parameters={"restricted_file_paths": ["infra/*"]}),
    )
    found = examine(setup(rules=rules))
    (what,) = ill(found)
    assert what.startswith("The ruleset `set 1` applies to our branch `ops-agent/issue-1`: creations are restricted")
    warned = ill(found, Health.WARN)
    assert any("workflows must pass" in what for what in warned) and "rulesets restrict `infra/*`" in warned


def test_a_broken_check_does_not_hide_the_others() -> None:
    error = NotFound("DrivvenConsulting/orders is not there", hint="look again")
    found = examine(setup(host=Host(ALL, error=error), engine_error=ToolchainError("no terraform")))
    assert ill(found) == ["DrivvenConsulting/orders is not there", "no terraform"]
    assert any(one.subject == "AWS" and one.health is Health.OK for one in found)


def test_an_archived_repository_cannot_be_worked_on() -> None:
    archived = Repository(owner="DrivvenConsulting", name="orders", id=1, default_branch="main", archived=True)
    assert ill(examine(setup(host=Host(ALL, archived)))) == ["the repository is archived or disabled"]


def test_a_board_that_cannot_be_read_is_a_warning_and_a_missing_column_is_not() -> None:
    assert "no such project" in ill(examine(setup(card="no such project")), Health.WARN)
    (what,) = ill(examine(setup(settings=healthy(status_in_progress="Doing"))))
    assert what == "there is no column `Doing` (`status_in_progress`)"


def test_an_id_token_permission_that_nothing_needs_is_a_warning() -> None:
    found = examine(setup(settings=healthy(aws_role_arns={})))
    assert "the job has `id-token: write`, and no input needs an OIDC token" in ill(found, Health.WARN)
    assert not ill(found)


def test_a_role_without_the_right_to_ask_for_tokens_fails_on_a_runner_and_is_skipped_on_a_laptop() -> None:
    assert ill(examine(setup(environment=RUNNER))) == ["this process cannot ask for OIDC tokens, so no role was tried"]
    laptop = examine(setup(environment={"GITHUB_REPOSITORY": REPOSITORY.full_name}))
    assert not ill(laptop) and "this process cannot ask for OIDC tokens, so no role was tried" in ill(
        laptop, Health.SKIP
    )


def test_a_role_that_is_refused_says_why() -> None:
    found = examine(setup(lease_error=AwsError("Not authorized to perform sts:AssumeRoleWithWebIdentity")))
    (one,) = [d for d in found if d.health is Health.FAIL]
    assert "Not authorized" in one.what and "aws-role.md" in one.hint


def test_a_linter_that_does_not_start_or_finds_nothing_fails() -> None:
    there = setup()
    there.world.linters.check = Mock(side_effect=ToolchainError("zizmor is not installed beside ops-agent"))
    assert ill(examine(there)) == ["zizmor is not installed beside ops-agent"]
    blind = examine(setup(finding=("actionlint",)))
    assert ill(blind) == ["zizmor does not find the injection in a sample workflow"]


def test_odd_places_of_the_layout_are_shown_with_their_remedy() -> None:
    files = {"infra/main.tf": b'terraform {\n  backend "s3" {}\n}\n', "infra/backend/dev/backend.hcl": b""}
    entries = {path: TreeEntry(path=path, mode="100644", blob="b" * 40, size=1) for path in files}
    tree: Any = SimpleNamespace(commit="a" * 40, entries=lambda: entries, read=files.__getitem__)
    prod = ("infra/backend/prod/backend.hcl", "infra/environments/prod/terraform.tfvars")
    found = examine(setup(tree=tree, layout=discover_layout(files, tree.read, Policy())))
    assert [(d.what, d.hint) for d in found if d.subject == "layout" and d.health is Health.WARN] == [
        (
            "infra: the environment `prod` has no files here",
            f"Add `{prod[0]}` and `{prod[1]}` if this root serves `prod`; if not, nothing is wrong.",
        )
    ]


def test_credentials_left_in_the_checkout_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text('[http "https://github.com/"]\n\textraheader = AUTHORIZATION: basic xxx\n')
    found = examine(setup(environment=OIDC | {"GITHUB_WORKSPACE": str(tmp_path)}))
    assert ill(found, Health.WARN) == ["the checkout's .git/config holds a token"]


def test_every_wrong_input_is_named_at_once_and_the_rest_is_still_examined(tmp_path: Path) -> None:
    found = diagnose(
        tmp_path, {"INPUT_MAX_TURNS": "many", "INPUT_EFFORT": "huge", "INPUT_TYPO": "x", "PATH": "/usr/bin:/bin"}
    )
    inputs = [one.what for one in found if one.subject == "inputs"]
    assert len(inputs) == 3 and all(one.health is Health.FAIL for one in found if one.subject == "inputs")
    assert {"max_turns", "effort", "typo"} == {what.split("`")[1] for what in inputs}
    assert any(one.subject == "toolchain" for one in found)


def doctored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **more: str) -> str:
    monkeypatch.setattr(doctor, "CHECKS", {"llm": doctor.CHECKS["llm"]})
    run_doctor(
        parse(["doctor", "--repo", str(tmp_path)]), {"PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": "sk-ant-own", **more}
    )
    return capsys.readouterr().out


def test_on_a_laptop_the_doctor_takes_the_key_that_a_local_run_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a runner only inputs count."""
    assert "through an Anthropic key (not called" in doctored(tmp_path, monkeypatch, capsys)
    assert "no credentials for the language model" in doctored(tmp_path, monkeypatch, capsys, GITHUB_ACTIONS="true")
    other = {"INPUT_USE_BEDROCK": "true", "INPUT_BEDROCK_ROLE_ARN": ROLE, "INPUT_MODEL": "global.anthropic.claude"}
    assert "through Bedrock" in doctored(tmp_path, monkeypatch, capsys, **other), (
        "a way that an input names is not doubled"
    )


def test_the_servers_of_mcp_config_are_asked_for_their_tools_and_for_a_standard_in_each_space() -> None:
    page = WikiPage(id="1", version=1, space="OPS", title="Terraform standard", text="...")
    answer = WikiAnswer(pages=(page,), tools={"wiki": ("confluence_search", "confluence_get_page")})
    usual = setup(settings=healthy(confluence_spaces=("OPS", "ARCH")))

    def found(answer: WikiAnswer) -> list[tuple[Health, str]]:
        world: Any = usual.world
        world.wiki = SimpleNamespace(find=lambda _: answer)
        return [(one.health, one.what) for one in CHECKS["Confluence"](usual)]

    assert [*CHECKS["Confluence"](usual)] == []
    assert found(answer) == [
        (Health.OK, "MCP server `wiki` offers confluence_search and confluence_get_page"),
        (Health.WARN, "no general standard was found in ARCH"),
    ]
    dead = WikiAnswer(tools={"wiki": ()}, problems=("MCP server `wiki`: it did not answer",))
    assert found(dead) == [(Health.WARN, "MCP server `wiki`: it did not answer")]


def test_another_region_than_the_default_is_a_warning() -> None:
    """docs/decisions/0006."""
    elsewhere = healthy(policy=Policy(region="eu-central-1"))
    assert "`aws_region` makes eu-central-1 the only region" in ill(examine(setup(settings=elsewhere)), Health.WARN)


def test_on_a_laptop_what_only_a_job_has_is_not_checked_and_says_where_it_is(tmp_path: Path) -> None:
    """No token, no key, no OIDC; federation and Bedrock need a job as well."""
    laptop = examine(setup(settings=Settings(probe_llm=True, aws_role_arns={"dev": ROLE}), environment={}))
    assert not ill(laptop), "nothing of it is the repository's fault"
    skipped = {one.subject: one.hint for one in laptop if one.health is Health.SKIP}
    assert set(skipped) == {"GitHub", "board", "AWS", "llm"}
    assert "ANTHROPIC_API_KEY" in skipped.pop("llm")
    assert set(skipped.values()) == {"The doctor's workflow checks that in a job (examples/doctor.yml)."}
    assert " ".join(as_lines(laptop)).count("examples/doctor.yml") == 1, "terse"
    federation = healthy(anthropic_api_key="", use_bedrock=True, bedrock_role_arn=ROLE, probe_llm=True)
    (line,) = (one for one in examine(setup(settings=federation, environment=RUNNER)) if one.subject == "llm")
    assert line.health is Health.FAIL and "id-token: write" in line.hint


def test_a_kernel_that_confines_less_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "landlock_abi", lambda: 3)
    (what,) = ill(examine(setup()), Health.WARN)
    assert (
        what == "this kernel does not keep a hostile provider from: connections past the proxy (Landlock 4, Linux 6.7)"
    )


HOSTILE = "infra/\n::error::x\r##[group]y\x1b[2J|<!-- @maria [a](http://evil) `\n# Title"


def test_hostile_names_do_nothing_in_lines_json_and_the_page() -> None:
    """A path may hold anything but a NUL."""
    found = [Diagnosis("layout", Health.WARN, f"{HOSTILE}: odd", "add these\nlayout:\n  ```\n</details>"), FINE, WORSE]
    lines = [*as_lines(found)]
    assert all("\n" not in line and "\x1b" not in line and "\r" not in line for line in lines)
    assert "##[" not in as_json(found), "the runner would take it for a command, wherever it stands in a line"
    assert json.loads(as_json(found)) == {
        "version": 1,
        "failures": 1,
        "warnings": 1,
        "diagnoses": [
            {"check": one.subject, "health": one.health, "what": one.what, "hint": one.hint, "details": []}
            for one in found
        ],
    }
    page = as_page(found)
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[1] for line in table[2:]] == ["AWS", "layout"] and all(x.count("|") == 5 for x in table)
    assert "@maria" not in page and "](http" not in page and "\n# Title" not in page
    assert page.count("<!--") == page.count("\\<!--")
    assert page.index("````yaml") < page.index("  ```\n</details>") < page.index("\n````\n")
    assert "- llm: fine" in page.split("<details>")[1]


FINE, WORSE = Diagnosis("llm", Health.OK, "fine"), Diagnosis("AWS", Health.FAIL, "no", "do")


def test_a_page_that_would_not_fit_into_an_issue_is_cut_with_a_mark() -> None:
    page = as_page([Diagnosis("layout", Health.WARN, f"{n}: {'x' * 200}", "do") for n in range(1_000)])
    assert 50_000 < len(page) < 61_000 and page.endswith("*(cut here: the job's log has every line)*")


def test_the_command_prints_json_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {})
    assert run_doctor(parse(["doctor", "--json", "--repo", str(tmp_path)]), {"PATH": "/usr/bin:/bin"}) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["failures"] == 1 and told["diagnoses"][1]["check"] == "layout"
