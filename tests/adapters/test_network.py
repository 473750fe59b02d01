"""Every client of this process, through a proxy with a login and TLS of a private authority, and only there."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.llm.llm_answers import KEY, answers, ask
from company_network import PASSWORD, USER, CompanyNetwork, company_network
from doubles.clock import FakeClock
from ops_agent.adapters.aws.sts import Runner, Sts
from ops_agent.adapters.github.client import connect
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.adapters.network import DIRECT, UNTRUSTED, Network, Proxy, explained, network, read_proxy, silence
from ops_agent.adapters.terraform.module_hosts import find_registries
from ops_agent.config.settings import LlmSettings
from ops_agent.model.errors import AwsError, ConfigError, GitHubError, LlmError
from ops_agent_demo.llm.script import Answer

GHES, OIDC, LLM, REGISTRY = "ghes.example", "pipelines.example", "gateway.example", "registry.example"


class _Service(BaseHTTPRequestHandler):
    """One answer for all: what each client asks for is in it."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        body = json.dumps({"value": "jwt", "modules.v1": "/v1/", "path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[CompanyNetwork]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    place = ("127.0.0.1", server.server_port)
    with answers(*[Answer(text="hello")] * 3) as llm:
        parts = urlsplit(llm.url)
        behind = {**dict.fromkeys((GHES, OIDC, REGISTRY), place), LLM: (str(parts.hostname), int(parts.port or 0))}
        with company_network(tmp_path, behind) as made:
            yield made
    server.shutdown()
    server.server_close()


def ask_github(way: Network, clock: FakeClock) -> str:
    http = connect("ghs_x", {"GITHUB_API_URL": f"https://{GHES}/api/v3"}, clock, network=way)
    return http.get("/meta", "reading", lambda found: found["path"])


def ask_oidc(way: Network, clock: FakeClock) -> str:
    sts = Sts("sa-east-1", network=way, sleep=clock.sleep)
    return sts.id_token(Runner(url=f"https://{OIDC}/token?v=1", token="t"))


def ask_llm(way: Network, clock: FakeClock) -> str:
    settings = LlmSettings(anthropic_api_key=KEY, base_url=f"https://{LLM}")
    llm = AnthropicLlm(settings, clock, region="sa-east-1", working_seconds=2_700, network=way)
    return ask(llm).text


def ask_registry(way: Network, clock: FakeClock) -> str:
    found = find_registries({REGISTRY: "token"}, way, sleep=clock.sleep)[REGISTRY]
    return found.modules or found.problem


def ask_as_doctor(way: Network, _clock: FakeClock) -> str:
    return silence(way, f"https://{REGISTRY}/") or "it answers"


CLIENTS = {
    ask_github: (GHES, "/api/v3/meta", GitHubError),
    ask_oidc: (OIDC, "jwt", AwsError),
    ask_llm: (LLM, "hello", LlmError),
    ask_registry: (REGISTRY, f"https://{REGISTRY}/v1/", None),
    ask_as_doctor: (REGISTRY, "it answers", None),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_goes_through_the_proxy_and_trusts_what_was_given_beside_the_systems(client, company):
    host, expected, _ = CLIENTS[client]
    environment = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": company.url, "NO_PROXY": "*.internal"}
    with network(environment, company.authority.pem) as way:
        assert client(way, FakeClock()) == expected
    assert company.asked == [f"{host}:443"] and company.rejected == 0


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("lacking", ["certificate", "login", "host"])
def test_what_is_wrong_with_the_network_is_said_at_once_without_the_password(client, lacking, company):
    url = company.url if lacking != "login" else f"http://{USER}:wrong-password@127.0.0.1:{company.port}"
    if lacking == "host":
        company.behind = {}
    *_, error = CLIENTS[client]
    clock = FakeClock()
    with network({"HTTPS_PROXY": url}, "" if lacking == "certificate" else company.authority.pem) as way:
        if error is None:
            said = client(way, clock)
        else:
            with pytest.raises(error) as caught:
                client(way, clock)
            said = f"{caught.value}"
    wanted = {"certificate": UNTRUSTED, "login": "refused the connection (407", "host": "refused the connection (403"}
    assert wanted[lacking] in said
    assert PASSWORD not in said and "wrong-password" not in said
    assert clock.slept == [] or client is ask_oidc  # it may ask the runner's token endpoint a few times, for 4 s


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("unable to get local issuer certificate", UNTRUSTED),
        ("self-signed certificate in certificate chain", UNTRUSTED),
        ("Hostname mismatch, certificate is not valid for 'x'.", "its certificate is refused: Hostname mismatch ("),
        ("Missing Authority Key Identifier", "its certificate is refused: Missing Authority Key Identifier ("),
    ],
)
def test_a_certificate_is_refused_with_the_reason(words, said):
    inner = ssl.SSLCertVerificationError(
        1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {words} (_ssl.c:1)"
    )
    assert said in (explained(ConnectionError(inner)) or "")
    assert explained(ConnectionResetError("reset")) is None


@pytest.mark.parametrize(
    ("entries", "host", "is_direct"),
    [
        ("corp.example", "corp.example", True),
        ("corp.example", "a.b.corp.example", True),
        ("corp.example", "notcorp.example", False),
        (".corp.example", "corp.example", True),
        ("*.corp.example", "ghes.corp.example", True),
        ("CORP.example , other.example", "Corp.Example.", True),
        ("10.0.0.0/8 192.168.1.1", "10.1.2.3", True),
        ("10.0.0.0/8 192.168.1.1", "192.168.1.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("fd00::/8", "[fd00::1]", True),
        ("corp.example:443", "corp.example", True),
        ("corp.example:8443", "corp.example", False),
        ("*", "anything.example", True),
        ("", "anything.example", False),
        ("", "127.0.0.1", True),
        ("", "localhost", True),
        (".", "anything.example", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(entries, host, is_direct):
    with network({"HTTPS_PROXY": "proxy.example:3128", "no_proxy": entries}) as way:
        assert (way.proxy_for(host) is None) is is_direct


def test_a_github_without_tls_gets_no_token():
    with pytest.raises(ConfigError, match="no token is sent"):
        connect("ghs_x", {"GITHUB_API_URL": "http://ghes.example/api/v3"}, FakeClock())


def test_without_proxy_and_certificates_nothing_changes():
    with network({"ALL_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}) as way:
        assert way == DIRECT and way.bundle is None and way.secrets == ()
        assert way.verify is True or Path(str(way.verify)).is_file(), "GitHub's client trusts what the system trusts"


def test_the_password_is_a_secret_in_both_its_forms_and_no_text_shows_it():
    proxy = read_proxy("http://me:p%40ss+word@proxy.example:3128/")
    assert proxy == Proxy(host="proxy.example", port=3128, user="me", password="p@ss+word")
    assert "p@ss" not in f"{proxy} {proxy!r}" and str(proxy) == "proxy.example:3128"
    assert set(Network(proxy=proxy).secrets) == {"p@ss+word", "p%40ss%2Bword"}


@pytest.mark.parametrize(
    "address",
    [
        *(
            "https://u:hidden@proxy.example:3128",
            "socks5://u:hidden@proxy.example:1",
            "http://u:hidden@",
            "http://a b:1",
        ),
        *("http://u:hidden@proxy.example:0", "http://u:hidden@proxy.example:99999", "http://u:hidden@[::1"),
    ],
)
def test_what_is_no_http_proxy_is_refused_without_showing_it(address):
    with pytest.raises(ConfigError) as caught, network({"HTTPS_PROXY": address}):
        pass
    assert "hid" not in f"{caught.value} {caught.value.hint}" and "http://proxy.example.com:3128" in caught.value.hint


def test_certificates_come_from_a_text_or_a_file_and_are_added_to_the_systems(tmp_path, company):
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    both = tmp_path / "both.pem"
    both.write_text(key + company.authority.pem)
    with network({}, company.authority.pem) as by_text, network({"NODE_EXTRA_CA_CERTS": str(both)}) as by_runner:
        texts = [way.bundle.read_text() for way in (by_text, by_runner)]
        count = len(ssl.create_default_context(cafile=str(by_text.bundle)).get_ca_certs())
        assert count > 20, "the system's own are in it"
    assert texts[0] == texts[1] and "PRIVATE" not in texts[0]
    assert not by_text.bundle.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/nonexistent/ca.pem", "names '/nonexistent/ca.pem', which cannot be read: No such file or directory"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "holds no certificate that can be read"),
        (__file__, "holds no certificate that can be read"),
    ],
)
def test_certificates_that_cannot_be_read_stop_the_run_and_the_runners_own_do_not(given, said):
    with pytest.raises(ConfigError, match="`ca_certificates`") as caught, network({}, given):
        pass
    assert said in str(caught.value)
    with network({"NODE_EXTRA_CA_CERTS": given}) as way:
        assert way == DIRECT
