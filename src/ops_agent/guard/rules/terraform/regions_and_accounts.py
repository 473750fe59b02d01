"""One region, and each account in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ops_agent.guard.data import words
from ops_agent.guard.providers import declared_providers
from ops_agent.guard.regions_and_accounts import accounts_in, foreign_regions, real_accounts
from ops_agent.guard.rule import Piece, RootInEnvironment, TerraformFile, TextFile, hit, hit_at, rule
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import (
    UNSEEN,
    Instance,
    Scope,
    arguments_in,
    evaluate,
    possible_values,
    scopes_of,
    sources_of,
    texts,
)
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import ROOT, Policy
from ops_agent.model.terraform import UNKNOWN, Attribute, Block, Expression, ExpressionKind
from ops_agent.terraform.environments import canonical

_REGION_ARGUMENT = re.compile(r"((.+_)?region(_name)?|(.+_)?regions|region_names)")
_ZONE_ARGUMENT = re.compile(r"(.+_)?(availability_zones?|zone_ids?)|service_name")
_MADE = (ExpressionKind.TEMPLATE, ExpressionKind.CALL, ExpressionKind.FOR, ExpressionKind.OTHER)
_ADDRESS = re.compile(r"\barn:|amazonaws\.com|\bon\.aws|\bapi\.aws")
# Arguments with prose.
_PROSE = re.compile(r"description|error_message|comment|.*_description|title|readme")
_OF_ACCOUNT = re.compile(r".*(account|owner|principal|registry_id|aws_id|identifiers|policy).*", re.IGNORECASE)
_OF_ORGANIZATION = re.compile(
    r"(.*[_-])?(root|org|organi[sz]ation|management|master|payer|main)([_-].*)?", re.IGNORECASE
)
_TWELVE = re.compile(r"[0-9]{12}")
_OTHER_CLOUDS = re.compile(r"(google|azurerm|azuread|azapi)(_|-|$)")


@rule(Severity.BLOCKS)
def foreign_region(file: TerraformFile) -> Iterator[Finding]:
    """Another region is named.

    Everything is in the policy's region: backend, provider, ARNs, availability zones, registry addresses. There is no
    exception, not even for global services: a person adds those.

    Remedy: Use the policy's region, best by `var.aws_region` or `data.aws_region.current`.
    """
    for piece, part, _, text in _literals(file):
        for region in foreign_regions(text, file.policy.region):
            yield file.hit(piece, f"`{region}` is not the policy's region `{file.policy.region}`", part)


@rule(Severity.BLOCKS)
def assembled_region(root: RootInEnvironment) -> Iterator[Finding]:
    """Another region is assembled from parts, or a text may hide one.

    `"us-${var.side}-1"` names another region once the environment's values are known. A text that is made of constants
    only, and that these rules cannot compute, may hide a region or an account.

    Remedy: Use the policy's region as it is, or `data.aws_region.current`; write constant texts as literals.
    """
    for path, block, attribute, expression, value, scope in _made(root):
        for text in texts(value):
            for region in foreign_regions(text, root.policy.region):
                what = f"`{attribute.name}` evaluates to `{region}` in {root.target}"
                yield hit_at(path, block, what, expression, also=region)
        if _hides_a_place(expression, value, attribute, scope):
            what = (
                f"`{attribute.name}` of `{block.name}` may hide a region or account: its text cannot be computed here"
            )
            yield hit_at(path, block, what, expression, also="hidden")


@rule(Severity.BLOCKS)
def provider_region(root: RootInEnvironment) -> Iterator[Finding]:
    """The AWS provider is not in the policy's region.

    The region of every provider block and alias is computed for each environment from its variable files, locals and
    defaults. One that cannot be computed is refused.

    Remedy: Set `region = var.aws_region`, and set the variable to the policy's region in the environment's variable
    file.
    """
    for instance in root.instances:
        for path, block in instance.blocks("provider"):
            attribute = block.attribute("region")
            address = declared_providers(root.tree, instance.directory).get(block.label)
            is_aws = block.labels == ("aws",) or str(address).endswith("/hashicorp/aws")
            if is_aws and attribute is None:
                yield hit_at(path, block, f"`{block.name}` names no region", "region")
            elif is_aws and attribute is not None:
                yield from _not_ours(root, instance, path, block, attribute)


@rule(Severity.BLOCKS)
def resource_region(root: RootInEnvironment) -> Iterator[Finding]:
    """An AWS resource, data source or replica names a region that is not the policy's.

    Since version 6 of the AWS provider every resource can have its own region, and replicas always could. One that
    cannot be computed is refused.

    Remedy: Remove the argument: the provider's region is used then.
    """
    for instance in root.instances:
        for path, block in instance.blocks("resource", "data", "ephemeral"):
            if block.label.startswith("aws_"):
                for inner in block.walk():
                    for attribute in inner.attributes:
                        if _REGION_ARGUMENT.fullmatch(attribute.name):
                            yield from _not_ours(root, instance, path, block, attribute)


@rule(Severity.BLOCKS)
def foreign_account(file: TerraformFile) -> Iterator[Finding]:
    """An account that is not the organization's is named.

    An ARN of a foreign account gives rights away or takes data from elsewhere, so only the policy's accounts may be
    hard-coded. Accounts of AWS services and of known image publishers are allowed.

    Remedy: For the account of the run use `data.aws_caller_identity.current.account_id`. Another account is a person's
    decision: leave it out and say so; who may decide adds it to the input `aws_accounts`.
    """
    known = frozenset(file.policy.accounts.values()) | words("known_accounts")
    for piece, account, line, text in _accounts(file):
        if account not in known:
            yield file.hit(piece, f"the account `{account}` is not one of the input `aws_accounts`", text, line=line)


@rule(Severity.BLOCKS)
def misplaced_account(file: TerraformFile) -> Iterator[Finding]:
    """An account id is hard-coded in shared code.

    Account ids differ between environments; they belong in the backend and variable files of an environment.

    Remedy: Use `data.aws_caller_identity.current.account_id`, or a variable that each environment's file sets.
    """
    known = frozenset(file.policy.accounts.values())
    if file.environment is None and not may_name_accounts(file.path, file.policy):
        for piece, account, line, text in _accounts(file):
            if account in known:
                yield file.hit(
                    piece,
                    f"the account `{account}` is hard-coded in `{file.path}`, which several environments share",
                    text,
                    line=line,
                )


@rule(Severity.BLOCKS)
def account_of_another_environment(file: TerraformFile) -> Iterator[Finding]:
    """A file of one environment names the account of another.

    Files of `dev` name the dev account and files of `prod` the prod account: otherwise one environment acts on the
    other. Only an argument whose name says so (`root`, `organization` and the like) may name the root account.

    Remedy: Use the environment's own account.
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

    `"${"1234"}${"56789012"}"`, `join`, `format` or a sum names an account as well as its twelve digits do.

    Remedy: Use `data.aws_caller_identity.current.account_id`, or a variable that each environment's file sets.
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
                whose = f"of `{owner}`" if owner else "that is not one of the input `aws_accounts`"
                what = f"`{attribute.name}` evaluates to the account `{account}` {whose} in {root.target}"
                yield hit_at(path, block, what, expression, also=f"{account} {root.target.environment.name}")


@rule(Severity.WARNING)
def root_account(file: TerraformFile) -> Iterator[Finding]:
    """The organization's root account is named.

    It is for matters of the organization only, and a reviewer should see why it is needed here.

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
                what = f"the account `{account}` is not one of the input `aws_accounts`"
                yield hit(path=file.path, line=number, what=what, anchor=line.strip())


def may_name_accounts(path: str, policy: Policy) -> bool:
    """True where the policy allows account ids."""
    return any(
        fnmatchcase(path, pattern) or fnmatchcase(f"/{path}", f"*/{pattern}") for pattern in policy.account_files
    )


def _literals(file: TerraformFile) -> Iterator[tuple[Piece, Expression | str, str, str]]:
    """Literal texts of a file, without prose: the piece, the part that they are in, the argument's name, the text."""
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
    """True for an argument with prose, such as a description. Locals, variable files and arguments of modules are
    values for other code, whatever their names.
    """
    is_value = block is None or block.type in ("locals", "module")
    return not is_value and _PROSE.fullmatch(name) is not None


def _accounts(file: TerraformFile) -> Iterator[tuple[Piece, str, int, str]]:
    """Account ids with their piece, line and line of text; a number counts in an argument about accounts."""
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

    def answer() -> bool:
        blocks = (b for _, s in tree.module(directory) for b in s.of_type("provider", "resource", "data"))
        declared = declared_providers(tree, directory)
        names = {b.label for b in blocks} | declared.keys()
        is_aws = any(n == "aws" or n.startswith("aws_") for n in names)
        is_aws = is_aws or any(str(source).endswith("/aws") for source in declared.values())
        return not is_aws and any(_OTHER_CLOUDS.match(n) for n in names)

    return tree.remembered(("other cloud", directory), answer)


_Made = tuple[str, Block, Attribute, Expression, object, Scope]


def _made(root: RootInEnvironment) -> tuple[_Made, ...]:
    """Every expression that makes text or lists of parts, with its value."""
    return root.tree.remembered(("made", root.target), lambda: tuple(_evaluated(root)))


def _evaluated(root: RootInEnvironment) -> Iterator[_Made]:
    for instance in root.instances:
        if is_of_another_cloud(root.tree, instance.directory):
            continue
        for path, source in instance.files:
            for block in source.blocks:
                names = {id(a): {e.steps[0] for e in a.expression.walk() if e.steps} for a in _acting(block)}
                seen: set[int] = set()
                for attribute, scope in arguments_in(block, instance.scope):
                    key = id(attribute)
                    if key in names and (key not in seen or names[key] & scope.iterators.keys()):
                        seen.add(key)
                        made = (e for e in attribute.expression.walk() if e.kind in _MADE)
                        yield from ((path, block, attribute, e, evaluate(e, scope), scope) for e in made)


def _acting(block: Block) -> Iterator[Attribute]:
    """The arguments of a block that are neither prose nor conditions."""
    for inner in block.walk():
        if inner.type not in ("validation", "precondition", "postcondition", "assert"):
            yield from (a for a in inner.attributes if not _is_prose(block, a.name))


def _hides_a_place(expression: Expression, value: object, attribute: Attribute, scope: Scope) -> bool:
    """True for a text of constants only whose value is not known here, where it can be a region or an account."""
    used = (scope.iterators.get(str(e.steps[0])) for e in expression.walk() if e.steps)
    if value is not UNKNOWN or any(_is_unknown(given) for given in used):
        return False
    if expression.function in words("text_functions"):
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
