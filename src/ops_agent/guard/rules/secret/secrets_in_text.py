"""No secrets in files."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator

from ops_agent.guard.rule import Piece, TerraformFile, TextFile, WorkflowFile, hit, rule
from ops_agent.guard.values import Bound, Scope, evaluate
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Block, Expression, ExpressionKind
from ops_agent.text.redaction import entropy, token_finds

_SECRET_NAME = re.compile(
    r"(.*[_-])?(password|passwd|passphrase|secret|secret_string|secret_key|private_key|api_?key|access_key|auth_?token"
    r"|client_secret|token)"
    r"([_-]?(b64|base64|hex|encoded|enc|value))?",
    re.IGNORECASE,
)
_NOT_A_VALUE = re.compile(
    r"|true|false|null|arn:aws[^ ]*|https?://[^@\s]*|/[A-Za-z0-9/_.-]*"
    r"|[a-z0-9_./-]*(secret|password|token|key)s?[a-z0-9_./-]*",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{24,200}(?![A-Za-z0-9+/=_-])")
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MIN_ENTROPY, _MAX_NAME = 4.3, 500
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,4000}")


@rule(Severity.BLOCKS)
def known_token(file: TextFile) -> Iterator[Finding]:
    """A file contains a token or key of a known format.

    Once committed, everyone who can read the repository can read it for ever.

    Remedy: Remove it, keep it in Secrets Manager and use its ARN; if it is real, have it revoked.
    """
    for name, start, _ in token_finds(file.text):
        line = file.text.count("\n", 0, start) + 1
        anchor = file.text.split("\n")[line - 1].strip()
        yield hit(path=file.path, line=line, what=f"it looks like a secret: {name}", anchor=anchor)


@rule(Severity.BLOCKS)
def secret_in_terraform(file: TerraformFile) -> Iterator[Finding]:
    """A secret value is written into Terraform.

    An argument whose name says that it is a secret has a literal value, or a text is a token once it is decoded or its
    parts are joined. It would also be in the state and in the plan.

    Remedy: Create the secret without a value (`aws_secretsmanager_secret`), let a person or rotation set it, and pass
    its ARN. A placeholder is fine where `ignore_changes` covers the argument.
    """
    constants = _constants(file)
    for piece in file.pieces():
        for _, expression in piece.expressions():
            found = next((n for text in _readings(expression) for n, _, _ in token_finds(text)), None)
            if found:
                yield file.hit(piece, f"it looks like a secret: {found}", expression)
        ignored = _ignored(piece.block)
        for name, expression in piece.values if "all" not in ignored else ():
            for key, value in _named_values(_meant(name, piece), expression) if name not in ignored else ():
                text = value if isinstance(value, str) else evaluate(value, constants)
                if _SECRET_NAME.fullmatch(key) and isinstance(text, str) and _is_value(text):
                    at = value if isinstance(value, Expression) else expression
                    yield file.hit(piece, f"`{key}` has a literal value", at)


@rule(Severity.NOTICE)
def random_text(file: TextFile) -> Iterator[Finding]:
    """A long random text may be a secret.

    Its characters are as mixed as those of a key. It does not block, because identifiers can look like this too.

    Remedy: If it is a secret, remove it; otherwise say in the pull request what it is.
    """
    for number, line in enumerate(file.text.split("\n"), start=1):
        for found in _RANDOM.finditer(line):
            text = found[0]
            mixed = sum(any(test(c) for c in text) for test in (str.isupper, str.islower, str.isdigit))
            if mixed == 3 and entropy(text) >= _MIN_ENTROPY and not _HEX.fullmatch(text.lower()):
                yield hit(path=file.path, line=number, what="this is a long random text", anchor=line.strip())


@rule(Severity.BLOCKS)
def secret_in_workflow(file: WorkflowFile) -> Iterator[Finding]:
    """A secret value is written into a workflow.

    An environment variable or input whose name says that it is a secret has a literal value.

    Remedy: Use OIDC instead of keys, or a secret that the policy allows.
    """
    for text in file.workflow.texts:
        key = text.path[-1]
        is_value = len(text.path) > 1 and text.path[-2] in ("env", "with")
        found = next((n for n, _, _ in token_finds(text.text)), None)
        if found:
            yield file.hit_text(text, f"it looks like a secret: {found}")
        elif is_value and _SECRET_NAME.fullmatch(key) and "${{" not in text.text and _is_value(text.text):
            yield file.hit_text(text, f"`{key}` has a literal value")


def _is_value(text: str) -> bool:
    """True for what is no name, path, ARN or address of a secret. Names are short, and the expression is not linear."""
    return len(text) > _MAX_NAME or not _NOT_A_VALUE.fullmatch(text)


def _constants(file: TerraformFile) -> Scope:
    """The locals of a module, without the values of variables."""
    scope = Scope(file.policy.region)
    for _, source in file.tree.module(file.directory):
        for block in source.of_type("locals"):
            scope.locals.update({a.name: Bound(a.expression, scope) for a in block.attributes})
    return scope


def _ignored(block: Block | None) -> frozenset[str]:
    """What `ignore_changes` of a resource covers: the value is written once and replaced by people."""
    lifecycles = [b for b in block.blocks if b.type == "lifecycle"] if block is not None else []
    lists = [a.expression for b in lifecycles for a in b.attributes if a.name == "ignore_changes"]
    return frozenset(str(e.steps[0] if e.steps else e.value) for one in lists for e in one.walk())


def _meant(name: str, piece: Piece) -> str:
    """The name of an argument; for a variable's default that of the variable."""
    block = piece.block
    return block.label if block is not None and block.type == "variable" and name == "default" else name


def _readings(expression: Expression) -> Iterator[str]:
    """A literal and what it is decoded, or the literal parts of a template or `join` put together."""
    if expression.kind is ExpressionKind.LITERAL and isinstance(expression.value, str):
        yield expression.value
        yield from _decoded(expression.value)
    elif expression.kind in (ExpressionKind.TEMPLATE, ExpressionKind.CALL):
        joined = "".join(str(e.value) for e in expression.walk() if e.kind is ExpressionKind.LITERAL)
        yield joined
        yield from _decoded(joined)


def _decoded(text: str) -> Iterator[str]:
    for one in _ENCODED.findall(text):
        for decode in (base64.b64decode, base64.urlsafe_b64decode, bytes.fromhex):
            with contextlib.suppress(ValueError):
                yield decode(one + "=" * (-len(one) % 4 if decode is not bytes.fromhex else 0)).decode()


def _named_values(name: str, expression: Expression) -> Iterator[tuple[str, Expression | str]]:
    """Names with their values: of arguments, of keys, of `{ name = ..., value = ... }`, and of JSON in a text."""
    yield name, expression
    for inner in expression.walk():
        if inner.kind is ExpressionKind.OBJECT:
            pairs = [(str(k.value), v) for k, v in inner.pairs]
            yield from pairs
            named = {key.casefold(): value for key, value in pairs}
            if "name" in named and "value" in named:
                yield str(named["name"].value), named["value"]
        elif inner.kind is ExpressionKind.LITERAL and str(inner.value).lstrip()[:1] in ("{", "["):
            with contextlib.suppress(ValueError, RecursionError):
                yield from _of_json(json.loads(str(inner.value)))


def _of_json(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        named = {str(k).casefold(): v for k, v in value.items()}
        yield from ((k, v) for k, v in value.items() if isinstance(v, str))
        if isinstance(named.get("value"), str):
            yield str(named.get("name")), named["value"]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _of_json(inner)
