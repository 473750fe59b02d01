"""Which version of Terraform or OpenTofu a repository asks for, as Terraform, tfenv, tenv and asdf read it."""

from __future__ import annotations

import pytest

from ops_agent.model.finding import Place
from ops_agent.model.terraform import EngineWish
from ops_agent.terraform.versions import is_as_pinned, pinned_version, takes, unmet, version_to_install

HERE = Place(path="infra/versions.tf", line=2)


@pytest.mark.parametrize(
    ("constraint", "taken", "refused"),
    [
        ("~> 1.10.0", ["1.10.0", "1.10.5"], ["1.9.9", "1.11.0", "1.15.5"]),
        ("~> 1.9", ["1.9.0", "1.15.5"], ["1.8.5", "2.0.0"]),
        ("~> 1", ["1.9.0"], ["0.15.0"]),
        (">= 1.5, < 1.11", ["1.5.0", "1.10.9"], ["1.4.9", "1.11.0"]),
        (">=1.5,!=1.9.1", ["1.9.0"], ["1.9.1"]),
        ("1.14.3", ["1.14.3"], ["1.14.4"]),
        ("= v1.14.3", ["1.14.3"], ["1.14.2"]),
        ("<= 1.9.8", ["1.9.8"], ["1.9.9"]),
        ("> 1.9", ["1.9.1", "1.10.0"], ["1.9.0"]),
        ("${var.computed}", ["1.15.5"], []),
    ],
)
def test_a_constraint_takes_the_versions_that_terraform_takes(
    constraint: str, taken: list[str], refused: list[str]
) -> None:
    assert [v for v in (*taken, *refused) if takes(constraint, v)] == taken


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"infra/.terraform-version": "1.10.5\n"}, ("terraform", "1.10.5", "infra/.terraform-version:1")),
        ({".terraform-version": "v1.9.8"}, ("terraform", "1.9.8", ".terraform-version:1")),
        ({"infra/.opentofu-version": "1.11.1\n"}, ("tofu", "1.11.1", "infra/.opentofu-version:1")),
        (
            {".tool-versions": "nodejs 22.1.0\n# terraform 1.0.0\nterraform 1.14.3 # ours\n"},
            ("terraform", "1.14.3", ".tool-versions:3"),
        ),
        ({".tool-versions": "opentofu 1.10.6\n"}, ("tofu", "1.10.6", ".tool-versions:1")),
        (
            {".terraform-version": "1.8.0", "infra/.tool-versions": "nodejs 22.1.0\n"},
            ("terraform", "1.8.0", ".terraform-version:1"),
        ),
        ({".terraform-version": "latest:^1.9\n"}, None),
        ({"infra/.terraform-version": "min-required"}, None),
        ({".tool-versions": "terraform\n\n\xff"}, None),
        ({}, None),
    ],
)
def test_the_nearest_version_file_names_the_engine(files: dict[str, str], found: tuple[str, str, str] | None) -> None:
    pinned = pinned_version("infra", files, lambda path: files[path].encode("latin-1"))
    assert (pinned and (*pinned[:2], str(pinned[2]))) == found


def test_what_is_not_met_is_said_with_its_place_and_a_version_that_meets_it() -> None:
    narrow = EngineWish(required=((HERE, ">= 1.5"), (HERE, "~> 1.10.0")))
    assert unmet(narrow, "terraform", "1.15.5") == ("`required_version` ~> 1.10.0", HERE)
    assert unmet(narrow, "terraform", "1.10.5") is None
    assert version_to_install(narrow, "terraform") == "1.10.0"
    assert unmet(EngineWish(loads_tofu=HERE), "terraform", "1.15.5") == ("files that only OpenTofu loads", HERE)
    assert unmet(EngineWish(loads_tofu=HERE), "tofu", "1.10.6") is None
    pinned = EngineWish(required=((HERE, "~> 1.9"),), pinned=("terraform", "1.14.3", HERE))
    assert unmet(pinned, "terraform", "1.15.5") is None and not is_as_pinned(pinned, "terraform", "1.15.5")
    assert version_to_install(pinned, "terraform") == "1.14.3"
    assert version_to_install(EngineWish(required=((HERE, "< 1.5"),)), "terraform") == "", (
        "ops-agent runs none of these"
    )
