"""The doctor names roots with modules from outside, whether a token is given, and whether they come; whose token serves
which host.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from adapters.terraform.module_worlds import TOKEN, call, engine
from ops_agent.config.settings import Settings
from ops_agent.doctor.checks import check_modules
from ops_agent.doctor.diagnosis import Health, Setup
from ops_agent.model.change_set import TreeEntry
from ops_agent.model.policy import Policy
from ops_agent.terraform.layout import discover_layout
from ops_agent.terraform.module_sources import read_module_source
from ops_agent.wiring import module_credentials

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(120)]
BACKEND = 'terraform {\n  backend "s3" {}\n}\n'


def setup(files: dict[str, str], settings: Settings, terraform: Any, environment: dict[str, str]) -> Setup:
    content = {path: text.encode() for path, text in files.items()}
    entries = {path: TreeEntry(path=path, mode="100644", blob="b" * 40, size=1) for path in content}
    tree: Any = SimpleNamespace(commit="a" * 40, entries=lambda: entries, read=content.__getitem__)
    world: Any = SimpleNamespace(terraform=terraform)
    layout = discover_layout(content, tree.read, Policy())
    return Setup(settings=settings, world=world, environment=environment, tree=tree, layout=layout)


def test_roots_tokens_and_answers_are_named(host):
    files = {
        "one/main.tf": BACKEND + call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="a"),
        "two/main.tf": BACKEND + call("git@github.com:org/net.git", "far"),
        "three/main.tf": BACKEND,
    }
    settings = Settings(module_credentials={host.name: TOKEN})
    with engine(host) as terraform:
        found = list(check_modules(setup(files, settings, terraform, {})))
        on_runner = list(check_modules(setup(files, settings, terraform, {"GITHUB_ACTIONS": "true"})))
    said = [(one.health, one.what) for one in found]
    source = f"git::{host.url}/org/net.git//sqs?ref=v1"
    assert said[0] == (
        Health.OK,
        f"root module `one` calls modules from outside: `queue` from `{source}` (token given)",
    )
    assert said[1][0] is Health.OK and said[1][1].startswith("the modules of `one` were fetched in ")
    assert said[2][0] is Health.WARN, "nothing is called fine that did not come"
    assert (
        said[2][1] == "root module `two` calls modules from outside: `far` from `git@github.com:org/net.git` (no token)"
    )
    assert said[3][0] is Health.WARN and said[3][1].startswith(
        "two/main.tf:4: Module `far` of the root `two` cannot be fetched"
    )
    assert "`github.com=<token that may read it>`" in found[3].hint
    assert len(found) == 4 and on_runner[3].health is Health.FAIL
    assert TOKEN not in str(found)


def test_a_source_that_is_refused_everywhere_fails_on_a_laptop_too(host):
    files = {"one/main.tf": BACKEND + call("s3::https://s3-sa-east-1.amazonaws.com/modules/net.zip", "far")}
    with engine(host) as terraform:
        found = list(check_modules(setup(files, Settings(), terraform, {})))
    assert len(found) == 2 and {one.health for one in found} == {Health.FAIL}
    assert "(refused)" in found[0].what


@pytest.mark.parametrize(
    ("environment", "source", "serves"),
    [
        ({}, "git::https://github.com/org/modules.git", True),
        ({}, "git@github.com:ORG/modules.git", True),
        ({}, "git::https://github.com/stranger/modules.git", False),
        ({}, "git::https://github.example.com/org/modules.git", False),
        ({}, "github.com/org/modules", True),
        ({}, "https://github.com/org/modules.zip", False),
        ({"GITHUB_SERVER_URL": "https://ghe.example.com"}, "git::https://ghe.example.com/org/modules.git", True),
        ({"GITHUB_SERVER_URL": "https://ghe.example.com"}, "git::https://github.com/org/modules.git", False),
        ({"GITHUB_SERVER_URL": "http://127.0.0.1:1234"}, "git::https://127.0.0.1:1234/org/modules.git", False),
    ],
)
def test_the_run_s_own_token_serves_the_owner_on_the_host_that_issued_it(environment, source, serves):
    settings = Settings(github_token="a-token-of-the-run")
    given = module_credentials(settings, {"GITHUB_REPOSITORY": "org/orders", **environment})
    assert given.serve(read_module_source(source)) is serves
    assert not module_credentials(Settings(), {"GITHUB_REPOSITORY": "org/orders"}).serve(read_module_source(source))
