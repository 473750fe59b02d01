"""A module host's token reaches that host only, whatever a broken or hostile host answers."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from adapters.terraform.module_worlds import QUEUE, TOKEN, call, engine, fetch, only_finding
from module_hosts import ModuleHost
from ops_agent.adapters.terraform.module_hosts import ModuleCredentials
from ops_agent.model.verification import CheckStatus

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(120)]


def both(host: ModuleHost, stranger: ModuleHost, folder: Path) -> dict[str, str]:
    """What makes a run trust both hosts."""
    bundle = folder / "both.pem"
    bundle.write_bytes(host.authority.read_bytes() + stranger.authority.read_bytes())
    bundle.chmod(0o644)
    return {"GIT_SSL_CAINFO": str(bundle), "SSL_CERT_FILE": str(bundle)}


@pytest.mark.parametrize("only_with_token", [False, True])
@pytest.mark.parametrize(
    ("start", "source"), [("/org/net.git", "git::{url}/org/net.git"), ("/v1/modules/", "{name}/org/queue/aws")]
)
def test_no_token_follows_a_redirect_to_another_host(start, source, only_with_token, host, stranger, folder):
    """A broken or hostile module host cannot make ops-agent pass on its token."""
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
            place, what, remedy = only_finding(fetch(terraform, {"main.tf": call(f"{host.name}/org/queue/aws")}))
        assert place == "main.tf:1"
        assert (
            f"the token of `{host.name}` stays here, because" in what
            and stranger.other_url.removeprefix("https://") in what
        )
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
    """Why decisions/0007 chose a credential helper: measured on the git of this machine."""
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
        ["git", "clone", "-q", f"{host.url}/org/net.git", str(tmp_path / "clone")],
        env=variables,
        check=False,
        capture_output=True,
    )
    assert any(one.secret == TOKEN for one in stranger.asked)


def test_the_run_s_own_token_serves_its_owner_s_repositories_and_nobody_else_s(host):
    own = ModuleCredentials(own_host=host.name, own_owner="Org", own_token=TOKEN)
    host.add_repository("other/net", {"main.tf": QUEUE})
    with engine(host, credentials=own) as terraform:
        assert (
            fetch(terraform, {"main.tf": call(f"git::{host.url}/org/net.git//sqs?ref=v1", name="queue")}).status
            is CheckStatus.PASSED
        )
    host.asked.clear()
    with engine(host, credentials=own) as terraform:
        _, _, remedy = only_finding(fetch(terraform, {"main.tf": call(f"git::{host.url}/other/net.git")}))
    assert f"Give `{host.name}=<token that may read it>`" in remedy
    assert [one for one in host.asked if one.authorization] == []


def test_a_registry_that_points_to_plain_http_is_reported_and_nothing_is_asked_there(host):
    host.modules["org/plain/aws", "1.0.0"] = "http://modules.example.invalid/plain.zip"
    with engine(host) as terraform:
        _, what, remedy = only_finding(fetch(terraform, {"main.tf": call(f"{host.name}/org/plain/aws")}))
    assert "plain-http-is-refused.invalid" in what
    assert "Serve it over https" in remedy


def test_a_registry_that_points_to_a_path_of_this_machine_gives_nothing(host):
    """The engine links to it; what it links to is not taken."""
    host.modules["org/machine/aws", "1.0.0"] = "file:///etc"
    with engine(host) as terraform:
        _, what, _ = only_finding(fetch(terraform, {"main.tf": call(f"{host.name}/org/machine/aws")}))
    assert "it is a link to a path of this machine" in what
