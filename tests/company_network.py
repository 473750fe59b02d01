"""A company's way out: a CONNECT proxy that asks for a login, opens TLS with a private authority's certificates, and
remembers who was asked for.
"""

from __future__ import annotations

import base64
import datetime
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "runner", "s3cret/of:the proxy"


class Authority:
    """A private certificate authority, made by hand as companies do. `file` holds its certificate, for every user."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A company's own authority")])
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        own = self._signed(self._name, self._key.public_key(), None)
        self.pem = own.public_bytes(serialization.Encoding.PEM).decode()
        self.file = folder / "authority.pem"
        self.file.write_text(self.pem)
        self.file.chmod(0o644)

    def context(self, name: str) -> ssl.SSLContext:
        """A server's context with a certificate for `name`."""
        with self._lock:
            if name not in self._contexts:
                key = ec.generate_private_key(ec.SECP256R1())
                subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:60])])
                made = self._signed(subject, key.public_key(), name)
                place = self._folder / f"{len(self._contexts)}.pem"
                form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                place.write_bytes(
                    key.private_bytes(serialization.Encoding.PEM, *form) + made.public_bytes(serialization.Encoding.PEM)
                )
                self._contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._contexts[name].load_cert_chain(place)
            return self._contexts[name]

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, name: str | None) -> x509.Certificate:
        now, own = datetime.datetime.now(datetime.UTC), self._key.public_key()
        usage = dict.fromkeys(
            (
                *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
                *("crl_sign", "encipher_only", "decipher_only"),
            ),
            False,
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=name is None, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=name is not None, key_cert_sign=name is None, **usage), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )
        if name is not None:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return made.sign(self._key, hashes.SHA256())


@dataclass
class CompanyNetwork:
    """`behind` maps host names (`*`: all others) to servers on this machine, of plain HTTP unless they are `encrypted`;
    every other host is refused (403). `asked` are the places of each CONNECT that had the login, `rejected` counts
    those without.
    """

    authority: Authority
    behind: Mapping[str, tuple[str, int]]
    encrypted: frozenset[str] = frozenset()
    port: int = 0
    asked: list[str] = field(default_factory=list)
    rejected: int = 0

    @property
    def url(self) -> str:
        return f"http://{USER}:s3cret%2Fof%3Athe%20proxy@127.0.0.1:{self.port}"

    @property
    def hosts(self) -> set[str]:
        return {place.rpartition(":")[0] for place in self.asked}

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.settimeout(30)
            head = b""
            while b"\r\n\r\n" not in head and (more := client.recv(1)):
                head += more
            first, *lines = head.decode("latin-1").split("\r\n")
            given = [
                line.partition(":")[2].strip() for line in lines if line.lower().startswith("proxy-authorization:")
            ]
            login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if given != [f"Basic {login}"]:
                self.rejected += 1
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            place = first.split()[1]
            self.asked.append(place)
            host = place.rpartition(":")[0]
            server = self.behind.get(host) or self.behind.get("*")
            if server is None:
                client.sendall(b"HTTP/1.1 403 Forbidden by the company\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            inside = self.authority.context(host).wrap_socket(client, server_side=True)
            there = socket.create_connection(server)
            if host in self.encrypted:
                there = ssl._create_unverified_context().wrap_socket(there)
            with inside, there:
                _carry(inside, there)


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Both ways in one thread: an SSL object is not for two at once."""
    with selectors.DefaultSelector() as selector:
        for end, sink in ((one, other), (other, one)):
            selector.register(end, selectors.EVENT_READ, sink)
        while True:
            for key, _ in selector.select(60) or [(None, 0)]:
                if key is None:
                    return
                source, sink = key.fileobj, key.data
                while True:
                    source.setblocking(False)
                    try:
                        chunk = source.recv(1 << 16)
                    except (ssl.SSLWantReadError, BlockingIOError):
                        break
                    finally:
                        source.settimeout(30)
                    if not chunk:
                        return
                    sink.sendall(chunk)


@contextmanager
def company_network(
    folder: Path, behind: Mapping[str, tuple[str, int]], encrypted: frozenset[str] = frozenset()
) -> Iterator[CompanyNetwork]:
    """`folder` must be open to every user."""
    made = CompanyNetwork(Authority(folder), behind, encrypted)
    with socket.create_server(("127.0.0.1", 0)) as server:
        made.port = server.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=made.serve, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield made
