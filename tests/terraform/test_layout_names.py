"""Environments are never mixed up: whole names before words, states that belong to one environment alone, and lines for
the policy file that it takes as they are.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from layout_repository import PARTIAL, QUEUE, WHOLE, Look, Repository, environments, nothing_is_planned
from ops_agent.config.policy_file import POLICY_FILE, narrow, read_policy
from ops_agent.config.settings import Settings
from ops_agent.doctor.questions import questions
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import Environment
from ops_agent.terraform.environments import environment_of_path
from ops_agent.terraform.layout import discover_layout, survey_of

ACCOUNTS = {
    "dev": "111111111111",
    "infra-dev": "222222222222",
    "prod": "333333333333",
    "data-prod-eu": "444444444444",
    "prod-eu": "555555555555",
}
USES_WORKSPACE = 'locals {\n  name = "orders-${terraform.workspace}"\n}\n'
MAPPING = "layout:\n  - root: stack\n    environments:\n"


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Repository(tmp_path).look


def of_root(files: dict[str, str], root: str, accounts: dict[str, str] | None = None) -> dict[str, Environment]:
    policy = replace(Policy(), accounts=accounts or Policy().accounts)
    layout = discover_layout(files, lambda path: files[path].encode(), policy)
    return {e.name: e for r in layout.roots if r.path == root for e in r.environments}


def test_files_of_a_longer_name_are_never_those_of_a_word_in_it() -> None:
    """`dev` was planned with the state of `infra-dev`, which is another account."""
    names = ("infra-dev.s3.tfbackend", "infra-dev.tfvars", "prod.s3.tfbackend", "prod.tfvars")
    found = of_root({"stack/main.tf": PARTIAL, **{f"stack/{name}": "" for name in names}}, "stack", ACCOUNTS)
    assert {name: (e.account, e.backend_file, e.var_files) for name, e in found.items()} == {
        "infra-dev": (ACCOUNTS["infra-dev"], "stack/infra-dev.s3.tfbackend", ("stack/infra-dev.tfvars",)),
        "prod": (ACCOUNTS["prod"], "stack/prod.s3.tfbackend", ("stack/prod.tfvars",)),
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("orders-infra-dev.tfvars", "infra-dev"),
        ("infra_dev.backend.tfvars", "infra-dev"),
        ("orders-dev.tfvars", "dev"),
        ("vars/data-prod-eu.tfvars", "data-prod-eu"),
        ("app-prod-eu-1.tfvars", "prod-eu"),
        ("non-infra-dev.tfvars", "non-infra-dev"),
        ("infra-dev-prod.tfvars", None),
        ("infra-dev/dev.tfvars", None),
    ],
)
def test_the_longest_name_counts(path: str, name: str | None) -> None:
    assert environment_of_path(path, replace(Policy(), accounts=ACCOUNTS)) == name


def test_a_folder_for_environments_names_the_same_one_for_the_backend_and_the_variables() -> None:
    files = {"stack/main.tf": PARTIAL, "stack/envs/backend-blue.hcl": "", "stack/envs/blue.tfvars": ""}
    (blue,) = of_root(files, "stack").values()
    assert blue.name == "blue" and blue.account is None


def test_a_backend_that_is_complete_in_the_code_needs_no_file(look: Look) -> None:
    layout, said = look({"site/main.tf": WHOLE})
    assert "WRITE-THE-PATH" not in said and "dev: {}  # or the environment whose state it is" in layout.suggestion
    layout, said = look({POLICY_FILE: layout.suggestion})
    dev = environments(layout, "site")["dev"]
    assert not dev.unsettled and dev.backend_file is None and "not planned" not in said


def test_a_backend_without_a_bucket_is_not_complete(look: Look) -> None:
    keyed = 'terraform {\n  backend "s3" {\n    key = "orders"\n  }\n}\n'
    layout, said = look({"environments/prod/main.tf": keyed})
    assert "no backend file was found" in environments(layout, "environments/prod")["prod"].unsettled
    assert "WRITE-THE-PATH" in said


@pytest.mark.parametrize(
    ("environments_of_file", "why"),
    [
        ("      dev: {}\n", "reads `terraform.workspace`"),
        ("      dev: { backend: a.hcl }\n      prod: { backend: a.hcl }\n", "reads `terraform.workspace`"),
    ],
)
def test_a_mapping_does_not_settle_which_workspace_is_meant(environments_of_file: str, why: str, look: Look) -> None:
    """A plan against the empty state of `default` looks like a plan."""
    files = {"stack/main.tf": WHOLE + USES_WORKSPACE, "a.hcl": ""}
    layout, said = look(files)
    assert why in said and not layout.suggestion
    layout, said = look({POLICY_FILE: MAPPING + environments_of_file})
    assert all(why in e.unsettled for e in environments(layout, "stack").values()) and why in said
    own = MAPPING + "      dev: { backend: a.hcl }\n"
    layout, _ = look({POLICY_FILE: own})
    assert not environments(layout, "stack")["dev"].unsettled, "a backend file of its own is a state of its own"


@pytest.mark.parametrize(
    "lines", ["dev: {}\n      prod: {}", "dev: { backend: a.hcl }\n      prod: { backend: a.hcl }"]
)
def test_mapped_environments_never_share_a_state(lines: str, look: Look) -> None:
    layout, said = look({"stack/main.tf": WHOLE, "a.hcl": "", POLICY_FILE: f"{MAPPING}      {lines}\n"})
    assert all("would share one state" in e.unsettled for e in environments(layout, "stack").values())
    assert "Name a backend file of its own for each environment" in said


def test_a_mapped_root_keeps_its_state_in_s3(look: Look) -> None:
    cloud = 'terraform {\n  cloud {\n    organization = "x"\n  }\n}\n'
    layout, said = look({"stack/main.tf": cloud, POLICY_FILE: f"{MAPPING}      dev: {{}}\n"})
    assert "kept by `cloud`" in environments(layout, "stack")["dev"].unsettled and "kept by `cloud`" in said


def test_no_mapping_is_offered_for_an_environment_that_no_mapping_settles(look: Look) -> None:
    files = {"stack/main.tf": WHOLE + USES_WORKSPACE, "stack/dev.tfvars": "", "stack/common.tfvars": ""}
    layout, said = look(files)
    assert nothing_is_planned(layout) and "WRITE-THE-PATH" not in said and not layout.suggestion


def test_a_path_inside_an_environments_own_folder_is_not_doubled(look: Look) -> None:
    _, said = look({"environments/prod/main.tf": WHOLE, "environments/prod/variables.tf": 'variable "size" {}\n'})
    assert "environments/prod/terraform.tfvars: the environment `prod`" in said
    layout, _ = look({"environments/dev/main.tf": PARTIAL})
    assert "environments/dev/backend.hcl" in {finding.place.path for finding in layout.findings}


def test_a_change_that_makes_variables_a_backend_file_is_seen() -> None:
    files = {"stack/main.tf": PARTIAL.encode(), "stack/dev.backend.tfvars": b"size = 1\n", "stack/dev.tfvars": b""}
    base = SourceTree(FilesInMemory.of(files), Policy())
    assert base.layout.roots[0].environments[0].backend_file is None
    new = FileChange(path="stack/dev.backend.tfvars", before=b"size = 1\n", after=b'bucket = "state"\n')
    head = base.with_changes(ChangeSet(base_commit="", changes=(new,)))
    assert head.layout.roots[0].environments[0].backend_file == "stack/dev.backend.tfvars"


_ODD = ["data lake", "-x", "security-hub --", "é", "名", "a'b", 'a"b', "true", "no", "null", "1e3", "0x1f", "~", "a: b"]
_ODD += ["#a", "[a]", "{a}", "*a", "&a", "!a", "a, b", "@a", "a#b", "😀", "a\\b", "%a", "a\nb", "a\x85", "\ud800", "NO"]
_SEGMENTS = st.one_of(
    st.sampled_from(_ODD),
    st.sampled_from(["dev", "prod", "live", "env", "backend", "stack"]),
    st.text(st.characters(exclude_characters="/\x00"), min_size=1, max_size=5).filter(lambda t: t not in (".", "..")),
)
_ENDINGS = ["main.tf", "a.tfvars", "dev.tfvars", "b.tfbackend", "dev.backend.hcl", "backend.hcl", "{}.tfvars", "{}.hcl"]


@settings(deadline=None)
@example(["data lake/main.tf", "a b/dev.tfbackend", "-x/dev.tfvars"], PARTIAL)
@given(
    st.lists(
        st.tuples(st.lists(_SEGMENTS, max_size=3), st.sampled_from(_ENDINGS), _SEGMENTS).map(
            lambda parts: "/".join([*parts[0], parts[1].format(parts[2])])
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([PARTIAL, WHOLE, PARTIAL + USES_WORKSPACE, WHOLE + USES_WORKSPACE, QUEUE + 'provider "aws" {}\n']),
)
def test_the_doctors_lines_are_taken_as_they_are(paths: list[str], code: str) -> None:
    """Whatever the paths are; and what they name is then taken from them."""
    files = {"-/main.tf": code, **{path: code if path.endswith(".tf") else "" for path in paths}}

    def read(path: str) -> bytes:
        return files[path].encode()

    _, lines = questions(survey_of(files, read, Policy()), Policy(), read)
    if not lines:
        return
    file, problems, _ = read_policy(lines.encode())
    assert not problems, lines
    policy = narrow(Settings(), file).policy
    again = survey_of(files, read, policy)
    mapped = {root.path for root in policy.layout}
    assert mapped == {root.module.directory for root in again.roots if root.is_mapped}, json.dumps(lines)
    for root in again.roots:
        for doubt in root.doubts.values() if root.is_mapped else ():
            assert "WRITE-THE-PATH" in doubt.why or doubt.kind not in ("mapped-file-missing", "backend-file-missing")
