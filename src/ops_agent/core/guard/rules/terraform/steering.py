"""Standing code that is open to values from elsewhere: who changes the values answers for what the code does with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ops_agent.core.guard.influences import Influences
from ops_agent.core.guard.rules.terraform.execution import external_data_source, provisioner, revealing_function, secret_data_source
from ops_agent.core.guard.rules.terraform.lists import unlisted_data_source
from ops_agent.core.guard.rules.terraform.providers import OPEN_ARGUMENTS, provider_argument
from ops_agent.core.guard.rules.terraform.reading import READS, file_function
from ops_agent.core.guard.subjects import Hit, Piece, RootInEnvironment, TerraformFile
from ops_agent.domain.terraform_source import Expression, ExpressionKind

_Values = tuple[tuple[str, Expression], ...]


def _all(piece: Piece) -> _Values:
    return piece.values


def _arguments_of_calls(piece: Piece) -> _Values:
    calls = [e for _, e in piece.expressions() if e.kind is ExpressionKind.CALL]
    paths = [p for e in calls if READS.fullmatch(e.name) for p in e.children[: 2 if e.name == "fileset" else 1]]
    return tuple(("", e) for e in [*paths, *(e for e in calls if e.name in _REVEALING)])


def _closed_arguments(piece: Piece) -> _Values:
    block = piece.block
    if block is None:
        return piece.values
    inner = [b for closed in block.blocks if closed.kind not in OPEN_ARGUMENTS for b in closed.walk()]
    attributes = [a for a in block.attributes if a.name not in OPEN_ARGUMENTS] + [a for b in inner for a in b.attributes]
    return tuple((a.name, a.expression) for a in attributes)


_REVEALING = frozenset({"nonsensitive", "templatestring"})
# What a rule objects to, and the part of the code whose values matter to it.
_DANGEROUS: tuple[tuple[Callable[[TerraformFile], Iterator[Hit]], Callable[[Piece], _Values]], ...] = (
    (external_data_source, _all),
    (secret_data_source, _all),
    (unlisted_data_source, _all),
    (provisioner, _all),
    (revealing_function, _arguments_of_calls),
    (file_function, _arguments_of_calls),
    (provider_argument, _closed_arguments),
)


def steered_code(root: RootInEnvironment) -> Iterator[Hit]:
    """Code that stands and does what new code may not is given other values.

    `file(var.path)` is as dangerous as the path that a variable file, a local, a module call or a resource hands to it; so are a provider's
    endpoint and a data source's address.

    Remedy: Leave what flows into this code as it is; ask people to change it.
    """
    standing: dict[str, tuple[tuple[Hit, _Values], ...]] = {}
    influences = Influences(root.instances, root.tree)
    for instance in root.instances:
        for path, source in instance.files:
            file = TerraformFile(path=path, kind="configuration", source=source, tree=root.tree, policy=root.policy)
            if path not in standing:
                standing[path] = tuple(_standing(file))
            for hit, values in standing[path]:
                behind = influences.of(values, instance)
                if behind:
                    digest = hashlib.sha256("\n".join(sorted(behind)).encode()).hexdigest()
                    what = f"{hit.what}, and what flows into it changes in {root.target}"
                    yield Hit(path=path, line=hit.line, what=what, anchor=f"{hit.anchor} {digest}")


def _standing(file: TerraformFile) -> Iterator[tuple[Hit, _Values]]:
    for rule, part in _DANGEROUS:
        for hit in rule(file):
            piece = next((p for p in file.pieces() if hit.anchor.startswith(p.anchor)), None)
            if piece is not None:
                yield hit, part(piece)
