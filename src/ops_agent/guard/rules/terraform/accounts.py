"""Three accounts, each in its place (D20 of the security bar)."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ops_agent.guard.rule import Hit, Piece, TerraformFile, TextFile, accounts_in
from ops_agent.model.policy import ROOT, Policy
from ops_agent.model.terraform import ExpressionKind
from ops_agent.terraform.layout import canonical


def foreign_account(file: TerraformFile) -> Iterator[Hit]:
    """An account that is not the organisation's is named.

    No account id beyond those of the policy may be hard-coded: an ARN of a stranger gives rights away or takes data
    from elsewhere.

    Remedy: Use a variable that the environment's file fills, or `data.aws_caller_identity.current.account_id`.
    """
    known = frozenset(file.policy.accounts.values())
    for piece, account, line, text in _named(file):
        if account not in known:
            yield file.hit(piece, f"the account `{account}` is not one of the policy's", text, line=line)


def misplaced_account(file: TerraformFile) -> Iterator[Hit]:
    """An account id is hard-coded in shared code.

    Account ids differ between environments; they stand in `backend/{environment}/` and `environments/{environment}/`
    only.

    Remedy: Use `data.aws_caller_identity.current.account_id`, or a variable that each environment's file fills.
    """
    known = frozenset(file.policy.accounts.values())
    if not may_name_accounts(file.path, file.policy):
        for piece, account, line, text in _named(file):
            if account in known:
                yield file.hit(piece, f"the account `{account}` is written into `{file.path}`", text, line=line)


def account_of_another_environment(file: TerraformFile) -> Iterator[Hit]:
    """A file of one environment names the account of another.

    Files of `dev` name the dev account, files of `prod` the prod account: otherwise one environment acts on the other.

    Remedy: Put the environment's own account there.
    """
    environment = file.environment
    if environment is None:
        return
    of_account = {account: canonical(name) for name, account in file.policy.accounts.items()}
    for piece, account, line, text in _named(file):
        owner = of_account.get(account, environment)
        if owner not in (environment, ROOT):
            what = f"`{account}` is the account of `{owner}`, but the file belongs to `{environment}`"
            yield file.hit(piece, what, text, line=line)


def root_account(file: TerraformFile) -> Iterator[Hit]:
    """The organisation's root account is named.

    It is for matters of the organisation only; a reviewer should see why it is needed here.

    Remedy: Use the environment's own account unless the issue is about the organisation.
    """
    for piece, account, line, text in _named(file):
        if account == file.policy.accounts.get(ROOT):
            yield file.hit(piece, f"`{account}` is the root account", text, line=line)


def documented_foreign_account(file: TextFile) -> Iterator[Hit]:
    """A document names an account that is not the organisation's.

    Example numbers are copied into code sooner or later.

    Remedy: Write `<account id>` in documents.
    """
    if not file.path.endswith(".md"):
        return
    known = frozenset(file.policy.accounts.values())
    for number, line in enumerate(file.text.split("\n"), start=1):
        for account in accounts_in(line):
            if account not in known:
                yield Hit(
                    path=file.path,
                    line=number,
                    what=f"the account `{account}` is not one of the policy's",
                    anchor=line.strip(),
                )


def may_name_accounts(path: str, policy: Policy) -> bool:
    """True where the policy lets account literals stand."""
    return any(
        fnmatchcase(path, pattern) or fnmatchcase(f"/{path}", f"*/{pattern}") for pattern in policy.account_files
    )


def _named(file: TerraformFile) -> Iterator[tuple[Piece, str, int, str]]:
    """Account numbers with their piece, line and the line of text around them."""
    for piece in file.pieces():
        labels = piece.block.labels if piece.block else ()
        found = [(piece.line, label) for label in labels]
        for _, expression in piece.expressions():
            if expression.kind is ExpressionKind.LITERAL and not isinstance(expression.value, bool | None):
                found.append((expression.line, str(expression.value)))
        for line, text in found:
            for words in text.split("\n"):
                yield from ((piece, account, line, words) for account in accounts_in(words))
