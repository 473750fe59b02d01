"""Layouts seen in the field that are plain: each a small repository, what discovery finds and what the doctor says."""

from __future__ import annotations

from pathlib import Path

import pytest

from layout_repository import DEV, PARTIAL, PROD, QUEUE, WHOLE, Look, Repository, environments


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Repository(tmp_path).look


STATE = 'bucket = "state-@"\nkey    = "orders"\nregion = "sa-east-1"\n'
PLAIN: dict[str, dict[str, str]] = {
    "the team's": {"infra/backend/{e}/backend.hcl": "", "infra/environments/{e}/terraform.tfvars": ""},
    "tfbackend and tfvars beside the code": {"infra/{e}.tfbackend": "", "infra/{e}.tfvars": ""},
    "s3.tfbackend by prefix": {"infra/{e}.s3.tfbackend": "", "infra/{e}.tfvars": ""},
    "envs": {"infra/envs/{e}/backend.hcl": "", "infra/envs/{e}/terraform.tfvars": ""},
    "variables in JSON": {"infra/backend/{e}.hcl": "", "infra/vars/{e}.tfvars.json": "{}"},
    "several variable files in the environment's own folder": {
        "infra/backend/{e}/backend.hcl": "",
        "infra/environments/{e}/network.tfvars": "",
        "infra/environments/{e}/queues.tfvars": "",
    },
    "accounts by number": {"infra/backend/{n}/backend.hcl": "", "infra/environments/{n}/terraform.tfvars": ""},
    "a backend in tfvars by suffix": {"infra/env/{e}.backend.tfvars": STATE, "infra/env/{e}.tfvars": ""},
    "a backend in tfvars by prefix": {"infra/vars/backend-{e}.tfvars": STATE, "infra/vars/{e}.tfvars": ""},
    "a backend in a folder for backends": {"infra/backend-config/{e}.tfvars": STATE, "infra/env/{e}.tfvars": ""},
    "a backend in the environment's folder": {
        "infra/environments/{e}/backend.tfvars": STATE,
        "infra/environments/{e}/terraform.tfvars": "",
    },
    "workspace variables": {
        "infra/workspace_variables/{e}_backend.tfvars": STATE,
        "infra/workspace_variables/{e}.tfvars.json": "{}",
    },
    "a backend in conf": {"infra/config/backend-{e}.conf": STATE, "infra/config/{e}.tfvars": ""},
    "the environment behind the word config": {"infra/config.{e}.tfbackend": "", "infra/{e}.tfvars": ""},
    "capital letters": {"infra/Backend-{E}.hcl".replace("Backend", "backend"): "", "infra/{E}.tfvars": ""},
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_layout_is_one_root_with_dev_and_prod(name: str, look: Look) -> None:
    files = {"infra/main.tf": PARTIAL + QUEUE, "infra/variables.tf": 'variable "name" {}\n'}
    for e, n in (("dev", DEV), ("prod", PROD)):
        files |= {path.format(e=e, n=n, E=e.upper()): text.replace("@", e) for path, text in PLAIN[name].items()}
    layout, said = look(files)
    found = {k.lower(): v for k, v in environments(layout, "infra").items()}
    assert set(found) == {"dev", "prod"} and not layout.findings and not layout.suggestion, said
    assert {e.account for e in found.values()} == {DEV, PROD}
    for e, n in (("dev", DEV), ("prod", PROD)):
        files_of_it = [found[e].backend_file or "", *found[e].var_files]
        assert all(e in path.lower() or n in path for path in files_of_it) and len(files_of_it) > 1
    assert "ok    layout: root module `infra` with" in said and "warn" not in said


@pytest.mark.parametrize(
    "folder", ["environments/{e}", "live/{e}/network", "stacks/network/{e}", "accounts/{n}/network"]
)
@pytest.mark.parametrize(
    "backend",
    [{"main.tf": WHOLE}, {"main.tf": PARTIAL, "backend.hcl": ""}, {"main.tf": PARTIAL, "state.tfbackend": ""}],
)
def test_a_folder_for_each_environment_is_a_root_of_that_environment_alone(
    folder: str, backend: dict[str, str], look: Look
) -> None:
    call = 'module "app" {\n  source = "{up}modules/app"\n}\n'
    files = {"modules/app/main.tf": QUEUE + 'provider "aws" {}\n', "modules/app/variables.tf": 'variable "name" {}\n'}
    for e, n in (("dev", DEV), ("prod", PROD)):
        place = folder.format(e=e, n=n)
        up = "../" * len(place.split("/"))
        files |= {
            f"{place}/{name}": text + (call.replace("{up}", up) if name == "main.tf" else "")
            for name, text in backend.items()
        }
        files[f"{place}/terraform.tfvars"] = 'name = "x"\n'
    layout, said = look(files)
    assert {r.path for r in layout.roots} == {folder.format(e=e, n=n) for e, n in (("dev", DEV), ("prod", PROD))}, said
    for root in layout.roots:
        (environment,) = root.environments
        other = {DEV: ("prod", PROD), PROD: ("dev", DEV)}[environment.account or ""]
        assert not environment.unsettled and root.local_modules == ("modules/app",)
        assert not any(
            word in path for word in other for path in (environment.backend_file or "", *environment.var_files)
        )
    assert "not planned" not in said


def test_variables_of_something_called_backend_are_no_backend_file(look: Look) -> None:
    """What `backend` means is in the file, not in its name."""
    files = {"infra/main.tf": PARTIAL, "infra/backend-dev.hcl": ""}
    layout, _ = look({**files, "infra/env/dev/backend.tfvars": 'bucket = "uploads"\ninstances = 2\n'})
    dev = environments(layout, "infra")["dev"]
    assert (dev.backend_file, dev.var_files) == ("infra/backend-dev.hcl", ("infra/env/dev/backend.tfvars",))


def test_several_roots_keep_their_files_apart(look: Look) -> None:
    files = {
        f"{r}/{p}": t
        for r in ("stacks/app", "stacks/network")
        for p, t in {"main.tofu": PARTIAL, "dev.tfbackend": "", "dev.tfvars": ""}.items()
    }
    layout, _ = look(files)
    for root in ("stacks/app", "stacks/network"):
        dev = environments(layout, root)["dev"]
        assert (dev.backend_file, dev.var_files) == (f"{root}/dev.tfbackend", (f"{root}/dev.tfvars",))


def test_files_of_examples_and_tests_are_nobodys(look: Look) -> None:
    files = {
        "main.tf": PARTIAL,
        "dev.tfbackend": "",
        "dev.tfvars": "",
        "examples/complete/dev.tfvars": "",
        "tests/dev.tfvars": "",
    }
    layout, _ = look(files)
    assert environments(layout, ".")["dev"].var_files == ("dev.tfvars",)


def test_files_of_another_component_are_not_this_roots(look: Look) -> None:
    files = {"infra/main.tf": PARTIAL, "infra/backend/dev/backend.hcl": "", "infra/dev.tfvars": ""}
    layout, _ = look({**files, "infra/network/backend/dev/backend.hcl": "", "infra/network/dev.tfvars": ""})
    dev = environments(layout, "infra")["dev"]
    assert (dev.backend_file, dev.var_files, dev.unsettled) == (
        "infra/backend/dev/backend.hcl",
        ("infra/dev.tfvars",),
        "",
    )


def test_an_environment_called_test_is_one(look: Look) -> None:
    layout, said = look(
        {"infra/main.tf": PARTIAL, "infra/backend/test/backend.hcl": "", "infra/environments/test/terraform.tfvars": ""}
    )
    assert list(environments(layout, "infra")) == ["test"]
    assert "`test` has no account" in said and "add `test=<account>` to the input `aws_accounts`" in said
