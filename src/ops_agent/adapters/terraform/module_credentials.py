"""Credentials for module hosts, as git and Terraform take them from the environment: never in an argument, never on disk.

git gets them by a credential helper of ours that answers for one host only. An extra header would follow a redirect to another host
(measured with git 2.39: the second request there carries it); what a helper gave does not, because git asks anew for each host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ops_agent.core.sources.module_sources import ModuleSource, SourceKind

# GitHub, GitLab, Bitbucket and Azure take any name beside a token; GitHub documents this one.
_ANY_USER = "x-access-token"
# Read with `sh -c`; `$1` is git's verb. `path` (decoded) matters only where the answer is for one owner, who is not left by `..`.
_HELPER = (
    '!f() {{ test "$1" = get || return 0; path=; while IFS="=" read -r key value; do case "$key" in path) path=$value;; "") break;; esac; '
    'done; case "$path" in */../*) ;; {paths}) printf "username=%s\\npassword=%s\\n" "${user}" "${token}";; esac; }}; f'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCredentials:
    """`tokens` maps `host[:port]` to a token, or to `user:token`. The run's own token serves git on its own host for one owner.

    `own_host` and `own_owner` are those of the repository that is changed; empty when the run has no token.
    """

    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_host: str = ""
    own_owner: str = ""
    own_token: str = field(default="", repr=False)

    def serve(self, source: ModuleSource) -> bool:
        """Whether anything is given for the source's host."""
        return source.host in self._hosts_of(source) or self._is_own(source)

    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any text."""
        given = (secret for token in self.tokens.values() for secret in (token, _split(token)[1]))
        return tuple(secret for secret in (*given, self.own_token) if secret)

    def rewritten(self, source: ModuleSource) -> bool:
        """Whether an ssh source is fetched over https, because a token for its host is given."""
        return source.kind is SourceKind.SSH and self.serve(source)

    def variables(self, registries: Collection[str] = ()) -> dict[str, str]:
        """The environment of git and Terraform: nobody's configuration, https only, no prompt, no hook, no submodule; and the tokens.

        Terraform gets those of `registries` only (hosts that were looked at, see module_registries).
        """
        settings: list[tuple[str, str]] = [
            ("credential.helper", ""),
            ("credential.useHttpPath", "true"),
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("init.templateDir", ""),
            # go-getter updates submodules after each clone: with this none is active, so none is fetched.
            ("submodule.active", ":(exclude)*"),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", "30"),
        ]
        found: dict[str, str] = {}
        for number, (host, token) in enumerate(sorted(self.tokens.items())):
            user, secret = _split(token)
            found |= {f"OPS_USER_{number}": user, f"OPS_TOKEN_{number}": secret}
            found |= {f"TF_TOKEN_{_encoded(host)}": secret} if host in registries else {}
            settings += _git_settings(host, _HELPER.format(paths="*", user=f"OPS_USER_{number}", token=f"OPS_TOKEN_{number}"))
            settings += _from_ssh(host, "")
        if self.own_token and self.own_host and self.own_host not in self.tokens:
            found |= {"OPS_USER_OWN": _ANY_USER, "OPS_TOKEN_OWN": self.own_token}
            owner = "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in self.own_owner)
            settings += _git_settings(self.own_host, _HELPER.format(paths=f"{owner}/*", user="OPS_USER_OWN", token="OPS_TOKEN_OWN"))  # noqa: S106
            settings += _from_ssh(self.own_host, f"{self.own_owner}/")
        return {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https",
            **_as_variables(settings),
            **found,
        }

    def _hosts_of(self, source: ModuleSource) -> Iterable[str]:
        if source.kind is SourceKind.SSH:
            return {host.partition(":")[0] for host in self.tokens}
        return self.tokens

    def _is_own(self, source: ModuleSource) -> bool:
        if not self.own_token or source.kind not in (SourceKind.GIT, SourceKind.SSH):
            return False
        own = self.own_host.partition(":")[0] if source.kind is SourceKind.SSH else self.own_host
        return source.host == own and source.owner.casefold() == self.own_owner.casefold()


def token_of(entry: str) -> str:
    """The token of an entry, without the user that may stand before it."""
    return _split(entry)[1]


def _split(token: str) -> tuple[str, str]:
    user, colon, secret = token.partition(":")
    return (user, secret) if colon else (_ANY_USER, token)


def _encoded(host: str) -> str:
    """A host as Terraform reads it from the name of a variable."""
    return host.replace("-", "__").replace(".", "_")


def _git_settings(host: str, helper: str) -> list[tuple[str, str]]:
    return [(f"credential.https://{host}.helper", helper)]


def _from_ssh(host: str, path: str) -> list[tuple[str, str]]:
    """ssh addresses of the host become https ones; the port of an https address says nothing about ssh's."""
    name = host.partition(":")[0]
    return [
        (f"url.https://{host}/{path}.insteadOf", f"{start}{path}") for start in (f"ssh://git@{name}/", f"ssh://{name}/", f"git@{name}:")
    ]


def _as_variables(settings: list[tuple[str, str]]) -> dict[str, str]:
    """Settings of git as the environment carries them (git-config, GIT_CONFIG_COUNT)."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found
