"""Where a private registry's modules are, asked by our own code, so that its token reaches no other host.

Terraform follows a redirect of the discovery document, and an address in it, to any host, and sends the token there (measured with 1.15).
So discovery is done here and handed to Terraform as a `host` block; a host that was not asked, or points elsewhere, gets no token.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ops_agent.adapters.terraform.module_credentials import token_of

TRIES, _SECONDS, _MOST_BYTES, _MOST_REDIRECTS = 3, 10, 1 << 20, 3
_DOCUMENT = "/.well-known/terraform.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What a host says about modules: their address, empty when it serves none; `problem` says why its token stays here."""

    modules: str = ""
    problem: str = ""


class Registries:
    """Asks each host once. `tokens` are those of module_credentials; `authority` a file with a certificate to trust (the harness's)."""

    def __init__(self, tokens: Mapping[str, str], *, authority: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        self._tokens, self._sleep = tokens, sleep
        self._context = ssl.create_default_context(cafile=authority or None)
        self._lock = threading.Lock()
        self._known: dict[str, Registry] = {}

    def known(self) -> Mapping[str, Registry]:
        """Every host with a token."""
        with self._lock:
            for host in self._tokens:
                if host not in self._known:
                    self._known[host] = self._ask(host)
            return dict(self._known)

    def _ask(self, host: str) -> Registry:
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(2.0**attempt)
            try:
                status, body, address = self._document(host)
            except (OSError, http.client.HTTPException) as error:
                problem = f"it does not answer ({error})"
                continue
            if status >= 500 or status == 429:
                problem = f"it answers with status {status}"
                continue
            if 300 <= status < 400:
                return Registry(problem=f"its discovery document is redirected to `{urlsplit(address).netloc}`")
            return self._read(host, address, body) if status == 200 else Registry()
        return Registry(problem=problem)

    def _document(self, host: str) -> tuple[int, bytes, str]:
        """Status, body and address at last: redirects are followed on the same host only. Our token goes along when it is asked for."""
        address, headers = f"https://{host}{_DOCUMENT}", {"Accept": "application/json"}
        for _ in range(_MOST_REDIRECTS + 2):
            connection = http.client.HTTPSConnection(host, timeout=_SECONDS, context=self._context)
            try:
                connection.request("GET", urlsplit(address).path, headers=headers)
                answer = connection.getresponse()
                status, body = answer.status, answer.read(_MOST_BYTES)
                further = urljoin(address, answer.getheader("Location") or "")
            finally:
                connection.close()
            if status in (401, 403) and "Authorization" not in headers:
                headers["Authorization"] = f"Bearer {token_of(self._tokens[host])}"
            elif 300 <= status < 400 and _is_on(further, host) and further != address:
                address = further
            else:
                return status, body, further if 300 <= status < 400 else address
        return status, body, further

    def _read(self, host: str, address: str, body: bytes) -> Registry:
        try:
            modules = json.loads(body).get("modules.v1")
        except (ValueError, AttributeError):
            return Registry()
        if not isinstance(modules, str):
            return Registry()
        where = urljoin(address, modules)
        other = urlsplit(where)
        if other.scheme != "https" or not (_is_on(where, host) or other.netloc.lower() in self._tokens):
            return Registry(problem=f"it hands its modules to `{other.scheme}://{other.netloc}`")
        return Registry(modules=where)


def host_blocks(registries: Mapping[str, Registry]) -> str:
    """Blocks of Terraform's CLI configuration that stand in place of discovery."""
    found = (
        f'host {json.dumps(h)} {{\n  services = {{\n    "modules.v1" = {json.dumps(r.modules)}\n  }}\n}}\n'
        for h, r in registries.items()
        if r.modules
    )
    return "".join(found)


def _is_on(address: str, host: str) -> bool:
    url = urlsplit(address)
    return url.scheme == "https" and url.netloc.lower().removesuffix(":443") == host
