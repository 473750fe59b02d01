"""Layouts that are unclear: what discovery refuses to guess, what the doctor says, and the lines that settle
it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from layout_repository import (
    PARTIAL,
    QUEUE,
    WHOLE,
    Look,
    Repository,
    environments,
    nothing_is_planned,
    rules,
    settled_by_its_own_lines,
)
from ops_agent.config.policy_file import POLICY_FILE
from ops_agent.terraform.layout import unsettled_by


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Repository(tmp_path).look


@pytest.mark.parametrize(
    "names",
    [
        ("infra/backend/dev/app.hcl", "infra/backend/dev/network.hcl", "infra/environments/dev/terraform.tfvars"),
        ("infra/backend/dev.hcl", "infra/app-dev.tfvars", "infra/worker-dev.tfvars"),
        ("infra/backend/dev.hcl", "infra/environments/us/dev.tfvars", "infra/environments/eu/dev.tfvars"),
    ],
)
def test_two_files_that_could_both_be_meant_are_never_both_used(names: tuple[str, ...], look: Look) -> None:
    files = {"infra/main.tf": PARTIAL, **dict.fromkeys(names, "")}
    layout, said = look(files)
    dev = environments(layout, "infra")["dev"]
    assert "unclear" in dev.unsettled and not dev.var_files and dev.backend_file is None
    assert "`dev` of `infra` is not planned: it is unclear which files are meant" in said
    assert "layout:\n" in said and "      - root: infra\n" not in said.replace("        - root: infra\n", "")
    settled_by_its_own_lines(look, files, layout)


@pytest.mark.parametrize(
    "path", ["infra/environments/dev/prod.tfvars", "infra/backend/dev/prod.hcl", "infra/config/dev-prod.tfvars"]
)
def test_a_file_that_names_two_environments_is_used_for_none(path: str, look: Look) -> None:
    """The worst outcome would be prod's values in dev's plan."""
    good = {
        f"infra/{p}": ""
        for e in ("dev", "prod")
        for p in (f"backend/{e}/backend.hcl", f"environments/{e}/terraform.tfvars")
    }
    layout, said = look({"infra/main.tf": PARTIAL, **good, path: ""})
    used = [f for e in environments(layout, "infra").values() for f in (e.backend_file, *e.var_files)]
    assert path not in used and len(used) == 4
    assert f"{path}: its path names two environments: it is used for none" in said


@pytest.mark.parametrize("name", ["pre-prod", "non-prod", "preprod", "nonprod"])
def test_what_is_not_prod_is_not_taken_for_prod(name: str, look: Look) -> None:
    layout, _ = look(
        {
            "infra/main.tf": PARTIAL,
            f"infra/backend/{name}/backend.hcl": "",
            f"infra/environments/{name}/terraform.tfvars": "",
        }
    )
    found = environments(layout, "infra")
    assert list(found) == [name] and found[name].account is None and found[name].unsettled


def test_a_file_of_prod_in_the_folder_of_dev_is_used_for_neither(look: Look) -> None:
    files = {"live/dev/main.tf": WHOLE, "live/dev/prod.tfvars": "", "live/prod/main.tf": WHOLE}
    layout, said = look(files)
    assert environments(layout, "live/dev")["dev"].unsettled and not environments(layout, "live/prod")["prod"].unsettled
    assert (
        "live/dev/prod.tfvars: it names `prod`, and it lies in the directory of `dev`: it is used for neither" in said
    )


def test_a_folder_below_two_environments_belongs_to_neither(look: Look) -> None:
    layout, said = look({"prod/dev/main.tf": WHOLE})
    assert layout.roots[0].environments == () and "the directory names `dev` and `prod`" in said
    assert "- root: prod/dev" in layout.suggestion


def test_environments_that_would_share_one_state_are_not_planned(look: Look) -> None:
    """With the backend written out, prod's values would be planned against dev's state."""
    files = {"infra/main.tf": WHOLE, "infra/dev.tfvars": "", "infra/prod.tfvars": ""}
    layout, said = look(files)
    assert nothing_is_planned(layout) and "shared-state" in rules(layout)
    assert "would share one state" in said and "WRITE-THE-PATH-OF-ITS-BACKEND-FILE" in said
    one, _ = look({"other/main.tf": WHOLE, "other/dev.tfvars": ""})
    assert not environments(one, "other")["dev"].unsettled, "one environment alone has its state"


def test_workspaces_are_not_selected_and_said_to_be_unsupported(look: Look) -> None:
    uses = 'locals {\n  name = "orders-${terraform.workspace}"\n}\n'
    layout, said = look({"infra/main.tf": PARTIAL + uses, "infra/dev.tfvars": "", "infra/prod.tfvars": ""})
    assert nothing_is_planned(layout) and "workspaces are not selected here" in said
    layout, said = look({"bare/main.tf": WHOLE + uses})
    assert layout.roots[0].environments == () and "reads `terraform.workspace`" in said
    call = 'module "m" {\n  source = "../m"\n}\n'
    layout, _ = look({"deep/main.tf": WHOLE + call, "deep/dev.tfvars": "", "m/main.tf": uses})
    assert environments(layout, "deep")["dev"].unsettled, "a module reads it"


def test_a_workspace_that_is_read_beside_backend_files_changes_nothing(look: Look) -> None:
    uses = 'locals {\n  name = "orders-${terraform.workspace}"\n}\n'
    layout, _ = look({"infra/main.tf": PARTIAL + uses, "infra/dev.tfbackend": "", "infra/dev.tfvars": ""})
    assert not environments(layout, "infra")["dev"].unsettled


def test_terragrunt_is_said_to_be_unsupported_and_its_modules_are_no_roots(look: Look) -> None:
    files = {
        "live/terragrunt.hcl": 'remote_state {\n  backend = "s3"\n}\n',
        "live/dev/app/terragrunt.hcl": 'terraform {\n  source = "../../../modules/app"\n}\n',
        "live/prod/app/terragrunt.hcl": 'terraform {\n  source = "../../../modules/app"\n}\n',
        "modules/app/main.tf": PARTIAL + QUEUE,
    }
    layout, said = look(files)
    assert not layout.roots and "Terragrunt is not supported" in said
    layout, _ = look({"wrapped/dev/main.tf": WHOLE, "wrapped/dev/terragrunt.hcl": ""})
    assert "Terragrunt" in environments(layout, "wrapped/dev")["dev"].unsettled


def test_stacks_and_foreign_backends_are_said_to_be_unsupported(look: Look) -> None:
    cloud = 'terraform {\n  cloud {\n    organization = "x"\n  }\n}\n'
    layout, said = look({"s/app.tfstack.hcl": "", "s/app.tfdeploy.hcl": "", "dev/main.tf": cloud})
    assert "Terraform Stacks are not supported" in said and "the state of `dev` is kept by `cloud`" in said
    assert environments(layout, "dev")["dev"].unsettled


@pytest.mark.parametrize(
    "module",
    [
        {"modules/queue/main.tf": QUEUE + 'provider "aws" {}\n'},
        {"modules/queue/main.tf": QUEUE, "modules/queue/dev.tfvars": ""},
        {"modules/sandbox/main.tf": QUEUE},
        {
            "infra/queue/main.tf": QUEUE,
            "infra/queue/dev.tfvars": "",
            "infra/more.tf": 'module "q" {\n  source = "./queue"\n}\n',
        },
    ],
)
def test_a_module_is_never_taken_for_a_root(module: dict[str, str], look: Look) -> None:
    layout, _ = look({"infra/main.tf": PARTIAL, "infra/dev.tfbackend": "", "infra/dev.tfvars": "", **module})
    assert [r.path for r in layout.roots] == ["infra"]


def test_a_folder_with_a_backend_block_alone_is_no_root(look: Look) -> None:
    layout, said = look(
        {
            "infra/main.tf": QUEUE + 'provider "aws" {}\n',
            "infra/backend/dev/backend.tf": WHOLE,
            "infra/environments/dev/x.tfvars": "",
        }
    )
    assert [r.path for r in layout.roots] == ["infra"]
    assert "infra/backend/dev: it holds a backend block alone" in said


def test_a_region_or_a_shared_file_is_no_environment(look: Look) -> None:
    files = {
        "infra/main.tf": PARTIAL,
        "infra/dev.tfbackend": "",
        "infra/vars/sa-east-1.tfvars": "",
        "infra/vars/common.tfvars": "",
        "infra/dev.tfvars": "",
    }
    layout, said = look({**files, "infra/environments/sa-east-1/x.tfvars": "", "infra/vars/network.tfvars": ""})
    assert list(environments(layout, "infra")) == ["dev"]
    assert "infra/vars/common.tfvars: it names no environment" in said
    assert "# of no environment, or of two: " in layout.suggestion


def test_what_terraform_loads_by_itself_counts_everywhere_and_is_said(look: Look) -> None:
    files = {
        "infra/main.tf": PARTIAL,
        "infra/dev.tfbackend": "",
        "infra/prod.tfbackend": "",
        "infra/prod.auto.tfvars": "",
    }
    layout, said = look(files)
    assert [e.var_files for e in environments(layout, "infra").values()] == [(), ()]
    assert "infra/prod.auto.tfvars: Terraform loads it by itself, so it counts in every environment" in said


@pytest.mark.parametrize(
    "files",
    [
        {
            "infra/terraform/main.tf": PARTIAL,
            "infra/backend/{e}/backend.hcl": "",
            "infra/environments/{e}/terraform.tfvars": "",
        },
        {"terraform/main.tf": PARTIAL, "config/{e}.tfbackend": "", "config/{e}.tfvars": ""},
    ],
)
def test_files_beside_the_root_are_not_guessed_but_offered_as_lines_that_settle_it(
    files: dict[str, str], look: Look
) -> None:
    files = {path.format(e=e): text for e in ("dev", "prod") for path, text in files.items()}
    layout, said = look(files)
    assert layout.roots[0].environments == () and "no environment of this root was found" in said
    again = settled_by_its_own_lines(look, files, layout)
    (root,) = again.roots
    assert [(e.name, bool(e.backend_file), len(e.var_files)) for e in root.environments] == [
        ("dev", True, 1),
        ("prod", True, 1),
    ]
    assert all(e.name in path for e in root.environments for path in (e.backend_file or "", *e.var_files))


def test_a_mapping_with_a_file_that_is_gone_is_not_planned(look: Look) -> None:
    mapping = "layout:\n  - root: infra\n    environments:\n      dev: { backend: a.hcl, variables: [gone.tfvars] }\n"
    layout, said = look({"infra/main.tf": PARTIAL, "a.hcl": "", POLICY_FILE: mapping})
    assert environments(layout, "infra")["dev"].unsettled and "gone.tfvars" in said


@pytest.mark.parametrize("added", ["infra/environments/us/dev.tfvars", "infra/backend/dev/second.hcl"])
def test_a_change_that_makes_a_plain_environment_ambiguous_is_reported_and_fails(added: str, look: Look) -> None:
    """Otherwise one more file would be a way to publish without a plan."""
    files = {
        f"infra/{p}": ""
        for e in ("dev", "prod")
        for p in (f"backend/{e}/backend.hcl", f"environments/{e}/terraform.tfvars")
    }
    before, _ = look({"infra/main.tf": PARTIAL, **files})
    after, _ = look({added: ""})
    (finding,) = unsettled_by(before, after)
    assert finding.blocks and "`dev` of `infra` cannot be planned any more" in finding.what
    assert unsettled_by(before, before) == () and unsettled_by(after, after) == ()
