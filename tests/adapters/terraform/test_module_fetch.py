"""Modules of the base come from real hosts: git's own http-backend and a private registry, over TLS, with the real
engine.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest

from adapters.terraform.conftest import available
from adapters.terraform.module_worlds import TOKEN, call, engine, fetch, only_finding, target
from adapters.terraform.worlds import write
from company_network import PASSWORD, company_network
from ops_agent.adapters.network import network
from ops_agent.adapters.terraform.module_hosts import ModuleCredentials
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.model.verification import CheckStatus

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(120)]


def made_by(terraform, tree: Path) -> str:
    """The output of a plan of `tree` in a cell."""
    with terraform.workspace(tree, target(), None) as workspace:
        first = workspace.init()
        assert first.status is CheckStatus.PASSED, first.findings
        assert "Downloading" not in first.output
        check, left = workspace.plan()
        assert left is not None, check.findings
        return json.loads(left.json_path.read_bytes())["planned_values"]["outputs"]["made"]["value"]


def test_a_base_whose_own_files_are_wrong_is_reported_as_that(host):
    """`get` of 1.15 loads the configuration and writes no manifest then."""
    with engine(host) as terraform:
        check = fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git//sqs?ref=v1", wrong="x")})
    assert check.status is CheckStatus.FAILED
    assert {f.title for f in check.findings} == {"The base branch's modules cannot be loaded"}
    assert any("Unsupported argument" in f.what and str(f.place) == "main.tf:3" for f in check.findings)


OUTPUT = 'output "made" {\n  value = module.queue.made\n}\n'


@pytest.mark.parametrize("binary", ["embedded", "terraform", "tofu"])
def test_git_and_registry_modules_are_fetched_once_and_every_cell_inits_without_asking_again(binary, host, tmp_path):
    source = f"git::{host.url}/org/net.git//sqs?ref=v1"
    files = {
        "main.tf": OUTPUT + call(source, name="a") + call("./local", "inner"),
        "local/main.tf": call(f"{host.name}/org/queue/aws", "deep", version="~> 1.0", name="b"),
    }
    with engine(host, binary=available(binary)) as terraform:
        check = fetch(terraform, files)
        assert check.status is CheckStatus.PASSED, check.findings
        assert check.output.splitlines() == [
            f"queue: {source} (commit {host.commit})",
            f"inner.deep: {host.name}/org/queue/aws (version 1.2.3)",
        ]
        asked = len(host.asked)
        base = made_by(terraform, write(tmp_path / "base", files))
        head = made_by(terraform, write(tmp_path / "head", {**files, "more.tf": "locals {}\n"}))
        assert base == head == "queue a of ../data/fetched/1/sqs"
        assert fetch(terraform, files) is check
        assert len(host.asked) == asked
    assert {one.secret for one in host.asked if one.authorization} == {TOKEN}


def test_the_token_is_in_no_argument_no_file_and_no_text(host, tmp_path, monkeypatch):
    seen: list[list[str]] = []
    with engine(host) as terraform:
        from ops_agent.adapters.terraform import processes

        started = processes.subprocess.Popen

        def watch(argv, **fields):
            seen.append(argv)
            return started(argv, **fields)

        monkeypatch.setattr(processes.subprocess, "Popen", watch)
        check = fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="queue")})
        held = [
            path
            for path in terraform._sandbox.root.rglob("*")
            if path.is_file() and TOKEN.encode() in path.read_bytes()
        ]
    assert check.status is CheckStatus.PASSED
    assert seen and TOKEN not in str(seen) and TOKEN not in str(check) and held == []


def test_another_key_with_source_and_version_of_the_base_gets_the_base_s_module(host, tmp_path):
    source = f"git::{host.url}/org/net.git//sqs?ref=v1"
    first = call(source, "queue", name="a")
    with engine(host) as terraform:
        assert fetch(terraform, {"main.tf": first}).status is CheckStatus.PASSED
        asked = len(host.asked)
        again = call(source, "again", name="b")
        tree = write(
            tmp_path,
            {
                "main.tf": 'output "made" {\n  value = module.moved.made\n}\n' + call("./local", "moved"),
                "local/main.tf": ('output "made" {\n  value = module.again.made\n}\n' + again),
            },
        )
        assert made_by(terraform, tree) == "queue b of ../data/fetched/0/sqs"
        assert len(host.asked) == asked


def test_a_call_that_the_head_changes_is_not_fetched_and_ends_in_a_clear_finding(host, tmp_path):
    source = f"git::{host.url}/org/net.git//sqs?ref="
    with engine(host) as terraform:
        assert fetch(terraform, {"main.tf": call(source + "v1", name="queue")}).status is CheckStatus.PASSED
        asked = [one for one in host.asked if one.authorization]
        with terraform.workspace(
            write(tmp_path, {"main.tf": call(source + host.commit, name="queue")}), target(), None
        ) as workspace:
            check = workspace.init()
        assert check.status is CheckStatus.FAILED
        found, unreachable = check.findings
        assert "`terraform init` tried to reach" in unreachable.what
        assert found.title == "A module cannot be fetched"
        assert "Only modules that the base branch uses already are fetched" in found.remedy
        assert [one for one in host.asked if one.authorization] == asked, "a sandboxed init had a token"


def test_ssh_sources_come_over_https_when_a_token_of_the_host_is_given(host):
    for source in ("git@127.0.0.1:org/net.git//sqs?ref=v1", "git::ssh://git@127.0.0.1/org/net.git//sqs?ref=v1"):
        with engine(host) as terraform:
            check = fetch(terraform, {"main.tf": call(source, name="queue")})
        assert check.status is CheckStatus.PASSED, check.findings
        assert host.commit in check.output


def test_an_ssh_source_without_a_token_names_file_line_host_and_input(host):
    with engine(host) as terraform:
        place, what, remedy = only_finding(
            fetch(terraform, {"infra/main.tf": "\n" + call("git@github.com:org/net.git")}, root="infra")
        )
    assert place == "infra/main.tf:2"
    assert "there is no ssh key here, and no token of `github.com`" in what
    assert "Give `github.com=<token that may read it>` in the input `module_credentials`" in remedy
    assert host.asked == []


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("s3::https://s3-eu-west-1.amazonaws.com/bucket/vpc.zip", "`s3::` needs a cloud's keys"),
        ("gcs::https://www.googleapis.com/storage/v1/bucket/vpc.zip", "`gcs::` needs a cloud's keys"),
        ("bucket.s3.amazonaws.com/vpc.zip", "a cloud's bucket"),
        ("hg::https://example.com/vpc.hg", "`hg::` is not fetched"),
        ("http://example.com/vpc.zip", "`http` is not fetched: only https proves who answered"),
        ("git::http://example.com/vpc.git", "`http` is not fetched"),
        ("git::file:///etc", "its address cannot be read|it is no source|`file` is not fetched"),
        ("/etc", "a path of the machine"),
    ],
)
def test_a_source_of_another_kind_is_refused_precisely_and_nobody_is_asked(source, why, host):
    with engine(host) as terraform:
        place, what, remedy = only_finding(fetch(terraform, {"main.tf": call(source)}))
    assert place == "main.tf:1"
    assert any(words in what for words in why.split("|")), what
    assert "copy the module into the repository" in remedy


@pytest.mark.parametrize(
    ("source", "more", "why", "remedy"),
    [
        ("git::{url}/org/none.git", {}, "not found", "whether the given token may read it"),
        ("git::{url}/org/net.git?ref=v9", {}, 'invalid ref: "v9"', "after `?ref=` is not there"),
        (
            "git::{url}/org/net.git//nothing?ref=v1",
            {},
            '"nothing" not found',
            "The path after `//` is not in the package",
        ),
        ("{name}/org/none/aws", {}, "the module was not found there", "whether the given token may read it"),
        (
            "{name}/org/queue/aws",
            {"version": "~> 3.0"},
            "given version constraint",
            "No version of the registry satisfies `~> 3.0`",
        ),
    ],
)
def test_what_the_host_lacks_is_reported_once_with_a_remedy(source, more, why, remedy, host):
    said: list[str] = []
    with engine(host, said=said) as terraform:
        place, what, advice = only_finding(
            fetch(terraform, {"main.tf": call(source.format(url=host.url, name=host.name), **more)})
        )
    assert place == "main.tf:1"
    assert why in what and remedy in advice
    assert said == [], "an answer is not a reason to ask again"


@pytest.mark.parametrize("source", ["git::{url}/org/net.git//sqs?ref=v1", "{name}/org/queue/aws"])
@pytest.mark.parametrize(
    ("token", "remedy"),
    [("", "Give `{name}=<token that may read it>`"), ("wrong-token", "does not take the given token")],
)
def test_a_missing_token_and_a_wrong_token_get_different_remedies(token, remedy, source, host):
    with engine(host, token=token) as terraform:
        _, what, advice = only_finding(fetch(terraform, {"main.tf": call(source.format(url=host.url, name=host.name))}))
    assert remedy.format(name=host.name) in advice
    assert "wrong-token" not in what + advice


def test_a_host_that_fails_in_passing_is_asked_again_and_one_that_is_away_three_times(host):
    said: list[str] = []
    host.fail_first = 1
    with engine(host, said=said) as terraform:
        assert (
            fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="queue")}).status
            is CheckStatus.PASSED
        )
        assert len(said) == 1 and "try 1 of at most 3, the next one in 2 s" in said[0]
    said.clear()
    with engine(host, said=said) as terraform:
        _, what, remedy = only_finding(fetch(terraform, {"main.tf": call("git::https://127.0.0.1:9/org/net.git")}))
    assert len(said) == 2
    assert "port 9" in what and "Start the run again" in remedy


def test_many_roots_wait_once_for_a_host_that_is_away_and_ask_once_for_a_module_that_is_gone(host):
    said: list[str] = []
    gone = f"git::{host.url}/org/nothing.git"
    with engine(host, said=said) as terraform:
        away = [
            fetch(terraform, {f"s{n}/main.tf": call("git::https://127.0.0.1:9/a.git")}, root=f"s{n}") for n in (1, 2)
        ]
        away.append(fetch(terraform, {"s3/main.tf": call("git::https://127.0.0.1:9/another.git?ref=v2")}, root="s3"))
        assert len(said) == 2
        fetch(terraform, {"s4/main.tf": call(gone)}, root="s4")
        asked = len(host.asked)
        again = fetch(terraform, {"s5/main.tf": call(gone) + call(f"git::{host.url}/org/net.git", "net")}, root="s5")
        assert len(host.asked) == asked and len(said) == 2
        one = call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="queue")
        assert fetch(terraform, {"s6/main.tf": one}, root="s6").status is CheckStatus.PASSED
    found = [only_finding(check) for check in away]
    assert [place for place, _, _ in found] == ["s1/main.tf:1", "s2/main.tf:1", "s3/main.tf:1"]
    assert all("port 9" in what and "Start the run again" in remedy for _, what, remedy in found)
    place, what, remedy = only_finding(again)
    assert place == "s5/main.tf:1" and "root `s5`" in what and "may read it" in remedy


def test_git_that_is_missing_is_named(host, monkeypatch):
    monkeypatch.setattr("adapters.terraform.module_worlds.PATH", "/nowhere")
    with engine(host) as terraform:
        _, what, remedy = only_finding(fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git")}))
    assert "git must be available" in what and remedy.startswith("Install git on the runner")


def test_a_fetch_that_does_not_end_is_stopped(host):
    with engine(host, patience=Patience(deadline=0.05, after_interrupt=0.1, after_terminate=0.1)) as terraform:
        _, what, _ = only_finding(fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git")}))
    assert "did not end within" in what


def test_modules_come_through_the_networks_proxy_by_the_given_certificates(host, folder, tmp_path):
    """git, a registry's discovery and its archive. The fetch reaches the proxy through a forwarder of ours, so what its
    environment holds names neither the proxy nor its login.
    """
    git, registry = "git.company.example", "registry.company.example"
    source = f"git::https://{git}/org/net.git//sqs?ref=v1"
    files = {"main.tf": call(source, name="a") + call(f"{registry}/org/queue/aws", "deep", version="~> 1.0", name="b")}
    place = ("127.0.0.1", int(host.name.rpartition(":")[2]))
    with (
        company_network(folder, {git: place, registry: place}, frozenset({git, registry})) as company,
        network({"HTTPS_PROXY": company.url}, company.authority.pem) as way,
        patch.object(subprocess, "Popen", wraps=subprocess.Popen) as started,
    ):
        tokens = ModuleCredentials(tokens={git: TOKEN, registry: TOKEN})
        with engine(host, credentials=tokens, variables={}, network=way) as terraform:
            check = fetch(terraform, files)
            assert check.status is CheckStatus.PASSED, check.findings
        assert company.hosts == {git, registry} and company.rejected == 0
        (given,) = [env for one in started.call_args_list if "TF_DATA_DIR" in (env := one.kwargs.get("env") or {})]
        assert "@127.0.0.1:" in given["HTTPS_PROXY"] and TOKEN in given.values()
        assert PASSWORD not in str(given) and f":{company.port}" not in str(given)
        company.behind = {}
        with engine(host, credentials=tokens, variables={}, network=way) as terraform:
            _, what, remedy = only_finding(fetch(terraform, {"main.tf": call(source, name="a")}))
        assert "proxy" in remedy and "docs/setup/network.md" in remedy, what
