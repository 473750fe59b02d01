"""Modules of the base come from real hosts: git's own http-backend and a private registry, over TLS, with the real engine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from module_hosts import ModuleHost
from ops_agent.adapters.terraform.module_credentials import ModuleCredentials
from ops_agent.adapters.terraform.subprocesses import Patience
from ops_agent.domain.verification import CheckResult, CheckStatus
from terraform.conftest import available
from terraform.module_worlds import QUEUE, TOKEN, call, engine, fetch, open_folder, target
from terraform.worlds import write

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def standing(folder: Path) -> Iterator[ModuleHost]:
    """A private host with one repository and one module in two versions."""
    with ModuleHost(folder / "host", token=TOKEN) as host:
        host.commit = host.add_repository("org/net", {"sqs/main.tf": QUEUE + call("../shared", "shared"), "shared/main.tf": "locals {}\n"})
        host.modules["org/queue/aws", "1.2.3"] = {"main.tf": QUEUE}
        host.modules["org/queue/aws", "2.0.0"] = {"main.tf": QUEUE}
        yield host


@pytest.fixture
def host(standing: ModuleHost) -> ModuleHost:
    standing.asked.clear()
    standing.redirects.clear()
    standing.fail_first, standing.redirect_authorised = 0, False
    return standing


def told(check: CheckResult) -> tuple[str, str, str]:
    """Place, words and remedy of the one finding."""
    assert check.status is CheckStatus.FAILED
    (found,) = check.findings
    assert found.title == "A module cannot be fetched" and found.blocks
    assert TOKEN not in str(check)
    return str(found.place), found.what, found.remedy


def made_by(terraform, tree: Path) -> str:
    """The output of a plan of `tree` in a cell."""
    with terraform.workspace(tree, target(), None) as workspace:
        first = workspace.init()
        assert first.status is CheckStatus.PASSED, first.findings
        assert "Downloading" not in first.output
        check, left = workspace.plan()
        assert left is not None, check.findings
        return json.loads(left.json_path.read_bytes())["planned_values"]["outputs"]["made"]["value"]


def test_a_base_whose_own_files_are_wrong_is_told_as_that(host):
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
    """G: credentials of module hosts."""
    seen: list[list[str]] = []
    with engine(host) as terraform:
        from ops_agent.adapters.terraform import subprocesses

        started = subprocesses.subprocess.Popen

        def watch(argv, **fields):
            seen.append(argv)
            return started(argv, **fields)

        monkeypatch.setattr(subprocesses.subprocess, "Popen", watch)
        check = fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="queue")})
        held = [path for path in terraform._sandbox.root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
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
        with terraform.workspace(write(tmp_path, {"main.tf": call(source + host.commit, name="queue")}), target(), None) as workspace:
            check = workspace.init()
        assert check.status is CheckStatus.FAILED
        (found,) = check.findings
        assert found.title == "A module cannot be fetched"
        assert "Only modules that stand on the base branch are fetched" in found.remedy
        assert [one for one in host.asked if one.authorization] == asked, "a sandboxed init had a token"


def test_ssh_sources_come_over_https_when_a_token_of_the_host_is_given(host):
    for source in ("git@127.0.0.1:org/net.git//sqs?ref=v1", "git::ssh://git@127.0.0.1/org/net.git//sqs?ref=v1"):
        with engine(host) as terraform:
            check = fetch(terraform, {"main.tf": call(source, name="queue")})
        assert check.status is CheckStatus.PASSED, check.findings
        assert host.commit in check.output


def test_an_ssh_source_without_a_token_names_file_line_host_and_input(host):
    with engine(host) as terraform:
        place, what, remedy = told(fetch(terraform, {"infra/main.tf": "\n" + call("git@github.com:org/net.git")}, root="infra"))
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
    """D04."""
    with engine(host) as terraform:
        place, what, remedy = told(fetch(terraform, {"main.tf": call(source)}))
    assert place == "main.tf:1"
    assert any(words in what for words in why.split("|")), what
    assert "copy the module into the repository" in remedy


@pytest.mark.parametrize(
    ("source", "more", "why", "remedy"),
    [
        ("git::{url}/org/none.git", {}, "not found", "whether the given token may read it"),
        ("git::{url}/org/net.git?ref=v9", {}, 'invalid ref: "v9"', "after `?ref=` is not there"),
        ("git::{url}/org/net.git//nothing?ref=v1", {}, '"nothing" not found', "The path after `//` is not in the package"),
        ("{name}/org/none/aws", {}, "the module was not found there", "whether the given token may read it"),
        ("{name}/org/queue/aws", {"version": "~> 3.0"}, "given version constraint", "No version of the registry satisfies `~> 3.0`"),
    ],
)
def test_what_the_host_has_not_is_told_once_with_what_to_do(source, more, why, remedy, host):
    said: list[str] = []
    with engine(host, said=said) as terraform:
        place, what, advice = told(fetch(terraform, {"main.tf": call(source.format(url=host.url, name=host.name), **more)}))
    assert place == "main.tf:1"
    assert why in what and remedy in advice
    assert said == [], "an answer is no reason to ask again"


@pytest.mark.parametrize("source", ["git::{url}/org/net.git//sqs?ref=v1", "{name}/org/queue/aws"])
@pytest.mark.parametrize(
    ("token", "remedy"), [("", "Give `{name}=<token that may read it>`"), ("wrong-token", "does not take the given token")]
)
def test_a_missing_or_wrong_token_is_told_apart(token, remedy, source, host):
    with engine(host, token=token) as terraform:
        _, what, advice = told(fetch(terraform, {"main.tf": call(source.format(url=host.url, name=host.name))}))
    assert remedy.format(name=host.name) in advice
    assert "wrong-token" not in what + advice


def test_a_host_that_fails_in_passing_is_asked_again_and_one_that_is_away_three_times(host):
    said: list[str] = []
    host.fail_first = 1
    with engine(host, said=said) as terraform:
        assert fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="queue")}).status is CheckStatus.PASSED
        assert len(said) == 1 and "try 1 of at most 3, the next one in 2 s" in said[0]
    said.clear()
    with engine(host, said=said) as terraform:
        _, what, remedy = told(fetch(terraform, {"main.tf": call("git::https://127.0.0.1:9/org/net.git")}))
    assert len(said) == 2
    assert "port 9" in what and "Start the run again" in remedy


def test_git_that_is_missing_is_named(host, monkeypatch):
    monkeypatch.setattr("terraform.module_worlds.PATH", "/nowhere")
    with engine(host) as terraform:
        _, what, remedy = told(fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git")}))
    assert "git must be available" in what and remedy.startswith("Install git on the runner")


def test_a_fetch_that_does_not_end_is_stopped(host):
    with engine(host, patience=Patience(deadline=0.05, after_interrupt=0.1, after_terminate=0.1)) as terraform:
        _, what, _ = told(fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git")}))
    assert "did not end within" in what


@pytest.fixture
def stranger(folder: Path, tmp_path: Path) -> Iterator[ModuleHost]:
    """Another host, whose certificate is trusted as well."""
    with ModuleHost(folder / tmp_path.name) as other:
        other.add_repository("org/net", {"main.tf": QUEUE})
        other.modules["org/queue/aws", "1.2.3"] = {"main.tf": QUEUE}
        yield other


def both(host: ModuleHost, stranger: ModuleHost, folder: Path) -> dict[str, str]:
    """Trust in both."""
    bundle = folder / "both.pem"
    bundle.write_bytes(host.authority.read_bytes() + stranger.authority.read_bytes())
    bundle.chmod(0o644)
    return {"GIT_SSL_CAINFO": str(bundle), "SSL_CERT_FILE": str(bundle)}


@pytest.mark.parametrize("only_with_token", [False, True])
@pytest.mark.parametrize(("start", "source"), [("/org/net.git", "git::{url}/org/net.git"), ("/v1/modules/", "{name}/org/queue/aws")])
def test_no_token_follows_a_redirect_to_another_host(start, source, only_with_token, host, stranger, folder):
    """A broken or hostile module host cannot make us hand its token on (T4)."""
    host.redirects[start] = stranger.other_url + start
    host.redirect_authorised = only_with_token
    with engine(host, variables=both(host, stranger, folder)) as terraform:
        fetch(terraform, {"main.tf": call(source.format(url=host.url, name=host.name))})
    assert stranger.asked, "the redirect was followed"
    assert [one for one in stranger.asked if TOKEN in one.secret or TOKEN in one.path] == []


def test_a_registry_whose_discovery_leads_to_another_host_gets_no_token(host, stranger, folder, monkeypatch):
    """Terraform itself would send the token there: by a redirect of the document, and by an address in it."""
    for spoil in (
        {"redirects": {"/.well-known/": f"{stranger.other_url}/.well-known/"}},
        {"discovery": {"modules.v1": f"{stranger.other_url}/v1/"}},
    ):
        with monkeypatch.context() as spoilt, engine(host, variables=both(host, stranger, folder)) as terraform:
            for name, value in spoil.items():
                spoilt.setattr(host, name, value)
            place, what, remedy = told(fetch(terraform, {"main.tf": call(f"{host.name}/org/queue/aws")}))
        assert place == "main.tf:1"
        assert f"the token of `{host.name}` stays here, because" in what and stranger.other_url.removeprefix("https://") in what
        assert "`module_credentials`" in remedy
    assert [one for one in stranger.asked if one.authorization] == []


def test_a_registry_may_hand_its_modules_to_a_host_that_has_an_entry_too(host, stranger, folder, monkeypatch):
    monkeypatch.setattr(host, "discovery", {"modules.v1": f"{stranger.other_url}/v1/modules/"})
    tokens = ModuleCredentials(tokens={host.name: TOKEN, stranger.other_url.removeprefix("https://"): TOKEN})
    with engine(host, variables=both(host, stranger, folder), credentials=tokens) as terraform:
        check = fetch(terraform, {"main.tf": call(f"{host.name}/org/queue/aws", name="a")})
    assert check.status is CheckStatus.PASSED, check.findings
    assert "/v1/modules/org/queue/aws/versions" in {one.path for one in stranger.asked}


def test_an_extra_header_would_follow_a_redirect_which_is_why_a_helper_is_used(host, stranger, folder, tmp_path):
    """Why decisions/0006 chose a credential helper: measured on the git of this machine."""
    import subprocess

    host.redirects["/org/net.git"] = stranger.url + "/org/net.git"
    header = "Authorization: Basic " + base64.b64encode(f"x:{TOKEN}".encode()).decode()
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        **both(host, stranger, folder),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{host.url}/.extraHeader",
        "GIT_CONFIG_VALUE_0": header,
    }
    subprocess.run(
        ["git", "clone", "-q", f"{host.url}/org/net.git", str(tmp_path / "clone")], env=variables, check=False, capture_output=True
    )
    assert any(one.secret == TOKEN for one in stranger.asked)


def test_the_run_s_own_token_serves_its_owner_s_repositories_and_nobody_else_s(host):
    own = ModuleCredentials(own_host=host.name, own_owner="Org", own_token=TOKEN)
    host.add_repository("other/net", {"main.tf": QUEUE})
    with engine(host, credentials=own) as terraform:
        assert fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="queue")}).status is CheckStatus.PASSED
    host.asked.clear()
    with engine(host, credentials=own) as terraform:
        _, _, remedy = told(fetch(terraform, {"main.tf": call(f"git::{host.url}/other/net.git")}))
    assert f"Give `{host.name}=<token that may read it>`" in remedy
    assert [one for one in host.asked if one.authorization] == []
