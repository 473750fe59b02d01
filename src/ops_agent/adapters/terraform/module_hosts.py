"""How module hosts are reached: credentials for git and Terraform, and where a private registry serves its modules.

Both take their credentials from the environment: never from an argument, never from disk. git gets them from a helper
of ours that answers for one host only. An extra header would follow a redirect to another host (measured with git
2.39); the helper's answer does not, because git asks anew for each host.

Terraform follows a redirect of a registry's discovery document, and an address in it, to any host, and sends the token
there (measured with 1.15). So discovery is done here and handed to Terraform as a `host` block. A host that was not
asked, or leads elsewhere, gets no token.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from ops_agent.adapters.network import DIRECT, Network, explained
from ops_agent.terraform.module_sources import ModuleSource, SourceKind

TRIES = 3
_SECONDS, _MAX_BYTES, _MAX_REQUESTS = 10, 1 << 20, 5
_DOCUMENT = "/.well-known/terraform.json"
# GitHub, GitLab, Bitbucket and Azure take any name beside a token; GitHub documents this one.
_ANY_USER = "x-access-token"
# Run by `sh -c`; `$1` is git's verb. `path` (decoded) matters only where the answer is for one owner, who is not left
# by `..`.
_HELPER = (
    '!f() {{ test "$1" = get || return 0; path=; '
    'while IFS="=" read -r key value; do case "$key" in path) path=$value;; "") break;; esac; done; '
    'case "$path" in */../*) ;; {paths}) printf "username=%s\\npassword=%s\\n" "${user}" "${token}";; esac; }}; f'
)
# Nobody's hook, no prompt. go-getter updates submodules after each clone: with this none is active, so none is fetched.
_GIT = (
    ("credential.helper", ""),
    ("credential.useHttpPath", "true"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("init.templateDir", ""),
    ("submodule.active", ":(exclude)*"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
)


@dataclass(frozen=True, slots=True)
class _Token:
    """One host's token. With an `owner` it is for git repositories of that owner alone."""

    host: str
    user: str
    secret: str = field(repr=False)
    owner: str = ""

    @property
    def ssh_host(self) -> str:
        """The port of an https address says nothing about ssh's."""
        return self.host.partition(":")[0]

    def serves(self, source: ModuleSource) -> bool:
        if source.host != (self.ssh_host if source.kind is SourceKind.SSH else self.host):
            return False
        by_git = source.kind in (SourceKind.GIT, SourceKind.SSH)
        return not self.owner or (by_git and source.owner.casefold() == self.owner.casefold())

    def git_settings(self, user: str, token: str) -> Iterator[tuple[str, str]]:
        """git asks for https what is written for ssh, with what the variables named `user` and `token` hold."""
        any_case = "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in self.owner)
        paths = f"{any_case}/*" if self.owner else "*"
        yield f"credential.https://{self.host}.helper", _HELPER.format(paths=paths, user=user, token=token)
        path = f"{self.owner}/" if self.owner else ""
        for start in (f"ssh://git@{self.ssh_host}/", f"ssh://{self.ssh_host}/", f"git@{self.ssh_host}:"):
            yield f"url.https://{self.host}/{path}.insteadOf", f"{start}{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCredentials:
    """`tokens` maps `host[:port]` to a token, or to `user:token`. The run's own token serves git on the host and for
    the owner of the repository that is changed; it is empty when the run has none.
    """

    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_host: str = ""
    own_owner: str = ""
    own_token: str = field(default="", repr=False)

    def serve(self, source: ModuleSource) -> bool:
        """Whether there is a token for the source's host."""
        return any(token.serves(source) for token in self._all())

    def variables(self, registries: Collection[str] = ()) -> dict[str, str]:
        """The environment of git and Terraform: nobody's configuration, https only, and the tokens. Terraform gets
        those of `registries` only (see find_registries).
        """
        settings, found = list(_GIT), dict[str, str]()
        for number, token in enumerate(self._all()):
            user, secret = f"OPS_USER_{number}", f"OPS_TOKEN_{number}"
            found |= {user: token.user, secret: token.secret}
            settings += token.git_settings(user, secret)
            if token.host in registries:
                found["TF_TOKEN_" + token.host.replace("-", "__").replace(".", "_")] = token.secret
        for number, (key, value) in enumerate(settings):
            found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https",
            "GIT_CONFIG_COUNT": str(len(settings)),
            **found,
        }

    def registry_tokens(self) -> dict[str, str]:
        """The tokens without users, by host."""
        return {token.host: token.secret for token in self._all() if not token.owner}

    def _all(self) -> Iterator[_Token]:
        for host, token in sorted(self.tokens.items()):
            user, colon, secret = token.partition(":")
            yield _Token(host, user, secret) if colon else _Token(host, _ANY_USER, token)
        if self.own_token and self.own_host and self.own_owner and self.own_host not in self.tokens:
            yield _Token(self.own_host, _ANY_USER, self.own_token, self.own_owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What a host says about modules: their address, empty when it serves none; or why its token stays here."""

    modules: str = ""
    problem: str = ""

    def block(self, host: str) -> str:
        """The block of Terraform's CLI configuration that replaces discovery."""
        return f'host {json.dumps(host)} {{\n  services = {{\n    "modules.v1" = {json.dumps(self.modules)}\n  }}\n}}\n'


def find_registries(
    tokens: Mapping[str, str], network: Network = DIRECT, *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Registry]:
    """What each host of `tokens` says."""
    return {host: _ask(host, tokens, network, sleep) for host in tokens}


def _ask(host: str, tokens: Mapping[str, str], network: Network, sleep: Callable[[float], None]) -> Registry:
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(2.0**attempt)
        try:
            return _discover(host, tokens, network)
        except (OSError, http.client.HTTPException) as error:
            if (why := explained(error)) is not None:
                return Registry(problem=why)
            problem = f"it does not answer ({error})"
    return Registry(problem=problem)


def _discover(host: str, tokens: Mapping[str, str], network: Network) -> Registry:
    """Read the discovery document; redirects are followed on the same host only, and the token goes along when it is
    asked for. Raises OSError or HTTPException when there is no answer, which may be another one later.
    """
    address, headers = f"https://{host}{_DOCUMENT}", {"Accept": "application/json"}
    for _ in range(_MAX_REQUESTS):
        connection = _connection(host, network)
        try:
            connection.request("GET", urlsplit(address).path, headers=headers)
            answer = connection.getresponse()
            status, body, location = answer.status, answer.read(_MAX_BYTES), answer.getheader("Location")
        finally:
            connection.close()
        if status >= 500 or status == 429:
            raise ConnectionError(f"status {status}")
        if status in (401, 403) and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {tokens[host]}"
        elif 300 <= status < 400 and location:
            address = urljoin(address, location)
            if not _is_on(address, host):
                return Registry(problem=f"its discovery document is redirected to `{urlsplit(address).netloc}`")
        else:
            return _read(host, address, body, tokens) if status == 200 else Registry()
    return Registry(problem="its discovery document is redirected without end")


def _connection(host: str, network: Network) -> http.client.HTTPSConnection:
    proxy = network.proxy_of(f"https://{host}")
    if proxy is None:
        return http.client.HTTPSConnection(host, timeout=_SECONDS, context=network.context())
    connection = http.client.HTTPSConnection(proxy.host, proxy.port, timeout=_SECONDS, context=network.context())
    login = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    there = urlsplit(f"https://{host}")
    connection.set_tunnel(there.hostname or host, there.port or 443, headers=login)
    return connection


def _read(host: str, address: str, body: bytes, tokens: Mapping[str, str]) -> Registry:
    try:
        modules = json.loads(body).get("modules.v1")
    except (ValueError, AttributeError):
        modules = None
    if not isinstance(modules, str):
        return Registry()
    where = urljoin(address, modules)
    other = urlsplit(where)
    if other.scheme == "https" and (_is_on(where, host) or other.netloc.lower() in tokens):
        return Registry(modules=where)
    return Registry(problem=f"it hands its modules to `{other.scheme}://{other.netloc}`")


def _is_on(address: str, host: str) -> bool:
    url = urlsplit(address)
    return url.scheme == "https" and url.netloc.lower().removesuffix(":443") == host
