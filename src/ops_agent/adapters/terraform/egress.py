"""Which hosts Terraform's children may reach, for each command: a closed list, by name, port 443 only."""

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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ops_agent.model.policy import Policy

# Hosts of services that have no region, or only one (botocore's endpoints; a test compares), and the us-east-1 parts of
# what CloudFront needs. The session policy lets exactly these services answer outside the region.
GLOBAL_HOSTS: Mapping[str, str] = {
    "iam": "iam.amazonaws.com",
    "sts": "sts.amazonaws.com",
    "organizations": "organizations.us-east-1.amazonaws.com",
    "route53": "route53.amazonaws.com",
    "cloudfront": "cloudfront.amazonaws.com",
    "waf": "waf.amazonaws.com",
    "wafv2": "wafv2.us-east-1.amazonaws.com",
    "shield": "shield.us-east-1.amazonaws.com",
    "globalaccelerator": "globalaccelerator.us-west-2.amazonaws.com",
    "budgets": "budgets.amazonaws.com",
    "support": "support.us-east-1.amazonaws.com",
    "acm": "acm.us-east-1.amazonaws.com",
}
# Services whose name has a point (botocore's endpoints for sa-east-1). Everything else with a further label is a
# customer's own: an API (execute-api), a load balancer (elb), a GraphQL address (appsync-api), and would be a way out.
_POINTED = "api.detective api.ecr api.mediatailor api.sagemaker portal.sso streams.dynamodb"
_GITHUB = ("github.com", "objects.githubusercontent.com", "release-assets.githubusercontent.com")
# A registry answers with addresses: Terraform's for HashiCorp's own providers are on releases.hashicorp.com, all
# others, and all of OpenTofu's, on GitHub, which sends on to one of two stores (provider registry protocol; GitHub
# moved from the first store to the second).
_DOWNLOADS = {"registry.terraform.io": ("releases.hashicorp.com", *_GITHUB), "registry.opentofu.org": _GITHUB}
_LOOPBACK = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\]):\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """What one command may reach. `aws` may have private addresses (AWS's interface endpoints), `others` never; `words`
    says why another host is refused, `bucket_words` why another bucket is.
    """

    aws: re.Pattern[str] | None = None
    others: frozenset[str] = frozenset()
    words: str = "on no list for this command"
    bucket_words: str = ""

    def why(self, host: str) -> str:
        """Why `host` is refused, for people."""
        return self.bucket_words if self.bucket_words and _S3.fullmatch(host) else self.words

    def is_aws(self, host: str) -> bool:
        return self.aws is not None and self.aws.fullmatch(host) is not None

    def __contains__(self, host: str) -> bool:
        return host in self.others or self.is_aws(host)


NOWHERE = Hosts()
_S3 = re.compile(r"(?:.+\.)?s3\.(?:dualstack\.)?[a-z0-9-]+\.amazonaws\.com")
_OTHER_BUCKET = "a bucket that neither the base branch, its state nor the input `allowed_buckets` names"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the children of one cell may reach: hosts through the proxy, by command, and our TCP ports on this
    machine.
    """

    commands: Mapping[str, Hosts] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()

    def hosts(self, command: str) -> Hosts:
        return self.commands.get(command, NOWHERE)

    def ports_for(self, command: str) -> frozenset[int]:
        return self.ports if command in self.commands else frozenset()


@dataclass(frozen=True, slots=True)
class Buckets:
    """S3 buckets that a child may reach by name; with `path_style` also the region's own host of S3, which serves every
    bucket."""

    names: frozenset[str] = frozenset()
    path_style: bool = False


def reach(
    policy: Policy,
    *,
    lease: Iterable[str] | None,
    harness: Iterable[str] = (),
    registries: bool,
    buckets: Buckets | None = None,
) -> Reach:
    """init: AWS (the backend) and the allow-list's registries; plan: AWS; state: the backend; everything else: nothing.
    Without a lease no AWS.

    `lease` and `harness` are texts with addresses on this machine: a lease's variables, the files that point at an
    emulator. `buckets` are the only ones of the region, None: all.
    """
    aws = aws_hosts(policy.region, policy.accounts.values(), buckets) if lease is not None else None
    origins = {source.partition("/")[0] for source in policy.allowed_providers} if registries else set()
    sources = frozenset(host for origin in origins for host in (origin, *_DOWNLOADS.get(origin, ())))
    words = f"not AWS in {policy.region}" if aws else NOWHERE.words
    plan = Hosts(aws=aws, words=words, bucket_words=_OTHER_BUCKET if aws and buckets else "")
    init = replace(
        plan, others=sources, words=f"{words} and no provider registry of the allow-list" if sources else words
    )
    return Reach(commands={"init": init, "plan": plan, "state": plan}, ports=loopback_ports((*harness, *(lease or ()))))


def aws_hosts(region: str, accounts: Iterable[str], buckets: Buckets | None = None) -> re.Pattern[str]:
    """Host names of AWS's own services in `region`, of `buckets` there (None: any), of the given accounts' addresses,
    and the global services.
    """
    place = re.escape(region)
    services = "|".join(["[a-z0-9-]+", *map(re.escape, _POINTED.split())])
    ours = "|".join(re.escape(account) for account in sorted(accounts)) or "(?!)"
    named = r"(?:[a-z0-9.-]+\.)?"
    if buckets is not None:
        names = "|".join(re.escape(name) for name in sorted(buckets.names)) or "(?!)"
        named = rf"(?:(?:{names})\.){'?' if buckets.path_style else ''}"
    patterns = (
        rf"(?!s3\.)(?:{services})\.{place}\.(?:amazonaws\.com|api\.aws)",
        rf"{named}s3\.(?:dualstack\.)?{place}\.amazonaws\.com",
        rf"(?:{ours})\.(?:s3-control|ddb)\.{place}\.amazonaws\.com",
        *(re.escape(host) for host in GLOBAL_HOSTS.values()),
    )
    return re.compile("|".join(patterns))


def loopback_ports(texts: Iterable[str]) -> frozenset[int]:
    """Ports of the addresses on this machine in `texts`: the broker's, and those of an emulator."""
    return frozenset(urlsplit(url).port or 0 for text in texts for url in _LOOPBACK.findall(text)) - {0}


# The only way out for Terraform's children: a CONNECT proxy on loopback that knows which child asks and what it may
# reach.
#
# A child holds a URL with a token of its own (Go sends user information of HTTPS_PROXY as Proxy-Authorization, and
# never proxies loopback). TLS goes through unread but for its first record, whose server name must be the one that
# CONNECT named. Where the kernel holds TCP ports (Landlock, sandbox_child) there is no way round the proxy.

PORT = 443
MOST_HEAD, MOST_TUNNELS, MOST_REFUSALS = 16_384, 128, 20
# A plan sends requests and reads answers; the largest answer is a provider's zip (150 MB).
MOST_SENT, MOST_RECEIVED = 64 << 20, 4 << 30
SECONDS, IDLE_SECONDS, CONNECT_SECONDS = 900.0, 120.0, 15.0
_END = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[^:/\s]+)):(?P<port>\d{1,5})")
_HOST = re.compile(r"(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]


class Refused(Exception):
    """Where a child wanted to go and why it may not, for people: `HOST:PORT, which is ...`."""


@dataclass(slots=True)
class Grant:
    """One child's pass. `refused` fills while the child runs: each place once, in order, as `HOST:PORT, which is ...`;
    the last of MOST_REFUSALS says that there were more."""

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
        """The host of `HOST:443`. Raises Refused, and keeps the refusal."""
        found = _AUTHORITY.fullmatch(authority)
        host = (found["name"] or "").lower().removesuffix(".") if found else ""
        if found and int(found["port"]) == PORT and len(host) <= 253 and _HOST.fullmatch(host) and host in self.hosts:
            return host
        raise self.refuse(authority, self.hosts.why(host))

    def refuse(self, place: str, why: str) -> Refused:
        shown = re.sub(r"[^\w.:\[\]/-]", "?", place, flags=re.ASCII)[:260]
        text = f"{shown}, which is {why}"
        if text not in self.refused and len(self.refused) < MOST_REFUSALS:
            self.refused.append(
                text if len(self.refused) < MOST_REFUSALS - 1 else "further places, which are not named here"
            )
        return Refused(text)


def dial(host: str, hosts: Hosts) -> socket.socket:
    """Connect to `host`, to an address that was looked at. Raises OSError; Refused when it is not on the Internet (AWS
    may be private).
    """
    problem = "unknown to the name service"
    for *_, address in socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM):
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        private = any(ip.version == network.version and ip in network for network in _PRIVATE)
        if not ((ip.is_global and not ip.is_multicast) or (private and hosts.is_aws(host))):
            problem = f"at {ip}, not on the Internet"
            continue
        with suppress(OSError):
            return socket.create_connection((str(ip), PORT), CONNECT_SECONDS)
        problem = ""
    if problem:
        raise Refused(problem)
    raise OSError(f"{host} does not answer")


class EgressProxy:
    """Listens until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grants: list[Grant] = []
        self._open: set[socket.socket] = set()
        self._places = threading.BoundedSemaphore(MOST_TUNNELS)
        self._server = _Server(("127.0.0.1", 0), self)
        self.port = int(self._server.server_address[1])
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="egress", daemon=True
        ).start()

    @contextmanager
    def grant(self, hosts: Hosts) -> Iterator[Grant]:
        """A pass for one child; it is worth nothing when the context has closed."""
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
        with self._lock:
            left = list(self._open)
        for one in left:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

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
        head, _, early = _read_head(client).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        grant = self._whose(lines)
        if grant is None:
            client.sendall(b"HTTP/1.1 407 No pass\r\nProxy-Authenticate: Basic\r\n" + _END)
            return
        try:
            if method != "CONNECT":
                place = rest.partition(" ")[0].removeprefix("http://").partition("/")[0]
                raise grant.refuse(place if ":" in place else f"{place}:80", "plain HTTP")
            host = grant.check(rest.partition(" ")[0])
            try:
                there = dial(host, grant.hosts)
            except Refused as refused:
                raise grant.refuse(f"{host}:{PORT}", str(refused)) from None
        except Refused as refused:
            client.sendall(f"HTTP/1.1 403 refused by ops-agent: {refused}\r\n".encode() + _END)
            return
        except OSError:
            client.sendall(b"HTTP/1.1 502 The host does not answer\r\n" + _END)
            return
        with there:
            with self._lock:
                self._open |= {client, there}
            try:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                hello = _read_hello(client, early)
                if (named := server_name(hello)) != host:
                    grant.refuse(
                        f"{host}:{PORT}",
                        f"asked for as {named!r} inside TLS" if named else "not asked for by name inside TLS",
                    )
                    return
                there.sendall(hello)
                _carry(client, there)
            finally:
                with self._lock:
                    self._open -= {client, there}

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


def _read_head(client: socket.socket) -> bytes:
    """Until the empty line. Raises OSError when it does not come, or not soon."""
    head, deadline = b"", time.monotonic() + CONNECT_SECONDS
    while b"\r\n\r\n" not in head:
        chunk = client.recv(4_096)
        head += chunk
        if not chunk or len(head) > MOST_HEAD or time.monotonic() > deadline:
            raise OSError("no request")
    return head


def _read_hello(client: socket.socket, early: bytes) -> bytes:
    """What the client sends first, until its first TLS record is whole. Raises OSError when that does not come, or not
    soon.
    """
    hello, deadline = early, time.monotonic() + CONNECT_SECONDS
    while len(hello) < 5 or len(hello) < 5 + int.from_bytes(hello[3:5]):
        chunk = client.recv(4_096)
        hello += chunk
        if not chunk or len(hello) > MOST_HEAD + 5 or time.monotonic() > deadline:
            return hello
    return hello


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
    """Bytes both ways until both have ended, a limit is reached, or both are silent for too long."""
    end = time.monotonic() + SECONDS
    left = {client: MOST_SENT, there: MOST_RECEIVED}
    other = {client: there, there: client}
    with selectors.DefaultSelector() as selector:
        for end_point in other:
            end_point.settimeout(IDLE_SECONDS)
            selector.register(end_point, selectors.EVENT_READ, end_point)
        while selector.get_map() and (wait := end - time.monotonic()) > 0:
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

    def __init__(self, address: tuple[str, int], proxy: EgressProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A child that goes away is no news; nothing of a request is ever printed."""


class _Request(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.proxy.serve(self.request)
