"""Module hosts on loopback, over TLS with a CA of their own: git's own http-backend behind Basic auth, and a private
module registry.

The registry answers as the module registry protocol says
(developer.hashicorp.com/terraform/internals/module-registry-protocol): service discovery, `versions`, and `download`
with 204 and `X-Terraform-Get`; a bearer token opens it.
"""

from __future__ import annotations

import base64
import datetime
import io
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_GIT = ("git", "-c", "user.name=team", "-c", "user.email=team@example.com", "-c", "init.defaultBranch=main")


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    authorization: str

    @property
    def secret(self) -> str:
        """The secret in the Authorization header: a bearer token, or the password of Basic."""
        kind, _, value = self.authorization.partition(" ")
        return base64.b64decode(value).decode().partition(":")[2] if kind.lower() == "basic" else value


@dataclass
class ModuleHost:
    """A git host and a registry in one. `token` opens both (empty: open to all); `redirects` map beginnings of paths to
    addresses.

    `modules` are archives of the registry: (`namespace/name/system`, version) -> files, or another address to get them
    from. `redirect_authorised` redirects only who showed the token; the first `fail_first` requests get 503. `commit`
    is for the tests' use.
    """

    folder: Path
    token: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    modules: dict[tuple[str, str], Mapping[str, str] | str] = field(default_factory=dict)
    discovery: Mapping[str, Any] = field(default_factory=lambda: {"modules.v1": "/v1/modules/"})
    redirect_authorised: bool = False
    fail_first: int = 0
    commit: str = ""
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> ModuleHost:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(self.folder))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        # A client that does not trust us hangs up.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"https://{self.name}"

    @property
    def other_url(self) -> str:
        """The same server under another name: for Go two ports of one name are the same host."""
        return self.url.replace("127.0.0.1", "localhost")

    @property
    def authority(self) -> Path:
        """The certificate to trust."""
        return self.folder / "certificate.pem"

    @property
    def trust(self) -> dict[str, str]:
        """Variables that make git and Terraform trust this host."""
        return {"GIT_SSL_CAINFO": str(self.authority), "SSL_CERT_FILE": str(self.authority)}

    def add_repository(
        self, name: str, files: Mapping[str, str | Path], tag: str = "v1", more: tuple[str, ...] = ()
    ) -> str:
        """A repository `org/name` with one commit and a tag on it; a Path as content is a symlink. Gives the commit."""
        work = self.folder / "work" / name
        bare = self.folder / "git" / f"{name}.git"
        work.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            place = work / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                place.symlink_to(content)
            else:
                place.write_text(content)
        for command in (
            ["init", "-q"],
            ["add", "-A"],
            [*more] or ["status", "-s"],
            ["commit", "-qm", "one"],
            ["tag", "-f", tag],
        ):
            subprocess.run([*_GIT, *command], cwd=work, check=True, capture_output=True)
        shutil.rmtree(bare, ignore_errors=True)
        subprocess.run([*_GIT, "clone", "-q", "--bare", str(work), str(bare)], check=True, capture_output=True)
        return subprocess.run(
            [*_GIT, "rev-parse", "HEAD"], cwd=work, check=True, capture_output=True, text=True
        ).stdout.strip()


class _Handler(BaseHTTPRequestHandler):
    host: ModuleHost

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        asked = Asked(self.command, path, self.headers.get("Authorization", ""))
        self.host.asked.append(asked)
        if self.host.fail_first > 0 and path != "/.well-known/terraform.json":
            self.host.fail_first -= 1
            self._say(503)
            return
        for start, address in self.host.redirects.items():
            if path.startswith(start) and (not self.host.redirect_authorised or asked.secret == self.host.token):
                self._say(302, {"Location": address + self.path.removeprefix(start)})
                return
        if path == "/.well-known/terraform.json":
            self._say(200, {"Content-Type": "application/json"}, json.dumps(self.host.discovery).encode())
        elif path.startswith("/archives/"):
            self._archive(path)
        elif self.host.token and asked.secret != self.host.token:
            self._say(401, {} if path.startswith("/v1/") else {"WWW-Authenticate": 'Basic realm="git"'})
        elif path.startswith("/v1/modules/"):
            self._registry(path.removeprefix("/v1/modules/"))
        else:
            self._git(path, query, body)

    def _say(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _registry(self, path: str) -> None:
        address, _, last = path.rpartition("/")
        if last == "versions":
            versions = [{"version": version} for name, version in self.host.modules if name == address]
            document = {"modules": [{"versions": versions}]} if versions else {"errors": ["not found"]}
            self._say(200 if versions else 404, {"Content-Type": "application/json"}, json.dumps(document).encode())
            return
        name, _, version = address.rpartition("/")
        found = self.host.modules.get((name, version))
        if found is None or last != "download":
            self._say(404)
        elif isinstance(found, str):
            self._say(204, {"X-Terraform-Get": found})
        else:
            self._say(204, {"X-Terraform-Get": f"/archives/{name}/{version}.tar.gz"})

    def _archive(self, path: str) -> None:
        name, _, version = path.removeprefix("/archives/").removesuffix(".tar.gz").rpartition("/")
        files = self.host.modules[name, version]
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for file, content in files.items() if not isinstance(files, str) else ():
                member = tarfile.TarInfo(file)
                member.size = len(content.encode())
                archive.addfile(member, io.BytesIO(content.encode()))
        self._say(200, {"Content-Type": "application/gzip"}, stream.getvalue())

    def _git(self, path: str, query: str, body: bytes) -> None:
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.host.folder / "git"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "reader",
        }
        answer = subprocess.run(
            ["git", "http-backend"], input=body, env=variables, capture_output=True, check=False
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self._say(int(headers.pop("Status", "200").split()[0]), headers, content)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "module host of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    places = folder / "certificate.pem", folder / "key.pem"
    places[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    places[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return places
