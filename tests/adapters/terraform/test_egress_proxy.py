"""The proxy alone: who may pass, where to, and what it remembers."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from company_network import PASSWORD, Authority, company_network
from ops_agent.adapters.network import network
from ops_agent.adapters.terraform import egress
from ops_agent.adapters.terraform.egress import EgressProxy, Grant, HostRefused, dial
from ops_agent.adapters.terraform.reach import NOWHERE, Hosts, aws_hosts

AWS = Hosts(aws=aws_hosts("sa-east-1", ()), others=frozenset({"registry.example"}), words="not AWS in sa-east-1")
SQS = "sqs.sa-east-1.amazonaws.com"


@pytest.fixture
def proxy():
    made = EgressProxy()
    yield made
    made.close()


@contextmanager
def upstream(monkeypatch, answer=lambda data: data.upper()):
    """A server that every allowed name leads to; gives the list of the names."""
    names = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        while data := connection.recv(1 << 16):
                            connection.sendall(answer(data))

        threading.Thread(target=serve, daemon=True).start()

        def lead(host, hosts, port):
            names.append(host)
            return socket.create_connection(server.getsockname())

        monkeypatch.setattr(egress, "dial", lead)
        yield names


def ask(proxy: EgressProxy, token: str, line: str, then: bytes = b"") -> bytes:
    """The proxy's whole answer to a request line, and to `then` after it."""
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        login = base64.b64encode(f"child:{token}".encode()).decode()
        connection.sendall(f"{line} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {login}\r\n\r\n".encode() + then)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(1 << 16):
            received += chunk
        return received


def hello(name: str | None) -> bytes:
    """The first record of a TLS client that asks for `name`, or for no name."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def test_a_name_on_the_list_is_tunnelled_both_ways(proxy, monkeypatch):
    connected, first = b"HTTP/1.1 200 Connected\r\n\r\n", hello(SQS)
    with upstream(monkeypatch) as names, proxy.grant(AWS) as grant:
        assert ask(proxy, grant.token, f"CONNECT {SQS}:443", first + b"hello") == connected + (first + b"hello").upper()
        assert ask(proxy, grant.token, f"CONNECT {SQS.upper()}.:443", first).endswith(first.upper())
        assert names == [SQS, SQS]
        assert grant.refused == []


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (hello("evil.s3.sa-east-1.amazonaws.com"), "asked for as 'evil.s3.sa-east-1.amazonaws.com' inside TLS"),
        (hello(None), "not asked for by name inside TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "not asked for by name inside TLS"),
        (hello(SQS)[:60], "not asked for by name inside TLS"),
        (b"", "not asked for by name inside TLS"),
    ],
    ids=["another name", "no name", "plain HTTP", "cut", "nothing"],
)
def test_a_tunnel_that_asks_for_another_name_inside_tls_carries_nothing(first, reason, proxy, monkeypatch):
    with upstream(monkeypatch), proxy.grant(AWS) as grant:
        with suppress(ConnectionError):
            assert ask(proxy, grant.token, f"CONNECT {SQS}:443", first) == b"HTTP/1.1 200 Connected\r\n\r\n"
        assert grant.refused == [f"{SQS}:443, which is {reason}"]


@given(st.binary(max_size=300) | st.builds(lambda cut: hello(SQS)[:cut], st.integers(0, 600)))
def test_any_first_bytes_name_the_server_or_nobody(data):
    assert egress.server_name(data) in (None, SQS)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "CONNECT evil.example:443",
            f"CONNECT {SQS}:22",
            f"CONNECT {SQS}",
            "CONNECT 169.254.169.254:443",
            "CONNECT [::1]:443",
        ),
        *(
            "CONNECT 127.0.0.1:443",
            "CONNECT evil.example\x00.amazonaws.com:443",
            "GET http://evil.example/x",
            f"GET http://{SQS}/",
            "nonsense",
        ),
    ],
)
def test_everything_else_is_refused_by_name_and_remembered_once(line, proxy, monkeypatch):
    with upstream(monkeypatch) as names, proxy.grant(AWS) as grant:
        answers = [ask(proxy, grant.token, line) for _ in range(2)]
    assert all(answer.startswith(b"HTTP/1.1 403 refused by ops-agent: ") for answer in answers)
    assert names == []
    assert len(grant.refused) == 1


def test_a_refusal_names_place_and_reason(proxy):
    with proxy.grant(AWS) as grant:
        ask(proxy, grant.token, "CONNECT evil.example:443")
        ask(proxy, grant.token, "GET http://evil.example/secret")
    assert grant.refused == ["evil.example:443, which is not AWS in sa-east-1", "evil.example:80, which is plain HTTP"]


def test_without_a_living_token_nothing_is_done_and_nobody_is_blamed(proxy, monkeypatch):
    with upstream(monkeypatch) as names:
        with proxy.grant(AWS) as grant, proxy.grant(NOWHERE) as other:
            assert ask(proxy, "wrong", f"CONNECT {SQS}:443").startswith(b"HTTP/1.1 407")
            assert ask(proxy, "", f"CONNECT {SQS}:443").startswith(b"HTTP/1.1 407")
            assert ask(proxy, other.token, f"CONNECT {SQS}:443").startswith(b"HTTP/1.1 403")
        assert ask(proxy, grant.token, f"CONNECT {SQS}:443").startswith(b"HTTP/1.1 407")
        assert names == []
        assert grant.refused == []


def test_a_closed_proxy_answers_nobody(proxy):
    proxy.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", proxy.port), 1)


def test_more_than_the_cap_is_not_sent(proxy, monkeypatch):
    """A tunnel carries requests, not a copy of the disk."""
    monkeypatch.setattr(egress, "MAX_SENT", 100_000)
    with upstream(monkeypatch), proxy.grant(AWS) as grant, suppress(ConnectionError):
        answer = ask(proxy, grant.token, f"CONNECT {SQS}:443", hello(SQS) + b"x" * 5_000_000)
        assert len(answer) < 300_000


def addresses(monkeypatch, *ips: str) -> None:
    found = [(0, 0, 0, "", (ip, 443)) for ip in ips]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1%eth0", "0.0.0.0", "224.0.0.1", "192.0.2.1"],
)
def test_a_name_that_leads_to_this_machine_or_to_its_neighbours_is_refused(ip, monkeypatch):
    """DNS is hostile: the name is AWS's, the address is not."""
    addresses(monkeypatch, ip)
    with pytest.raises(HostRefused, match="not on the Internet"):
        dial(SQS, AWS)


def test_a_name_that_nobody_knows_is_refused_by_name_and_a_silent_name_service_is_an_error(monkeypatch):
    def resolve(*_, **__):
        raise socket.gaierror(number, "as getaddrinfo says it")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    number = socket.EAI_NONAME
    grant = Grant(AWS, 1)
    with pytest.raises(HostRefused, match="unknown to the name service"):
        egress._connect(grant, f"CONNECT {SQS}:443 HTTP/1.1")
    assert grant.refused == [f"{SQS}:443, which is unknown to the name service"]
    number = socket.EAI_AGAIN
    with pytest.raises(socket.gaierror):
        dial(SQS, AWS)


def test_private_addresses_are_for_aws_names_alone(monkeypatch):
    """AWS's interface endpoints (PrivateLink) answer there; a registry does not."""
    addresses(monkeypatch, "10.1.2.3")
    asked = []
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: asked.append(address))
    dial(SQS, AWS)
    assert asked == [("10.1.2.3", 443)]
    with pytest.raises(HostRefused):
        dial("registry.example", AWS)


def test_the_address_that_was_checked_is_the_one_that_is_used(monkeypatch):
    """No second look-up in between."""
    addresses(monkeypatch, "127.0.0.1", "52.1.2.3")
    asked = []
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: asked.append(address))
    dial(SQS, AWS)
    assert asked == [("52.1.2.3", 443)]


@given(st.text(max_size=300) | st.from_regex(r"[a-z.:\[\]0-9]{1,40}", fullmatch=True))
def test_any_authority_is_a_host_of_the_list_or_a_printable_refusal(text):
    grant = Grant(AWS, 1)
    try:
        assert grant.check(text) in AWS
    except HostRefused as refused:
        assert str(refused).isascii()
        assert str(refused).isprintable()
        assert len(str(refused)) < 330


@given(st.lists(st.text(min_size=1, max_size=20), max_size=60))
def test_a_flood_of_refusals_is_kept_short(places):
    grant = Grant(AWS, 1)
    for place in places:
        with pytest.raises(HostRefused):
            grant.check(place)
    assert len(grant.refused) <= egress.MAX_REFUSALS


def test_a_place_that_is_hidden_behind_a_flood_is_still_reported():
    grant = Grant(AWS, 1)
    for number in range(egress.MAX_REFUSALS + 5):
        grant.refuse(f"x{number}.example.com:443", "on no list")
    assert len(grant.refused) == egress.MAX_REFUSALS
    assert grant.refused[-2:] == [
        "x18.example.com:443, which is on no list",
        "further places, which are not named here",
    ]


def test_a_token_is_not_in_the_repr():
    grant = Grant(AWS, 1)
    assert grant.token not in repr(grant)


def asked_inside(proxy: EgressProxy, token: str, host: str, authority: Authority) -> bytes:
    """The answer of `host` to one request over TLS through the tunnel, as a child would ask."""
    login = base64.b64encode(f"child:{token}".encode()).decode()
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n".encode())
        answer = connection.recv(1_000)
        if not answer.startswith(b"HTTP/1.1 200"):
            return answer
        context = ssl.create_default_context(cafile=str(authority.file))
        with context.wrap_socket(connection, server_hostname=host) as inside:
            inside.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return inside.recv(1_000)


def test_what_is_allowed_goes_on_through_the_networks_proxy_and_nothing_else_reaches_it(tmp_path):
    """The list of this command decides first; the child never learns the login of the proxy behind ours."""
    with socket.create_server(("127.0.0.1", 0)) as service:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection = service.accept()[0]
                    connection.recv(1_000)
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nfrom inside")
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        with (
            company_network(tmp_path, {SQS: service.getsockname()}) as company,
            network({"HTTPS_PROXY": company.url, "NO_PROXY": "registry.example"}) as way,
        ):
            proxy = EgressProxy(way)
            with proxy.grant(AWS) as grant:
                assert asked_inside(proxy, grant.token, SQS, company.authority).endswith(b"from inside")
                assert company.asked == [f"{SQS}:443"]
                assert asked_inside(proxy, grant.token, "evil.example", company.authority).startswith(b"HTTP/1.1 403 ")
                assert company.asked == [f"{SQS}:443"], "what no list names is not even asked for"
                other = "sts.sa-east-1.amazonaws.com"
                assert asked_inside(proxy, grant.token, other, company.authority).startswith(b"HTTP/1.1 403 ")
                assert grant.refused[1:] == [
                    f"{other}:443, which is refused by the proxy 127.0.0.1:{company.port} of this network (status 403)"
                ]
                assert PASSWORD not in str(grant.variables) + str(grant.refused)
            proxy.close()
    assert company.rejected == 0


def test_a_proxy_that_is_down_or_talks_nonsense_is_no_refusal(tmp_path):
    for answer in (b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 502 Bad gateway\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as broken:
            threading.Thread(target=lambda: broken.accept()[0].sendall(answer), daemon=True).start()  # noqa: B023
            with network({"HTTPS_PROXY": f"127.0.0.1:{broken.getsockname()[1]}"}) as way:
                grant = Grant(AWS, 1)
                with pytest.raises(OSError):
                    egress._connect(grant, f"CONNECT {SQS}:443 HTTP/1.1", way)
                assert grant.refused == []
