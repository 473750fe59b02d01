"""Secrets do not stand in files (J10, G15 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile, TextFile, WorkflowFile
from ops_agent.model.terraform import Expression, ExpressionKind
from ops_agent.text.redaction import entropy, token_finds

_SECRET_NAME = re.compile(
    r"(.*[_-])?(password|passwd|passphrase|secret|secret_string|secret_key|private_key|api_?key|access_key|auth_?token|client_secret|token)",
    re.IGNORECASE,
)
_NOT_A_VALUE = re.compile(
    r"|true|false|null|arn:aws[^ ]*|/[A-Za-z0-9/_.-]*|[a-z0-9_./-]*(secret|password|token|key)s?[a-z0-9_./-]*",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{24,200}(?![A-Za-z0-9+/=_-])")
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MIN_ENTROPY = 4.3


def known_token(file: TextFile) -> Iterator[Hit]:
    """A token or key of a known format stands in a file.

    What is committed once is public to everyone who can read the repository, for ever.

    Remedy: Take it out, keep it in Secrets Manager and name its ARN; if it is real, have it revoked.
    """
    for name, start, _ in token_finds(file.text):
        line = file.text.count("\n", 0, start) + 1
        anchor = file.text.split("\n")[line - 1].strip()
        yield Hit(path=file.path, line=line, what=f"it looks like a secret: {name}", anchor=anchor)


def secret_in_terraform(file: TerraformFile) -> Iterator[Hit]:
    """A secret value is written into Terraform.

    An argument whose name says that it is a secret has a literal value, or a literal is a token once its escapes are
    undone or its parts are joined. It would also stand in the state and in the plan.

    Remedy: Create the secret without a value (`aws_secretsmanager_secret`) and let people or rotation fill it; pass its
    ARN.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            for text in _joined(expression):
                found = next((n for n, _, _ in token_finds(text)), None)
                if found:
                    yield file.hit(piece, f"it looks like a secret: {found}", expression)
        block = piece.block
        default_of_secret = (
            block is not None and block.type == "variable" and any(_SECRET_NAME.fullmatch(x) for x in block.labels)
        )
        for name, expression in piece.values:
            for key, value in _named_values(name, expression):
                is_secret = _SECRET_NAME.fullmatch(key) or (default_of_secret and key == "default")
                if is_secret and isinstance(value.value, str) and not _NOT_A_VALUE.fullmatch(value.value):
                    yield file.hit(piece, f"`{key}` has a literal value", value)


def random_text(file: TextFile) -> Iterator[Hit]:
    """A long random text may be a secret.

    Its letters are as mixed as those of a key. It is shown, and does not block: identifiers look like this too.

    Remedy: If it is a secret, take it out; else say in the pull request what it is.
    """
    for number, line in enumerate(file.text.split("\n"), start=1):
        for found in _RANDOM.finditer(line):
            text = found[0]
            mixed = sum(any(test(c) for c in text) for test in (str.isupper, str.islower, str.isdigit))
            if mixed == 3 and entropy(text) >= _MIN_ENTROPY and not _HEX.fullmatch(text.lower()):
                yield Hit(path=file.path, line=number, what="a long random text stands here", anchor=line.strip())


def secret_in_workflow(file: WorkflowFile) -> Iterator[Hit]:
    """A secret value is written into a workflow.

    An environment variable or input whose name says that it is a secret has a literal value.

    Remedy: Use OIDC instead of keys, or a secret of the GitHub environment that the policy allows.
    """
    for text in file.workflow.texts:
        key = text.path[-1]
        is_value = len(text.path) > 1 and text.path[-2] in ("env", "with")
        found = next((n for n, _, _ in token_finds(text.text)), None)
        if found:
            yield file.hit_text(text, f"it looks like a secret: {found}")
        elif (
            is_value
            and _SECRET_NAME.fullmatch(key)
            and "${{" not in text.text
            and not _NOT_A_VALUE.fullmatch(text.text)
        ):
            yield file.hit_text(text, f"`{key}` has a literal value")


def _joined(expression: Expression) -> Iterator[str]:
    """A literal, or the literal parts of a template or `join` put together."""
    if expression.kind is ExpressionKind.LITERAL and isinstance(expression.value, str):
        yield expression.value
    elif expression.kind in (ExpressionKind.TEMPLATE, ExpressionKind.CALL):
        yield "".join(str(e.value) for e in expression.walk() if e.kind is ExpressionKind.LITERAL)


def _named_values(name: str, expression: Expression) -> Iterator[tuple[str, Expression]]:
    yield name, expression
    for inner in expression.walk():
        if inner.kind is ExpressionKind.OBJECT:
            for key, value in zip(inner.children[::2], inner.children[1::2], strict=True):
                if isinstance(key.value, str):
                    yield key.value, value
