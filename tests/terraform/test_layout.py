"""Discovery of roots, environments and modules in the layouts seen in the field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.doctor.questions import questions
from ops_agent.model.finding import Finding
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Layout, MappedEnvironment, MappedRoot
from ops_agent.terraform.layout import LayoutUses, discover_layout, survey_of, targets

BACKEND = 'terraform {\n  backend "s3" {}\n}\n'
PROVIDER = 'provider "aws" {\n  region = var.region\n}\n'


def layout(files: dict[str, str], mapping: tuple[MappedRoot, ...] = ()) -> Layout:
    return discover_layout(files, lambda p: files[p].encode(), Policy(layout=mapping))


def asked(files: dict[str, str], mapping: tuple[MappedRoot, ...] = ()) -> tuple[Finding, ...]:
    """The doctor's questions."""
    policy = Policy(layout=mapping)

    def read(path: str) -> bytes:
        return files[path].encode()

    return questions(survey_of(files, read, policy), policy, read)[0]


TEAM = {
    "infra/main.tf": BACKEND + PROVIDER + 'module "queue" {\n  source = "./modules/queue"\n}\n',
    "infra/modules/queue/main.tf": 'module "alarm" {\n  source = "../alarm"\n}\n',
    "infra/modules/alarm/main.tf": "",
    "infra/modules/unused/main.tf": "",
    "infra/backend/dev/backend.hcl": "",
    "infra/backend/prod/backend.hcl": "",
    "infra/environments/dev/terraform.tfvars": "",
    "infra/environments/prod/terraform.tfvars": "",
    ".github/workflows/deploy.yml": "",
    "src/app.py": "",
}


def test_the_teams_layout_is_one_root_with_dev_and_prod() -> None:
    found = layout(TEAM)
    (root,) = found.roots
    assert root.path == "infra" and root.has_backend
    assert root.local_modules == ("infra/modules/alarm", "infra/modules/queue")
    dev, prod = root.environments
    assert (dev.name, dev.account, dev.backend_file) == ("dev", "125611408459", "infra/backend/dev/backend.hcl")
    assert prod.account == "283165662494" and prod.var_files == ("infra/environments/prod/terraform.tfvars",)
    assert found.workflows == (".github/workflows/deploy.yml",) and not asked(TEAM)


@pytest.mark.parametrize(
    "files",
    [
        {"infra/dev.tfbackend": "", "infra/prod.tfbackend": "", "infra/dev.tfvars": "", "infra/prod.tfvars": ""},
        {
            "infra/config/dev.tfbackend": "",
            "infra/config/prod.tfbackend": "",
            "infra/vars/dev.tfvars": "",
            "infra/vars/prod.tfvars": "",
        },
        {
            "infra/envs/dev/backend.hcl": "",
            "infra/envs/prod/backend.hcl": "",
            "infra/envs/dev/x.tfvars": "",
            "infra/envs/prod/x.tfvars": "",
        },
        {
            "infra/backend/dev.hcl": "",
            "infra/backend/prod.hcl": "",
            "infra/environments/dev.tfvars": "",
            "infra/environments/prod.tfvars": "",
        },
        {
            "infra/backend-dev.hcl": "",
            "infra/backend-prod.hcl": "",
            "infra/env/dev.tfvars": "",
            "infra/env/prod.tfvars": "",
        },
    ],
)
def test_variants_of_backend_and_variable_files_are_found(files: dict[str, str]) -> None:
    found = layout({"infra/main.tf": BACKEND, **files})
    (root,) = found.roots
    assert [(e.name, bool(e.backend_file), len(e.var_files)) for e in root.environments] == [
        ("dev", True, 1),
        ("prod", True, 1),
    ]
    assert not asked({"infra/main.tf": BACKEND, **files})


def test_directories_of_environments_are_roots_of_their_own() -> None:
    files = {
        f"environments/{e}/main.tf": BACKEND + 'module "app" {\n  source = "../../modules/app"\n}\n'
        for e in ("development", "prod")
    }
    found = layout({**files, "modules/app/main.tf": PROVIDER})
    assert [(r.path, r.environments[0].name, r.environments[0].account) for r in found.roots] == [
        ("environments/development", "development", "125611408459"),
        ("environments/prod", "prod", "283165662494"),
    ]


def test_several_roots_and_opentofu_files_are_found() -> None:
    found = layout(
        {"network/main.tofu": BACKEND, "network/dev.tfvars": "", "app/main.tf": BACKEND, "app/dev.tfvars": ""}
    )
    assert [r.path for r in found.roots] == ["app", "network"]


def test_one_environment_in_two_spellings_is_one() -> None:
    found = layout(
        {
            "infra/main.tf": BACKEND,
            "infra/backend/development/backend.hcl": "",
            "infra/environments/dev/terraform.tfvars": "",
        }
    )
    assert len(found.roots[0].environments) == 1


def test_a_module_change_marks_every_root_that_reaches_it() -> None:
    found = layout({**TEAM, "other/main.tf": BACKEND, "other/dev.tfvars": ""})
    assert [r.path for r in LayoutUses(found).affected(["infra/modules/alarm/variables.tf"])] == ["infra"]
    assert [r.path for r in LayoutUses(found).affected(["infra/environments/dev/terraform.tfvars"])] == ["infra"]
    assert [r.path for r in LayoutUses(found).affected(["infra/templates/x.tftpl"])] == ["infra"]
    assert not LayoutUses(found).affected([".github/workflows/deploy.yml", "infra/modules/unused/main.tf"])


@pytest.mark.parametrize("directory", ["environments/prod", "live/prod/network", "prod"])
def test_a_missing_file_of_a_root_that_is_an_environment_belongs_beside_its_code(directory: str) -> None:
    files = {f"{directory}/main.tf": BACKEND + 'variable "name" {}\n'}
    assert [f.place.path for f in asked(files)] == [f"{directory}/backend.hcl"]
    files[f"{directory}/backend.hcl"] = 'bucket = "b"\nkey = "k"\n'
    assert [f.place.path for f in asked(files)] == [f"{directory}/terraform.tfvars"]


def test_a_missing_file_of_an_environment_is_a_finding_that_does_not_block() -> None:
    files = {p: t for p, t in TEAM.items() if "prod" not in p or "backend" in p}
    files["infra/variables.tf"] = 'variable "name" {}\n'
    (finding,) = asked(files)
    assert finding.rule == "layout/variable-file-missing" and "prod" in finding.what and not finding.blocks
    files = {p: t for p, t in TEAM.items() if p != "infra/backend/dev/backend.hcl"}
    assert [f.rule for f in asked(files)] == ["layout/backend-file-missing"]
    files = {p: t for p, t in TEAM.items() if "prod" not in p}
    assert [f.rule for f in asked(files)] == ["layout/environment-missing"]


def test_a_repository_without_terraform_has_an_empty_layout_that_says_so() -> None:
    files = {"README.md": ""}
    assert not layout(files).roots and [f.rule for f in asked(files)] == ["layout/no-terraform"]


def test_a_mapping_helps_where_names_say_nothing() -> None:
    files = {"stack/main.tf": BACKEND, "stack/a.cfg.hcl": "", "stack/a.tfvars": ""}
    mapping = (
        MappedRoot(
            path="stack",
            environments=(
                MappedEnvironment(
                    name="dev", backend_file="stack/a.cfg.hcl", var_files=("stack/a.tfvars", "stack/gone.tfvars")
                ),
            ),
        ),
    )
    found = layout(files, mapping)
    (target,) = targets(found.roots)
    assert target.environment.backend_file == "stack/a.cfg.hcl" and target.environment.var_files == ("stack/a.tfvars",)
    assert [f.rule for f in asked(files, mapping)] == ["layout/mapped-file-missing"]


@given(
    st.dictionaries(
        st.sampled_from([*TEAM, "main.tf", "infra/x.tf.json", "infra/dev/x.tf"]),
        st.sampled_from(["", "{", BACKEND, PROVIDER, '{"a":1}']),
    )
)
def test_no_set_of_files_makes_discovery_fail(files: dict[str, str]) -> None:
    layout(files)
    asked(files)


@pytest.mark.parametrize(
    "source",
    [
        'source = "./modules/queue"',
        'source="./modules/queue"',
        'source = "\\u002e/modules/queue"',
        'source = ("./modules/queue")',
        'source /* local */ = "./modules/queue"',
        '/* local */ source = "./modules/queue"',
        'source = /* local */ "./modules/queue"',
    ],
)
@pytest.mark.parametrize("form", ["module q {{\n  {}\n}}\n", "module q {{ {} }}\n", "module q {{\r\n\t{}\r\n}}\r\n"])
def test_a_call_of_a_local_module_is_seen_however_it_is_spelled(source: str, form: str) -> None:
    files = {"app/main.tf": BACKEND, "app/calls.tf": form.format(source), "app/modules/queue/main.tf": ""}
    assert [root.local_modules for root in layout(files).roots] == [("app/modules/queue",)]


@pytest.mark.parametrize("line", ["# {}", "  // {}", "\t# not {}"])
def test_a_commented_line_reads_no_workspace(line: str) -> None:
    def reads(text: str) -> bool:
        files = {"app/main.tf": BACKEND + text}
        return survey_of(files, lambda p: files[p].encode(), Policy()).modules["app"].reads_workspace

    assert not reads(line.format("terraform.workspace") + "\n")
    assert reads(line.format("terraform.workspace") + "\nlocals {\n  x = terraform . workspace\n}\n")
