"""What runs, or reads elsewhere, while Terraform plans."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.data import table, words
from ops_agent.guard.rule import TerraformFile, UnreadableFile, hit, rule
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import instances_in, possible_values
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind
from ops_agent.terraform.modules import local_source

READS = re.compile(r"file|fileset|fileexists|templatefile|filebase64|filemd5|file(base64)?sha\d+")
REVEALING = frozenset({"nonsensitive", "templatestring"})
_TOP_BLOCKS = frozenset(
    {"terraform", "provider", "resource", "data", "ephemeral", "module", "variable", "output", "locals", "moved"}
)
STATE_BLOCKS = frozenset({"check", "import", "removed"})
_TERRAFORM_MEMBERS = frozenset({"required_version", "required_providers", "backend", "cloud"})
_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "provider": 1, "module": 1, "variable": 1, "output": 1, "check": 1}
_META = frozenset(
    {"count", "for_each", "provider", "depends_on", "lifecycle", "region", "id", "filter", "tags", "timeouts"}
)
# What a variable's `type` is written with, beside `list` and `map`.
_TYPES = frozenset({"object", "optional", "set", "tuple"})
_PUBLISHED = "/aws/service/"
_RUNNING = frozenset({"aws_ecs_task_execution", "aws_ip_ranges", "aws_lambda_invocation"})
# Certificates of identity providers: what `tls_certificate` is for.
_ISSUERS = re.compile(
    r"https://(token\.actions\.githubusercontent\.com|gitlab\.com|app\.terraform\.io|[a-z0-9.-]+\.amazonaws\.com)(/.*)?"
)


@rule(Severity.BLOCKS)
def unreadable_file(file: UnreadableFile) -> Iterator[Finding]:
    """A Terraform file cannot be parsed reliably.

    Terraform may read what a checker cannot. What two parsers do not read alike cannot be judged, so it is refused.

    Remedy: Write plain HCL: no comment inside an expression, no `core::`, no `~` in `${ }`, one argument a line.
    """
    if not file.path.endswith((".yml", ".yaml")):
        yield hit(path=file.path, line=file.reason.line, what=file.reason.what, anchor=file.text)


@rule(Severity.BLOCKS)
def external_data_source(file: TerraformFile) -> Iterator[Finding]:
    """A data source runs a program or reads from another system.

    `external` runs a program at plan time, `http` sends a request anywhere, `terraform_remote_state` and `tfe_outputs`
    read other states. Open are the data sources of AWS that describe infrastructure, and a list for other providers.

    Remedy: Take the value from a variable, a resource of this configuration or a data source of the AWS provider.
    """
    for block in file.source.of_type("data", "ephemeral"):
        if _type(block) not in table("data_sources") and not _type(block).startswith("aws_"):
            yield file.hit(block, f"`{block.name}` is not a data source that only describes infrastructure")
        elif not is_issuer(block, file.directory, file.tree):
            yield file.hit(
                block, f"`{block.name}` connects to an address that is no known issuer", block.attribute("url")
            )


@rule(Severity.BLOCKS)
def secret_data_source(file: TerraformFile) -> Iterator[Finding]:
    """A data source reads a secret or runs code.

    Its answer is in the plan and in the state in clear text; `aws_lambda_invocation` runs a function on every plan.

    Remedy: Pass the ARN (`aws_secretsmanager_secret`) and let the service read the value at run time. Parameters that
    AWS publishes below `/aws/service/` are open.
    """
    for block in file.source.of_type("data", "ephemeral"):
        if _type(block) in words("secret_data_sources") and not is_published(block, file.directory, file.tree):
            yield _of_data(file, block, "reads a secret or runs something at plan time")


@rule(Severity.BLOCKS)
def unlisted_data_source(file: TerraformFile) -> Iterator[Finding]:
    """A data source or one of its arguments is not on the allow-list.

    A data source may answer with a function's environment, user data, a key's value or any resource at all; some start
    tasks, some take an address to read from. Ephemeral resources fetch secrets by design.

    Remedy: Pass what is needed by a variable; ask the maintainers of ops-agent to list the data source if it only
    describes.
    """
    listed = table("data_sources")
    for block in file.source.of_type("data", "ephemeral"):
        type_ = _type(block)
        if block.type == "ephemeral" or (
            type_.startswith("aws_") and type_ not in listed and not is_published(block, file.directory, file.tree)
        ):
            yield _of_data(file, block, "is not on the list")
        for name, part in block.parts if type_ in listed else ():
            if name not in _META and name not in listed[type_]:
                yield file.hit(block, f"`{name}` of `{block.name}` is not on the list", part)


def _of_data(file: TerraformFile, block: Block, why: str) -> Finding:
    """An objection to a data source; its arguments matter to what runs. A newer provider's name for the type is no other
    data source.
    """
    name = block.name.replace('"aws_s3_bucket_object', '"aws_s3_object')
    asked = " ".join(sorted(f"{'.'.join(path)}={a.expression.spelling}" for path, a in block.arguments()))
    anchor = block.text if runs(block) else f"{name} {why} {asked}"
    return hit(path=file.path, line=block.line, what=f"`{block.name}` {why}", anchor=anchor)


def is_open(block: Block, directory: str, tree: SourceTree) -> bool:
    """True for a data source that new code may have."""
    return block.type == "data" and (_type(block) in table("data_sources") or is_published(block, directory, tree))


def runs(block: Block) -> bool:
    """True for a data source that runs something, or sends its arguments elsewhere, while Terraform plans."""
    return not _type(block).startswith("aws_") or _type(block) in _RUNNING


def is_published(block: Block, directory: str, tree: SourceTree) -> bool:
    """True for public parameters of AWS (the ids of images), by a name that is known as far as `/aws/service/`."""
    name = block.attribute({"aws_ssm_parameter": "name", "aws_ssm_parameters_by_path": "path"}.get(_type(block), ""))
    if block.type != "data" or name is None:
        return False
    first = name.expression.children[0] if name.expression.kind is ExpressionKind.TEMPLATE else name.expression
    if str(first.value).startswith(_PUBLISHED):
        return True
    values = [v for i in instances_in(directory, tree) for v in possible_values(name.expression, i.scope)]
    return bool(values) and all(isinstance(v, str) and v.startswith(_PUBLISHED) for v in values)


def is_issuer(block: Block, directory: str, tree: SourceTree) -> bool:
    """False for a `tls_certificate` of another address than a known host, or what AWS reports as a cluster's issuer."""
    url = block.attribute("url") if _type(block) == "tls_certificate" else None
    steps = url.expression.steps if url is not None else ()
    if url is None or (steps[-1:] == ("issuer",) and "aws_eks_cluster" in steps[:2]):
        return True
    if steps[:1] == ("module",) and steps[-1] in ("issuer", "cluster_oidc_issuer_url", "oidc_issuer_url"):
        calls = tree.named(directory).get(".".join(map(str, steps[:2])), ())
        return bool(calls) and all(local_source(directory, call) is None for call in calls)
    values = [v for i in instances_in(directory, tree) for v in possible_values(url.expression, i.scope)]
    return all(isinstance(v, str) and _ISSUERS.fullmatch(v) for v in values)


@rule(Severity.BLOCKS)
def provisioner(file: TerraformFile) -> Iterator[Finding]:
    """A provisioner runs commands on the machine that applies.

    `local-exec`, `remote-exec` and `file` run what the text says, with the credentials that are there.

    Remedy: Use a resource of the provider; do work at deployment time in a workflow step that people review.
    """
    for block in file.source.blocks:
        for inner in block.walk():
            if inner.kind in ("provisioner", "connection") and inner is not block:
                yield file.hit(block, f"`{block.name}` has a `{inner.kind}` block", inner)


@rule(Severity.BLOCKS)
def unknown_block(file: TerraformFile) -> Iterator[Finding]:
    """A block type that the agent may not write.

    `action`, `list`, `run`, `provider_meta`, a `check` with a data source of its own and block types of the future run
    something or are not understood by this guard.

    Remedy: Use resource, data, module, variable, output, locals, provider, terraform or moved blocks.
    """
    if file.kind != "configuration":
        for block in file.source.blocks:
            yield file.hit(block, f"a {file.kind} file holds arguments only, not `{block.name}`")
        return
    for attribute in file.source.attributes:
        anchor = attribute.expression.text
        yield hit(
            path=file.path, line=attribute.line, what=f"`{attribute.name}` is outside of any block", anchor=anchor
        )
    for block in file.source.blocks:
        labels = _LABELS.get(block.type, 0)
        asks = block.type == "check" and "data" in block.members
        if block.type not in (_TOP_BLOCKS if asks else _TOP_BLOCKS | STATE_BLOCKS):
            yield file.hit(block, f"the agent may not write `{block.type}` blocks")
        elif len(block.labels) != labels:
            yield file.hit(
                block, f"`{block.name}` has {len(block.labels)} labels instead of {labels}", str(block.labels)
            )
        for name, part in block.parts if block.type == "terraform" else ():
            if name not in _TERRAFORM_MEMBERS and not _names_user_agent(part):
                yield file.hit(block, f"the agent may not write `{name}` in a `terraform` block", part)
        for inner in block.walk():
            if inner.kind == "action_trigger" and inner is not block:
                yield file.hit(block, f"the agent may not write `{inner.kind}`", inner)


def _names_user_agent(part: Attribute | Block) -> bool:
    """True for the `provider_meta` that names the module to AWS, and nothing else."""
    if not isinstance(part, Block) or part.type != "provider_meta" or not part.members <= {"user_agent"}:
        return False
    return all(e.kind is not ExpressionKind.REFERENCE for _, e in part.expressions())


@rule(Severity.DANGER)
def state_block(file: TerraformFile) -> Iterator[Finding]:
    """A block changes the state without changing a resource, or checks it.

    `import` takes a resource into the state and `removed` out of it: the next plans treat it otherwise. A `check` fails
    for others.

    Remedy: Say in the pull request why the block is needed.
    """
    for block in file.source.of_type(*STATE_BLOCKS) if file.kind == "configuration" else ():
        yield file.hit(block, f"the change has a `{block.type}` block")


@rule(Severity.BLOCKS)
def revealing_function(file: TerraformFile) -> Iterator[Finding]:
    """`nonsensitive`, `templatestring` or a function of a provider is called.

    `nonsensitive` prints a secret in the plan; functions of providers run code that this guard does not know;
    `templatestring` reads a template that is computed.

    Remedy: Keep the value sensitive; write the template as a quoted string or as a literal file for `templatefile`.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            if reveals(expression) and not shows_published(expression, file.directory, file.tree):
                yield file.hit(piece, f"`{expression.name}` is called", expression)


@rule(Severity.BLOCKS)
def unlisted_function(file: TerraformFile) -> Iterator[Finding]:
    """An unknown function is called.

    What a function of a future version reads or reveals is not known here.

    Remedy: Use a function of Terraform 1.5 to 1.14.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            if is_unlisted(expression):
                yield file.hit(piece, f"`{expression.name}` is not a known function", expression)


def reveals(expression: Expression) -> bool:
    """True for a call that can print a secret, or that runs a provider's code."""
    return expression.kind is ExpressionKind.CALL and (expression.name in REVEALING or "::" in expression.name)


def shows_published(call: Expression, directory: str, tree: SourceTree) -> bool:
    """`nonsensitive` of a public parameter: the provider marks every parameter."""
    steps = call.children[0].steps if call.name == "nonsensitive" and call.children else ()
    blocks = tree.named(directory).get(".".join(map(str, steps[:3])), ()) if steps[:1] == ("data",) else ()
    return bool(blocks) and all(is_published(block, directory, tree) for block in blocks)


def is_unlisted(expression: Expression) -> bool:
    """True for a call of a function that no rule knows."""
    if expression.kind is not ExpressionKind.CALL or reveals(expression) or READS.fullmatch(expression.name):
        return False
    return expression.name not in words("functions") | _TYPES


def _type(block: Block) -> str:
    return block.labels[0] if block.labels else ""
