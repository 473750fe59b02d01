"""What a repository's owners would have entered as settings of ops-agent, read from the files of a base commit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

_REGION = re.compile(r"\b(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:central|(?:north|south)(?:east|west)?|east|west)-[1-9]\b")
_ACCOUNT = re.compile(r"(?<![0-9A-Za-z.])[0-9]{12}(?![0-9A-Za-z]|\.[0-9])")
_ENVIRONMENT = re.compile(
    r"(?<![a-z])(dev|development|prod|production|prd|staging|stage|preproduction|preprod|qa|uat|int|test|sandbox)"
    r"(?![a-z])"
)
_REQUIRED = re.compile(r"\brequired_providers\s*\{")
_ENTRY = re.compile(r"([\w-]+)\s*=\s*(?:\{([^}]*)\}|\")")
_SOURCE = re.compile(r"\bsource\"?\s*=\s*\"([^\"]+)\"")
_MODULE = re.compile(r"^\s*module\s+\"?[\w-]+\"?\s*\{[^}]*?\bsource\s*=\s*\"([^\"]+)\"", re.MULTILINE)
_TYPED = re.compile(r"^(?:resource|data|ephemeral|provider)\s+\"([a-z0-9-]+)", re.MULTILINE)
_LOCKED = re.compile(r"^provider \"([^\"]+)\"", re.MULTILINE)
_USES = re.compile(r"\buses[\"']?\s*:\s*[\"']?([\w.-]+/[\w.-]+(?:/[\w./-]+)?)@([\w./-]+)")
_SECRET = re.compile(r"\bsecrets\s*\.\s*([A-Za-z_]\w*)")
_WRITTEN = re.compile(r"^ +([a-z-]+) *: *write\b", re.MULTILINE)
_TERRAFORM = (".tf", ".tf.json", ".tfvars", ".tfvars.json", ".hcl", ".tfbackend", ".tftpl", ".tpl")
_SHORT = {"development": "dev", "production": "prod", "prd": "prod", "stage": "staging", "preprod": "preproduction"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedSettings:
    """`region` is named most often, `regions` are all; `accounts` maps environments to account ids.

    `account_files` name an account. `pins` are `owner/name/path@commit` as workflows use them, `uses` their
    `owner/name`, `permissions` the scopes that they may write.
    """

    region: str | None = None
    regions: frozenset[str] = frozenset()
    accounts: dict[str, str] = field(default_factory=dict)
    account_files: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    pins: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Facts:
    regions: tuple[str, ...] = ()
    accounts: tuple[tuple[str, str | None], ...] = ()
    providers: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    uses: frozenset[tuple[str, str]] = frozenset()
    secrets: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()


Facts = dict[str, _Facts]
"""What was found in a blob. The commits of a repository share most of their blobs."""


def derive(files: Iterable[tuple[str, str]], blob: Callable[[str], bytes | None], known: Facts) -> DerivedSettings:
    """The settings that `files` (path and blob) call for; `known` saves work for the next commit."""
    seen: list[tuple[str, _Facts]] = []
    for path, name in files:
        if not _counts(path):
            continue
        if name not in known:
            known[name] = _facts(path, (blob(name) or b"").decode(errors="replace"))
        seen.append((path, known[name]))
    regions = Counter(r for _, f in seen for r in f.regions)
    uses = {u for _, f in seen for u in f.uses}
    return DerivedSettings(
        region=min(regions, key=lambda r: (-regions[r], r), default=None),
        regions=frozenset(regions),
        accounts=_named((account, path, line) for path, f in seen for account, line in f.accounts),
        account_files=frozenset(path for path, f in seen if f.accounts),
        providers=frozenset(p for _, f in seen for p in f.providers),
        modules=frozenset(m for _, f in seen for m in f.modules),
        uses=frozenset("/".join(name.split("/")[:2]) for name, _ in uses),
        pins=frozenset(f"{name}@{ref}" for name, ref in uses if re.fullmatch(r"[0-9a-f]{40}", ref)),
        secrets=frozenset(s for _, f in seen for s in f.secrets),
        permissions=frozenset(p for _, f in seen for p in f.permissions),
    )


def _counts(path: str) -> bool:
    return path.endswith(_TERRAFORM) or (path.startswith(".github/") and path.endswith((".yml", ".yaml")))


def _facts(path: str, text: str) -> _Facts:
    regions = tuple(_REGION.findall(text))
    accounts = tuple((a, _environment(line)) for line in text.splitlines() for a in _ACCOUNT.findall(line))
    if path.startswith(".github/"):
        uses = frozenset((m[1], m[2]) for m in _USES.finditer(text))
        secrets, permissions = frozenset(_SECRET.findall(text)), frozenset(_WRITTEN.findall(text))
        return _Facts(regions, accounts, uses=uses, secrets=secrets, permissions=permissions)
    modules = frozenset(_module(s) for s in _MODULE.findall(text) if not s.startswith((".", "/")))
    return _Facts(regions, accounts, frozenset(_providers(path, text)), modules)


def _providers(path: str, text: str) -> Iterator[str]:
    if path.endswith(".lock.hcl"):
        yield from _LOCKED.findall(text)
        return
    for start in _REQUIRED.finditer(text):
        for entry in _ENTRY.finditer(_block(text, start.end())):
            source = _SOURCE.search(entry[2] or "")
            if source or entry[1] not in ("source", "version"):
                yield _address(source[1] if source else entry[1])
    for provider in _TYPED.findall(text):
        yield _address(provider)


def _block(text: str, start: int) -> str:
    """The text from `start` to the brace that closes the block."""
    depth, end = 1, start
    while depth and end < len(text):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start:end]


def _address(source: str) -> str:
    parts = source.casefold().split("/")
    return "/".join(["registry.terraform.io", "hashicorp"][: max(0, 3 - len(parts))] + parts)


def _module(source: str) -> str:
    """The repository or registry name of a module source, without the directory inside and the version."""
    return re.split(r"(?<!:)//", source.split("?")[0])[0]


def _environment(text: str) -> str | None:
    """The one environment that a path or line names."""
    found = {_SHORT.get(name, name) for name in _ENVIRONMENT.findall(text.casefold())}
    return found.pop() if len(found) == 1 else None


def _named(places: Iterable[tuple[str, str, str | None]]) -> dict[str, str]:
    """Environment -> the account that its files or lines name most often.

    An account of several environments, or of none, belongs to none: the most frequent one is `root`, the others carry
    their number.
    """
    votes: dict[str, Counter[str]] = {}
    for account, path, by_line in places:
        votes.setdefault(account, Counter())[_environment(path) or by_line or ""] += 1
    accounts: dict[str, str] = {}
    shared = []
    for account, counted in sorted(votes.items(), key=lambda item: (-item[1].total(), item[0])):
        environments = set(counted) - {""}
        name = environments.pop() if len(environments) == 1 else ""
        if name and name not in accounts:
            accounts[name] = account
        else:
            shared.append(account)
    names = ["root", *(f"account-{account}" for account in shared[1:])]
    return accounts | dict(zip(names, shared, strict=False))
