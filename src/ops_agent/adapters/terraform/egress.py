"""The only way out for Terraform's children: a CONNECT proxy on loopback that knows which child is asking and what
it may reach. Where the runner names a proxy of its own, allowed connections go on through that one.

A child holds a URL with a token of its own (Go sends user information of HTTPS_PROXY as Proxy-Authorization, and
never proxies loopback). TLS goes through unread except its first record, whose server name must be the one that
CONNECT named. Where Landlock restricts TCP ports (sandbox_child), the proxy cannot be bypassed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
import secrets
import selectors
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ops_agent.adapters.network import DIRECT, Network, Proxy
from ops_agent.adapters.terraform.reach import Hosts

PORT = 443
MAX_HEAD, MAX_TUNNELS, MAX_REFUSALS = 16_384, 128, 20
# A plan sends requests and reads answers; the largest answer is a provider's zip (150 MB).
MAX_SENT, MAX_RECEIVED = 64 << 20, 4 << 30
SECONDS, IDLE_SECONDS, CONNECT_SECONDS = 900.0, 120.0, 15.0
_END_OF_HEAD = b"\r\n\r\n"
_NOTHING_MORE = b"Content-Length: 0\r\nConnection: close" + _END_OF_HEAD
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[^:/\s]+)):(?P<port>\d{1,5})")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_HOST = re.compile(r"(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]


class HostRefused(Exception):
    """Where a child wanted to go and why it may not, for people: `HOST:PORT, which is ...`."""


@dataclass(slots=True)
class Grant:
    """What one child may reach, and its token. `refused` fills while the child runs: each place once, in order, as
    `HOST:PORT, which is ...`; the last of MAX_REFUSALS says that there were more.
    """

    hosts: Hosts
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    refused: list[str] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """For the child's environment. Plain HTTP is sent here too, to be refused by name."""
        url = f"http://child:{self.token}@127.0.0.1:{self.port}"
        return {"HTTPS_PROXY": url, "HTTP_PROXY": url}

    def check(self, authority: str) -> str:
        """The host of `HOST:PORT`. Raises HostRefused, and keeps the refusal."""
        found = _AUTHORITY.fullmatch(authority)
        host = (found["name"] or "").lower().removesuffix(".") if found else ""
        if found and self.hosts.anywhere and int(found["port"]) < 1 << 16:
            return host or str(found["six"])
        if found and len(host) <= 253 and _HOST.fullmatch(host) and self.hosts.opens(host, int(found["port"])):
            return host
        raise self.refuse(authority, self.hosts.why(host))

    def refuse(self, place: str, why: str) -> HostRefused:
        """Keep a refusal; returns it to be raised."""
        shown = re.sub(r"[^\w.:\[\]/-]", "?", place, flags=re.ASCII)[:260]
        text = f"{shown}, which is {why}"
        if text not in self.refused and len(self.refused) < MAX_REFUSALS:
            is_last = len(self.refused) == MAX_REFUSALS - 1
            self.refused.append("further places, which are not named here" if is_last else text)
        return HostRefused(text)


def dial(host: str, hosts: Hosts, port: int = PORT) -> socket.socket:
    """Connect to `host`, to an address that was looked at. Raises HostRefused when there is no such host or it is not
    on the Internet (AWS and a company's own registries may be private), and OSError.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            raise
        raise HostRefused("unknown to the name service") from error
    problem = ""
    for *_, address in found:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        private = any(ip.version == network.version and ip in network for network in _PRIVATE)
        if not ((ip.is_global and not ip.is_multicast) or (private and hosts.may_be_private(host))):
            problem = f"at {ip}, not on the Internet"
            continue
        with suppress(OSError):
            return socket.create_connection((str(ip), port), CONNECT_SECONDS)
        problem = ""
    if problem:
        raise HostRefused(problem)
    raise OSError(f"{host} does not answer")


def dial_through(proxy: Proxy, host: str, port: int) -> socket.socket:
    """A tunnel to `host` through the network's own proxy, which resolves the name. Raises HostRefused when that proxy
    does not let it pass, and OSError.
    """
    there = socket.create_connection((proxy.host, proxy.port), CONNECT_SECONDS)
    try:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        login = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        there.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n".encode())
        answer = b""
        while _END_OF_HEAD not in answer and len(answer) < MAX_HEAD:
            # Byte by byte: what comes after the head belongs to the tunnel.
            if not (more := there.recv(1)):
                break
            answer += more
        status = _STATUS.match(answer)
        if status and answer.endswith(_END_OF_HEAD) and status[1] == b"200":
            return there
        if status and status[1].startswith(b"4"):
            raise HostRefused(f"refused by the proxy {proxy} of this network (status {status[1].decode()})")
        raise OSError(f"the proxy {proxy} did not connect to {host}")
    except BaseException:
        there.close()
        raise


class EgressProxy:
    """Listens until it is closed."""

    def __init__(self, network: Network = DIRECT) -> None:
        self._network = network
        self._lock = threading.Lock()
        self._grants: list[Grant] = []
        self._places = threading.BoundedSemaphore(MAX_TUNNELS)
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="egress", daemon=True
        ).start()

    @contextmanager
    def grant(self, hosts: Hosts) -> Iterator[Grant]:
        """A grant for one child, valid until the context exits."""
        made = Grant(hosts, self.port)
        with self._lock:
            self._grants.append(made)
        try:
            yield made
        finally:
            with self._lock:
                self._grants.remove(made)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, client: socket.socket) -> None:
        """One connection of a child, from its first byte to its last."""
        if not self._places.acquire(blocking=False):
            return
        try:
            with suppress(OSError):
                client.settimeout(CONNECT_SECONDS)
                self._answer(client)
        finally:
            self._places.release()

    def _answer(self, client: socket.socket) -> None:
        head, end, early = _read(client, b"", lambda data: _END_OF_HEAD in data, MAX_HEAD).partition(_END_OF_HEAD)
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        grant = self._whose(lines)
        if grant is None:
            client.sendall(b"HTTP/1.1 407 No grant\r\nProxy-Authenticate: Basic\r\n" + _NOTHING_MORE)
            return
        try:
            host, there = _connect(grant, first, self._network)
        except HostRefused as refused:
            client.sendall(f"HTTP/1.1 403 refused by ops-agent: {refused}\r\n".encode() + _NOTHING_MORE)
            return
        except OSError:
            client.sendall(b"HTTP/1.1 502 The host does not answer\r\n" + _NOTHING_MORE)
            return
        with there:
            client.sendall(b"HTTP/1.1 200 Connected" + _END_OF_HEAD)
            if grant.hosts.anywhere:
                there.sendall(early)
                _carry(client, there)
                return
            hello = _read(client, early, _is_record, MAX_HEAD + 5)
            if (named := server_name(hello)) != host:
                asked = f"asked for as {named!r}" if named else "not asked for by name"
                grant.refuse(f"{host}:{PORT}", f"{asked} inside TLS")
                return
            there.sendall(hello)
            _carry(client, there)

    def _whose(self, lines: list[str]) -> Grant | None:
        """The grant of the request's token."""
        given = next(
            (line.partition(":")[2].strip() for line in lines if line.lower().startswith("proxy-authorization:")), ""
        )
        try:
            token = base64.b64decode(given.removeprefix("Basic "), validate=True).partition(b":")[2]
        except (ValueError, binascii.Error):
            return None
        with self._lock:
            return next((grant for grant in self._grants if hmac.compare_digest(grant.token.encode(), token)), None)


def _connect(grant: Grant, request_line: str, network: Network = DIRECT) -> tuple[str, socket.socket]:
    """The host that is asked for, and a connection to it. Raises HostRefused, which the grant keeps; OSError."""
    method, _, rest = request_line.partition(" ")
    target = rest.partition(" ")[0]
    if method != "CONNECT":
        place = target.removeprefix("http://").partition("/")[0]
        raise grant.refuse(place if ":" in place else f"{place}:80", "plain HTTP")
    host, port = grant.check(target), int(target.rpartition(":")[2])
    try:
        if (proxy := network.proxy_for(host, port)) is not None:
            return host, dial_through(proxy, host, port)
        if grant.hosts.anywhere:
            return host, socket.create_connection((host, port), CONNECT_SECONDS)
        return host, dial(host, grant.hosts, port)
    except HostRefused as refused:
        raise grant.refuse(f"{host}:{port}", str(refused)) from None


def _read(client: socket.socket, data: bytes, is_whole: Callable[[bytes], bool], most: int) -> bytes:
    """`data` and what comes after it until it is whole, or too much, or the client ends, or takes too long."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while not is_whole(data) and len(data) <= most and time.monotonic() < deadline:
        chunk = client.recv(4_096)
        if not chunk:
            break
        data += chunk
    return data


def _is_record(data: bytes) -> bool:
    """Whether the first TLS record is whole."""
    return len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5])


def server_name(record: bytes) -> str | None:
    """The server name (RFC 6066) in a TLS record that holds a whole ClientHello (RFC 8446, 4.1.2); None when there is
    none.
    """

    def vector(data: bytes, start: int, size: int) -> tuple[bytes, int]:
        end = start + size + int.from_bytes(data[start : start + size])
        if end > len(data) or start + size > len(data):
            raise ValueError("cut")
        return data[start + size : end], end

    try:
        if record[0] != 22 or record[5] != 1:
            return None
        hello, _ = vector(vector(record, 3, 2)[0], 1, 3)
        _, at = vector(hello, 34, 1)  # behind version and random: the session id
        _, at = vector(hello, at, 2)  # cipher suites
        _, at = vector(hello, at, 1)  # compression methods
        extensions, _ = vector(hello, at, 2)
        at = 0
        while at < len(extensions):
            kind = int.from_bytes(extensions[at : at + 2])
            content, at = vector(extensions, at + 2, 2)
            if kind == 0:
                names, _ = vector(content, 0, 2)
                return vector(names, 1, 2)[0].decode("ascii").lower() if names[0] == 0 else None
    except (ValueError, IndexError):
        return None
    return None


def _carry(client: socket.socket, there: socket.socket) -> None:
    """Copy bytes both ways until both sides have ended, a limit is reached, or both are silent for too long."""
    deadline = time.monotonic() + SECONDS
    left = {client: MAX_SENT, there: MAX_RECEIVED}
    other = {client: there, there: client}
    with selectors.DefaultSelector() as selector:
        for end_point in other:
            end_point.settimeout(IDLE_SECONDS)
            selector.register(end_point, selectors.EVENT_READ, end_point)
        while selector.get_map() and (wait := deadline - time.monotonic()) > 0:
            ready = selector.select(min(wait, IDLE_SECONDS))
            if not ready:
                return
            for key, _ in ready:
                one: socket.socket = key.data
                chunk = one.recv(1 << 16)
                left[one] -= len(chunk)
                if left[one] < 0:
                    return
                if chunk:
                    other[one].sendall(chunk)
                    continue
                selector.unregister(one)
                with suppress(OSError):
                    other[one].shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: EgressProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A child that disconnects is not an error; no part of a request is ever printed."""


class _Request(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.proxy.serve(self.request)
