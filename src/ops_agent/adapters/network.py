"""How this run reaches other hosts: through the proxy that the runner names, and with certificates beside the system's.

No client here reads the environment by itself; each is given this. Terraform's children never see the proxy's address:
the egress proxy passes their connections on (terraform/egress.py).
"""

from __future__ import annotations

import base64
import ipaddress
import re
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ops_agent.config.inputs import LOOPBACK, SHORTEST_SECRET
from ops_agent.model.errors import ConfigError

# Where systems keep the certificates that they trust, in one file (the list of Go's crypto/x509).
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_PAGE = "docs/setup/network.md"
UNTRUSTED = f"no certificate authority that this runner trusts signed its certificate (`ca_certificates`, {_PAGE})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy that takes CONNECT. Its text never shows the credentials."""

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def url(self) -> str:
        """With the credentials: for a client of this process alone."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.authorization else ""
        return f"http://{login}{self}"

    @property
    def authorization(self) -> str:
        """The value of `Proxy-Authorization`, empty without credentials."""
        login = f"{self.user}:{self.password}"
        return f"Basic {base64.b64encode(login.encode()).decode()}" if login != ":" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """`proxy` serves every host but this machine and `direct` (NO_PROXY, split). `bundle` is a file with the system's
    certificates and the ones that were given; None: the system's alone.
    """

    proxy: Proxy | None = None
    direct: tuple[str, ...] = ()
    bundle: Path | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The proxy's password, plain and as an address holds it. A short one would mask unrelated parts of the log."""
        password = self.proxy.password if self.proxy is not None else ""
        return tuple({password, quote(password, safe="")}) if len(password) >= SHORTEST_SECRET else ()

    @property
    def verify(self) -> str | bool:
        """`verify` of requests, which by itself knows a list of its own and not what the system trusts."""
        system = next((name for name in _SYSTEM if Path(name).is_file()), True)
        return str(self.bundle) if self.bundle else system

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.bundle) if self.bundle else None)

    def proxy_for(self, host: str, port: int = 443) -> Proxy | None:
        """The proxy for a connection to `host`, None for a direct one. Entries of `direct` as curl reads them: a name
        and what is below it, an address or a network of addresses, each perhaps with a port; `*` is everything.
        """
        name = host.lower().strip("[]").rstrip(".")
        if self.proxy is None or name in LOOPBACK or any(_covers(entry, name, port) for entry in self.direct):
            return None
        return self.proxy

    def proxy_of(self, url: str) -> Proxy | None:
        """The proxy for an address. Plain http leaves this process for this machine alone."""
        parts = urlsplit(url)
        return self.proxy_for(parts.hostname or "", parts.port or 443) if parts.scheme == "https" else None

    def proxies(self, url: str) -> dict[str, str]:
        """`proxies` of requests, for one address."""
        proxy = self.proxy_of(url)
        return {"https": proxy.url} if proxy is not None else {}


DIRECT = Network()


def _covers(entry: str, name: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    place, colon, only = entry.rpartition(":")
    if colon and only.isdigit():
        return int(only) == port and _covers(place, name, port)
    wanted = entry.removeprefix("*").strip(".")
    return bool(wanted) and (name == wanted or name.endswith(f".{wanted}"))


@contextmanager
def network(environment: Mapping[str, str], certificates: str = "") -> Iterator[Network]:
    """The network of a run: HTTPS_PROXY and NO_PROXY (in small letters first) of the runner, and the input
    `ca_certificates`, else the file that the runner names for actions (NODE_EXTRA_CA_CERTS).

    The bundle is gone when the context ends. Raises ConfigError.
    """

    def named(name: str) -> str:
        return (environment.get(name.lower()) or environment.get(name) or "").strip()

    direct = tuple(entry for part in re.split(r"[,\s]+", named("NO_PROXY")) if (entry := part.lower()))
    address = named("HTTPS_PROXY")
    found = Network(proxy=read_proxy(address) if address else None, direct=direct)
    own = _given(certificates or environment.get("NODE_EXTRA_CA_CERTS", ""), is_input=bool(certificates))
    if not own:
        yield found
        return
    with tempfile.NamedTemporaryFile("w", prefix="ops-agent-ca-", suffix=".pem", encoding="ascii") as file:
        file.write("\n".join(dict.fromkeys([*_system_certificates(environment.get("SSL_CERT_FILE", "")), *own])))
        file.flush()
        yield replace(found, bundle=Path(file.name))


def read_proxy(address: str) -> Proxy:
    """`HTTPS_PROXY` as a proxy. Raises ConfigError, which never shows the address: it may hold a password."""
    host, port, login, fits = "", 0, ("", ""), False
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        host, port = parts.hostname or "", 80 if parts.port is None else parts.port
        login = unquote(parts.username or ""), unquote(parts.password or "")
        fits = parts.scheme == "http" and bool(re.fullmatch(r"[\w.:-]+", host, re.ASCII)) and port > 0
    except ValueError:
        pass
    if not fits:
        raise ConfigError(
            "HTTPS_PROXY of the runner is not the address of an HTTP proxy",
            hint=f"Write it like http://proxy.example.com:3128 or http://USER:PASSWORD@... ({_PAGE}).",
        )
    return Proxy(host=host, port=port, user=login[0], password=login[1])


def _given(text: str, *, is_input: bool) -> list[str]:
    """The certificates of a PEM text, or of the file that it names; nothing else in it is kept."""
    if not text:
        return []
    where = "`ca_certificates`" if is_input else "NODE_EXTRA_CA_CERTS of the runner"
    pem = text
    if "-----BEGIN" not in text:
        try:
            pem = Path(text).read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a path"
            if not is_input:  # Node goes on with a warning, and so does every other action
                return []
            raise ConfigError(
                f"{where} names {text[:200]!a}, which cannot be read: {why}",
                hint="Give the PEM text, or the absolute path of a PEM file on the runner.",
            ) from None
    found = _CERTIFICATE.findall(pem)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata="\n".join(found))
    except (ssl.SSLError, ValueError) as error:
        if not is_input:
            return []
        hint = "Give PEM: blocks of `-----BEGIN CERTIFICATE-----`; convert DER with `openssl x509 -inform der`."
        raise ConfigError(f"{where} holds no certificate that can be read", hint=hint) from error
    return found


def _system_certificates(named: str) -> list[str]:
    places = [named, ssl.get_default_verify_paths().cafile or "", *_SYSTEM]
    for name in filter(None, places):
        path = Path(name)
        if path.is_file() and (found := _CERTIFICATE.findall(path.read_text(encoding="utf-8", errors="replace"))):
            return found
    import certifi

    return _CERTIFICATE.findall(Path(certifi.where()).read_text(encoding="ascii"))


def explained(error: BaseException) -> str | None:
    """What a failed connection says about the network's own set-up: a certificate that nobody here trusts, or a proxy.
    None: something else. Never holds the proxy's credentials.
    """
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if (refused := re.search(r"certificate verify failed: ([\w' -]{3,80})", str(one))) is not None:
            is_unknown = re.search("issuer|self.signed", refused[1])
            return UNTRUSTED if is_unknown else f"its certificate is refused: {refused[1].strip()} ({_PAGE})"
        if status := re.search(r"Tunnel connection failed: (4\d\d)|^(40[37]) ", str(one)):
            return f"the proxy of this network refused the connection ({status[1] or status[2]}; {_PAGE})"
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return None


def silence(network: Network, url: str, seconds: float = 8) -> str | None:
    """Why nothing answers at `url`, None when something does, whatever its status. Nothing but the address is sent."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        try:
            session.head(
                url, timeout=seconds, allow_redirects=False, verify=network.verify, proxies=network.proxies(url)
            ).close()
        except requests.RequestException as error:
            if isinstance(error, requests.Timeout):
                return f"no answer within {seconds:g} s"
            reason = getattr(error.args[0] if error.args else None, "reason", error)
            unknown = "NameResolution" in type(reason).__name__
            return explained(error) or ("its name is not known here" if unknown else "no connection")
    return None
