"""One region, and each account in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice

from ops_agent.guard.data import words
from ops_agent.guard.rule import Piece, RootInEnvironment, TerraformFile, TextFile, hit, hit_at, rule
from ops_agent.guard.rules.terraform.sources import declared_providers
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import (
    UNSEEN,
    Instance,
    Scope,
    evaluate,
    possible_values,
    scopes_of,
    sources_of,
    texts,
    with_scopes,
)
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import ROOT, Policy
from ops_agent.model.terraform import UNKNOWN, Attribute, Block, Expression, ExpressionKind
from ops_agent.terraform.environments import canonical

_REGION_ARGUMENT = re.compile(r"((.+_)?region(_name)?|(.+_)?regions|region_names)")
_ZONE_ARGUMENT = re.compile(r"(.+_)?(availability_zones?|zone_ids?)|service_name")
_MADE = (ExpressionKind.TEMPLATE, ExpressionKind.CALL, ExpressionKind.FOR, ExpressionKind.OTHER)
_ADDRESS = re.compile(r"\barn:|amazonaws\.com|\bon\.aws|\bapi\.aws")
# Arguments for people.
_PROSE = re.compile(r"description|error_message|comment|.*_description|title|readme")
_OF_ACCOUNT = re.compile(r".*(account|owner|principal|registry_id|aws_id|identifiers|policy).*", re.IGNORECASE)
_OF_ORGANIZATION = re.compile(
    r"(.*[_-])?(root|org|organi[sz]ation|management|master|payer|main)([_-].*)?", re.IGNORECASE
)
_TWELVE = re.compile(r"[0-9]{12}")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d")
_IN_ADDRESS = re.compile(r"(?:arn:[^:\s]*:[^:\s]*:[^:\s]*:|//|^)([0-9]{12})(?=[:.])")
_MOST_ROUNDS = 2_000
_OTHER_CLOUDS = re.compile(r"(google|azurerm|azuread|azapi)(_|-|$)")


@rule(Severity.BLOCKS)
def foreign_region(file: TerraformFile) -> Iterator[Finding]:
    """Another region is named.

    Everything is in the region of the policy: backend, provider, ARNs, availability zones, registry addresses. Nothing
    is exempt, not even services that answer elsewhere: those are for people.

    Remedy: Use the policy's region, best by `var.aws_region` or `data.aws_region.current`.
    """
    for piece, part, _, text in _literals(file):
        for region in foreign_regions(text, file.policy.region):
            yield file.hit(piece, f"`{region}` is named; only `{file.policy.region}` may be", part)


@rule(Severity.BLOCKS)
def assembled_region(root: RootInEnvironment) -> Iterator[Finding]:
    """Another region is assembled from parts.

    A name such as `"us-${var.side}-1"` means another region once the environment's values are filled in. An ARN, an
    address or a zone that is made of constants only and cannot be computed here is refused.

    Remedy: Use the policy's region as it is; do not compute region names.
    """
    for path, block, attribute, expression, value, scope in _made(root):
        for text in texts(value):
            for region in foreign_regions(text, root.policy.region):
                what = f"`{attribute.name}` becomes `{region}` in {root.target}"
                yield hit_at(path, block, what, expression, also=region)
        if _hides_a_place(expression, value, attribute, scope):
            what = (
                f"`{attribute.name}` of `{block.name}` may hide a region or account: its text cannot be computed here"
            )
            yield hit_at(path, block, what, expression, also="hidden")


@rule(Severity.BLOCKS)
def provider_region(root: RootInEnvironment) -> Iterator[Finding]:
    """The AWS provider is not in the policy's region.

    The region of every provider block and alias is resolved for each environment from its variable files, locals and
    defaults. What does not resolve is refused.

    Remedy: Set `region = var.aws_region` and give the variable the policy's region in the environment's variable file.
    """
    for instance in root.instances:
        for path, block in instance.blocks("provider"):
            attribute = block.attribute("region")
            address = declared_providers(root.tree, instance.directory).get(block.labels[0]) if block.labels else None
            is_aws = block.labels == ("aws",) or str(address).endswith("/hashicorp/aws")
            if is_aws and attribute is None:
                yield hit_at(path, block, f"`{block.name}` names no region", "region")
            elif is_aws and attribute is not None:
                yield from _not_ours(root, instance, path, block, attribute)


@rule(Severity.BLOCKS)
def resource_region(root: RootInEnvironment) -> Iterator[Finding]:
    """A resource, data source or replica of AWS names a region that is not the policy's.

    Since version 6 of the AWS provider every resource can name its own region, and replicas always could. What does not
    resolve is refused.

    Remedy: Leave the argument out: the provider's region holds.
    """
    for instance in root.instances:
        for path, block in instance.blocks("resource", "data", "ephemeral"):
            if block.labels and block.labels[0].startswith("aws_"):
                for inner in block.walk():
                    for attribute in inner.attributes:
                        if _REGION_ARGUMENT.fullmatch(attribute.name):
                            yield from _not_ours(root, instance, path, block, attribute)


@rule(Severity.BLOCKS)
def foreign_account(file: TerraformFile) -> Iterator[Finding]:
    """An account that is not the organization's is named.

    No account id beyond those of the policy may be hard-coded: an ARN of a stranger gives rights away or takes data
    from elsewhere. Accounts of AWS services and of publishers of images are known.

    Remedy: Use a variable that the environment's file fills, or `data.aws_caller_identity.current.account_id`.
    """
    known = frozenset(file.policy.accounts.values()) | words("known_accounts")
    for piece, account, line, text in _accounts(file):
        if account not in known:
            yield file.hit(piece, f"the account `{account}` is not one of the policy's", text, line=line)


@rule(Severity.BLOCKS)
def misplaced_account(file: TerraformFile) -> Iterator[Finding]:
    """An account id is hard-coded in shared code.

    Account ids differ between environments; they belong into the backend and variable files of their environment.

    Remedy: Use `data.aws_caller_identity.current.account_id`, or a variable that each environment's file fills.
    """
    known = frozenset(file.policy.accounts.values())
    if file.environment is None and not may_name_accounts(file.path, file.policy):
        for piece, account, line, text in _accounts(file):
            if account in known:
                yield file.hit(piece, f"the account `{account}` is written into `{file.path}`", text, line=line)


@rule(Severity.BLOCKS)
def account_of_another_environment(file: TerraformFile) -> Iterator[Finding]:
    """A file of one environment names the account of another.

    Files of `dev` name the dev account, files of `prod` the prod account: otherwise one environment acts on the other.
    The root account is for matters of the organization: only what is called so may name it.

    Remedy: Put the environment's own account there.
    """
    environment = file.environment
    if environment is None:
        return
    of_account = {account: canonical(name) for name, account in file.policy.accounts.items()}
    for piece, account, line, text in _accounts(file):
        owner = of_account.get(account, environment)
        if owner != environment and not (owner == ROOT and _OF_ORGANIZATION.fullmatch(piece.name)):
            what = f"`{account}` is the account of `{owner}`, but the file belongs to `{environment}`"
            yield file.hit(piece, what, text, line=line)


@rule(Severity.BLOCKS)
def assembled_account(root: RootInEnvironment) -> Iterator[Finding]:
    """An account that is not the environment's is assembled from parts.

    `"${"1234"}${"56789012"}"`, `join`, `format` or a number that is added up means an account as much as its digits in
    one piece.

    Remedy: Use `data.aws_caller_identity.current.account_id`, or a variable that each environment's file fills.
    """
    environment = canonical(root.target.environment.name)
    of_account = {account: canonical(name) for name, account in root.policy.accounts.items()}
    known = words("known_accounts")
    for path, block, attribute, expression, value, _ in _made(root):
        is_number = isinstance(value, int) and _OF_ACCOUNT.fullmatch(f"{block.name} {attribute.name}")
        found = [str(value)] if is_number else texts(value)
        for account in (a for text in found for a in real_accounts(text) if a not in known):
            owner = of_account.get(account)
            if owner not in (environment, ROOT) and (owner is None or environment in of_account.values()):
                whose = f"of `{owner}`" if owner else "that is not one of the policy's"
                what = f"`{attribute.name}` becomes the account `{account}` {whose} in {root.target}"
                yield hit_at(path, block, what, expression, also=f"{account} {root.target.environment.name}")


@rule(Severity.DANGER)
def root_account(file: TerraformFile) -> Iterator[Finding]:
    """The organization's root account is named.

    It is for matters of the organization only; a reviewer should see why it is needed here.

    Remedy: Use the environment's own account unless the issue is about the organization.
    """
    for piece, account, line, text in _accounts(file):
        if account == file.policy.accounts.get(ROOT):
            yield file.hit(piece, f"`{account}` is the root account", text, line=line)


@rule(Severity.NOTICE)
def documented_foreign_account(file: TextFile) -> Iterator[Finding]:
    """A document names an account that is not the organization's.

    Example numbers are copied into code sooner or later.

    Remedy: Write `<account id>` in documents.
    """
    known = frozenset(file.policy.accounts.values()) | words("known_accounts")
    for number, line in enumerate(file.text.split("\n") if file.path.endswith(".md") else (), start=1):
        for account in real_accounts(line):
            if account not in known:
                what = f"the account `{account}` is not one of the policy's"
                yield hit(path=file.path, line=number, what=what, anchor=line.strip())


def may_name_accounts(path: str, policy: Policy) -> bool:
    """True where the policy allows account ids."""
    return any(
        fnmatchcase(path, pattern) or fnmatchcase(f"/{path}", f"*/{pattern}") for pattern in policy.account_files
    )


def real_accounts(text: str) -> Iterator[str]:
    """Account ids in a text; identifiers and times of twelve digits are none, unless an address has them as its account."""
    in_addresses = set(_IN_ADDRESS.findall(text))
    plain = _UUID.sub("", text)
    yield from (a for a in accounts_in(text) if a in in_addresses or (a in plain and not _TIME.fullmatch(a)))


def _literals(file: TerraformFile) -> Iterator[tuple[Piece, Expression | str, str, str]]:
    """Literal texts of a file with their piece, the part they are in, and the argument's name; words for people are left out."""
    if is_of_another_cloud(file.tree, file.directory):
        return
    for piece in file.pieces():
        block = piece.block
        yield from ((piece, label, "", label) for label in (block.labels if block is not None else ()))
        inner = [a for b in block.walk() if b.type != "validation" for a in b.attributes] if block is not None else []
        for name, expression in [(a.name, a.expression) for a in inner] if block is not None else piece.values:
            for one in expression.walk() if not _is_prose(block, name) else ():
                if one.kind is ExpressionKind.LITERAL and one.value is not None and not isinstance(one.value, bool):
                    yield piece, one, name, str(one.value)


def _is_prose(block: Block | None, name: str) -> bool:
    """Words for people. A local, an entry of a variable file or a module's argument is a value for other code, whatever
    its name.
    """
    is_value = block is None or block.type in ("locals", "module", "output")
    return not is_value and _PROSE.fullmatch(name) is not None


def _accounts(file: TerraformFile) -> Iterator[tuple[Piece, str, int, str]]:
    """Account ids with their piece, line and the line of text around them; a number counts where an account is meant."""
    for piece, part, name, text in _literals(file):
        if not _TWELVE.search(text):
            continue
        is_named = _OF_ACCOUNT.fullmatch(f"{piece.name} {name}") is not None
        if isinstance(part, Expression) and not isinstance(part.value, str) and not is_named:
            continue
        line = part.line if isinstance(part, Expression) else piece.line
        for one in text.split("\n"):
            found = accounts_in(one) if one.isdigit() and is_named else real_accounts(one)
            yield from ((piece, account, line, one) for account in found)


def is_of_another_cloud(tree: SourceTree, directory: str) -> bool:
    """True for a module of Azure or Google without anything of AWS; its variable files may be in folders below it."""
    while "/" in directory and not tree.configurations(directory):
        directory = directory.rpartition("/")[0]
    key = ("other cloud", directory)
    if key not in tree.remembered:
        blocks = [b for _, s in tree.module(directory) for b in s.of_type("provider", "resource", "data", "terraform")]
        names = {b.labels[0] for b in blocks if b.labels}
        names |= {a.name for b in blocks for i in b.blocks if i.type == "required_providers" for a in i.attributes}
        sources = declared_providers(tree, directory).values()
        is_aws = any(n == "aws" or n.startswith("aws_") for n in names) or any(str(s).endswith("/aws") for s in sources)
        tree.remembered[key] = not is_aws and any(_OTHER_CLOUDS.match(n) for n in names)
    return bool(tree.remembered[key])


_Made = tuple[str, Block, Attribute, Expression, object, Scope]


def _made(root: RootInEnvironment) -> tuple[_Made, ...]:
    """Every expression that makes text or lists of parts, with its value."""
    key = ("made", root.target)
    if key not in root.tree.remembered:
        root.tree.remembered[key] = tuple(_evaluated(root))
    found: tuple[_Made, ...] = root.tree.remembered[key]
    return found


def _evaluated(root: RootInEnvironment) -> Iterator[_Made]:
    for instance in root.instances:
        if is_of_another_cloud(root.tree, instance.directory):
            continue
        for path, source in instance.files:
            for block in source.blocks:
                scopes = tuple(scopes_of(block, instance.scope))
                for attribute in (a for b in block.walk() if b.type != "validation" for a in b.attributes):
                    if not _is_prose(block, attribute.name):
                        for expression, scope in _in_rounds(attribute.expression, scopes):
                            yield path, block, attribute, expression, evaluate(expression, scope), scope


def _in_rounds(whole: Expression, scopes: tuple[Scope, ...]) -> Iterator[tuple[Expression, Scope]]:
    """What makes text or lists in `whole`, in each instance of its block and each round of a loop (bounded)."""
    if any(e.kind in _MADE for e in whole.walk()):
        is_repeated = any(e.steps[:1] in (("each",), ("count",)) for e in whole.walk())
        rounds = (pair for scope in (scopes if is_repeated else scopes[:1]) for pair in with_scopes(whole, scope))
        yield from ((e, s) for e, s in islice(rounds, _MOST_ROUNDS) if e.kind in _MADE)


def _hides_a_place(expression: Expression, value: object, attribute: Attribute, scope: Scope) -> bool:
    """True for a text of constants only whose value is not known here, where it can be a region or an account."""
    used = (scope.iterators.get(str(e.steps[0])) for e in expression.walk() if e.steps)
    if value is not UNKNOWN or any(_is_unknown(given) for given in used):
        return False
    if expression.kind is ExpressionKind.CALL and expression.name in words("text_functions"):
        return not sources_of(expression, scope)
    if expression.kind not in (ExpressionKind.TEMPLATE, ExpressionKind.CALL):
        return False
    parts = [
        c for child in expression.children for c in (child.children if child.kind is ExpressionKind.TUPLE else (child,))
    ]
    known = [evaluate(part, scope) for part in parts]
    text = "".join(str(k) for k in known if k is not UNKNOWN)
    is_of_account = expression.kind is ExpressionKind.TEMPLATE and _OF_ACCOUNT.fullmatch(attribute.name)
    if not _ADDRESS.search(text) and not _ZONE_ARGUMENT.fullmatch(attribute.name) and not is_of_account:
        return False
    hidden = [part for part, k in zip(parts, known, strict=True) if k is UNKNOWN]
    return any(not sources_of(part, scope) - {UNSEEN} for part in hidden)


def _is_unknown(value: object) -> bool:
    """True for a value with a part that the source does not show."""
    pending = [value]
    while pending:
        one = pending.pop()
        if one is UNKNOWN:
            return True
        pending += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return False


def _not_ours(
    root: RootInEnvironment, instance: Instance, path: str, block: Block, attribute: Attribute
) -> Iterator[Finding]:
    seen: set[str] = set()
    for value in (
        v for scope in scopes_of(block, instance.scope) for v in possible_values(attribute.expression, scope)
    ):
        is_unknown = value is UNKNOWN or (isinstance(value, list) and UNKNOWN in value)
        shown = "a value that the source does not show" if is_unknown else f"`{value}`"
        if value not in (root.policy.region, [root.policy.region], None) and shown not in seen:
            seen.add(shown)
            what = f"`{attribute.name}` of `{block.name}` is {shown} in {root.target}"
            yield hit_at(path, block, what, attribute, also=f"{shown} {root.target.environment.name}")


# AWS regions and account ids in text.

_REGION = re.compile(
    r"(?<![a-z0-9])((?:af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov|us-isob?|us-isof|eu-isoe|eusc-de)"
    r"-(?:central|north|south|east|west|northeast|northwest|southeast|southwest)-\d{1,2})(?![0-9])",
    re.IGNORECASE,
)
_ZONE_ID = re.compile(r"(?<![a-z0-9])([a-z]{3,5}\d{1,2})-az\d(?![0-9])", re.IGNORECASE)
_ACCOUNT = re.compile(r"(?<![0-9a-zA-Z.])([0-9]{12})(?![0-9a-zA-Z]|\.[0-9])")
_SHORT = {"central": "c", "north": "n", "south": "s", "east": "e", "west": "w"}
_SHORT |= {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}


def foreign_regions(text: str, region: str) -> tuple[str, ...]:
    """Region names and availability zone ids in `text` that are not of `region`, in order, as written."""
    found = [m[1] for m in _REGION.finditer(text) if m[1].lower() != region]
    return tuple(dict.fromkeys(found + [m[0] for m in _ZONE_ID.finditer(text) if m[1].lower() != _short(region)]))


def accounts_in(text: str) -> Iterator[str]:
    """Numbers of exactly 12 digits, as account ids do in ARNs, registries and policies."""
    return (m[1] for m in _ACCOUNT.finditer(text))


def _short(region: str) -> str:
    *start, direction, number = region.split("-")
    return "".join(start)[:4] + _SHORT.get(direction, "") + number
