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
    r"https://(token\.actions\.(githubusercontent|[a-z0-9-]+\.ghe)\.com|gitlab\.com|app\.terraform\.io|"
    r"[a-z0-9.-]+\.amazonaws\.com)(/.*)?"
)


@rule(Severity.BLOCKS)
def unreadable_file(file: UnreadableFile) -> Iterator[Finding]:
    """A Terraform file cannot be parsed reliably.

    Two parsers read every file. Where they disagree, Terraform may read something else than the rules do, so the file
    is refused.

    Remedy: Write plain HCL: one argument a line, and no line break inside of `${ }`.
    """
    if not file.path.endswith((".yml", ".yaml")):
        yield hit(path=file.path, line=file.reason.line, what=file.reason.what, anchor=file.text)


@rule(Severity.BLOCKS)
def external_data_source(file: TerraformFile) -> Iterator[Finding]:
    """A data source runs a program or reads from another system.

    `external` runs a program at plan time, `http` sends a request anywhere, `terraform_remote_state` and `tfe_outputs`
    read other states. Allowed are AWS data sources that describe infrastructure, and a list for other providers.

    Remedy: Take the value from a variable, a resource of this configuration or a data source of the AWS provider.
    """
    for block in file.source.of_type("data", "ephemeral"):
        if block.label not in table("data_sources") and not block.label.startswith("aws_"):
            yield file.hit(block, f"`{block.name}` is not a data source that only describes infrastructure")
        elif not is_issuer(block, file.directory, file.tree):
            yield file.hit(
                block, f"`{block.name}` connects to an address that is not a known issuer", block.attribute("url")
            )


@rule(Severity.BLOCKS)
def secret_data_source(file: TerraformFile) -> Iterator[Finding]:
    """A data source reads a secret or runs code.

    Its result is in the plan and in the state in clear text, and `aws_lambda_invocation` runs a function on every plan.
    Parameters that AWS publishes below `/aws/service/` are allowed.

    Remedy: Pass the secret's ARN (`aws_secretsmanager_secret`) and let the service read the value at run time.
    """
    for block in file.source.of_type("data", "ephemeral"):
        if block.label in words("secret_data_sources") and not is_published(block, file.directory, file.tree):
            yield _of_data(file, block, "reads a secret or runs something at plan time")


@rule(Severity.BLOCKS)
def unlisted_data_source(file: TerraformFile) -> Iterator[Finding]:
    """A data source or one of its arguments is not on the allow-list.

    A data source can return a function's environment, user data or a key's value; some start tasks, some read from an
    address that they are given. Ephemeral resources exist to fetch secrets.

    Remedy: Pass the value in a variable. If the data source only describes infrastructure, ask the maintainers of
    ops-agent to add it to the list.
    """
    listed = table("data_sources")
    for block in file.source.of_type("data", "ephemeral"):
        type_ = block.label
        if block.type == "ephemeral" or (
            type_.startswith("aws_") and type_ not in listed and not is_published(block, file.directory, file.tree)
        ):
            yield _of_data(file, block, "is not on the allow-list", anywhere=True)
        for name, part in block.parts if type_ in listed else ():
            if name not in _META and name not in listed[type_]:
                yield file.hit(block, f"`{name}` of `{block.name}` is not on the allow-list", part)


def _of_data(file: TerraformFile, block: Block, why: str, *, anywhere: bool = False) -> Finding:
    """An objection to a data source: other arguments make it another one, a newer provider's name for its type does
    not; `anywhere`: nor does another `region`, which has its own rules, or a `provider` that is no longer given.
    """
    name = block.name.replace('"aws_s3_bucket_object', '"aws_s3_object')
    places = {"provider", "region"} if anywhere else {""}
    given = {".".join(path): a.expression.spelling for path, a in block.arguments()}
    asked = " ".join(f"{key}={spelling}" for key, spelling in sorted(given.items()) if key not in places)
    under = frozenset(given[key] for key in places & {"provider"} & given.keys())
    anchor = block.text if runs(block) else f"{name} {why} {asked}"
    return hit(path=file.path, line=block.line, what=f"`{block.name}` {why}", anchor=anchor, under=under)


def is_open(block: Block, directory: str, tree: SourceTree) -> bool:
    """True for a data source that new code may have."""
    return block.type == "data" and (block.label in table("data_sources") or is_published(block, directory, tree))


def runs(block: Block) -> bool:
    """True for a data source that runs something, or sends its arguments elsewhere, while Terraform plans."""
    return not block.label.startswith("aws_") or block.label in _RUNNING


def is_published(block: Block, directory: str, tree: SourceTree) -> bool:
    """True for public parameters of AWS (the ids of images), by a name that is known as far as `/aws/service/`."""
    name = block.attribute({"aws_ssm_parameter": "name", "aws_ssm_parameters_by_path": "path"}.get(block.label, ""))
    if block.type != "data" or name is None:
        return False
    first = name.expression.children[0] if name.expression.kind is ExpressionKind.TEMPLATE else name.expression
    if str(first.value).startswith(_PUBLISHED):
        return True
    values = [v for i in instances_in(directory, tree) for v in possible_values(name.expression, i.scope)]
    return bool(values) and all(isinstance(v, str) and v.startswith(_PUBLISHED) for v in values)


def is_issuer(block: Block, directory: str, tree: SourceTree) -> bool:
    """False for a `tls_certificate` of another address than a known host, or what AWS reports as a cluster's issuer."""
    url = block.attribute("url") if block.label == "tls_certificate" else None
    steps = url.expression.steps if url is not None else ()
    is_cluster = steps[:1] == ("aws_eks_cluster",) or steps[:2] == ("data", "aws_eks_cluster")
    if url is None or (is_cluster and steps[-1] == "issuer"):
        return True
    if steps[:1] == ("module",) and steps[-1] in ("issuer", "cluster_oidc_issuer_url", "oidc_issuer_url"):
        calls = tree.named(directory).get(".".join(map(str, steps[:2])), ())
        return bool(calls) and all(local_source(directory, call) is None for call in calls)
    values = [v for i in instances_in(directory, tree) for v in possible_values(url.expression, i.scope)]
    return all(isinstance(v, str) and _ISSUERS.fullmatch(v) for v in values)


@rule(Severity.BLOCKS)
def provisioner(file: TerraformFile) -> Iterator[Finding]:
    """A provisioner runs commands on the machine that applies.

    `local-exec`, `remote-exec` and `file` run whatever the text says, with that machine's credentials.

    Remedy: Use a resource of the provider; put deployment work into a workflow step that people review.
    """
    for block in file.source.blocks:
        for inner in block.walk():
            if inner.kind in ("provisioner", "connection") and inner is not block:
                yield file.hit(block, f"`{block.name}` has a `{inner.kind}` block", inner)


@rule(Severity.BLOCKS)
def unknown_block(file: TerraformFile) -> Iterator[Finding]:
    """A block type is one that ops-agent may not write.

    `action`, `list`, `run`, `provider_meta`, a `check` with its own data source, and block types of later Terraform
    versions run something, or the rules do not know them.

    Remedy: Use `resource`, `data`, `module`, `variable`, `output`, `locals`, `provider`, `terraform` or `moved` blocks.
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
            yield file.hit(block, f"ops-agent may not write `{block.type}` blocks")
        elif len(block.labels) != labels:
            yield file.hit(
                block, f"`{block.name}` has {len(block.labels)} labels instead of {labels}", str(block.labels)
            )
        for name, part in block.parts if block.type == "terraform" else ():
            if name not in _TERRAFORM_MEMBERS and not _names_user_agent(part):
                yield file.hit(block, f"ops-agent may not write `{name}` in a `terraform` block", part)
        for inner in block.walk():
            if inner.kind == "action_trigger" and inner is not block:
                yield file.hit(block, f"ops-agent may not write `{inner.kind}`", inner)


def _names_user_agent(part: Attribute | Block) -> bool:
    """True for the `provider_meta` that names the module to AWS, and nothing else."""
    if not isinstance(part, Block) or part.type != "provider_meta" or not part.members <= {"user_agent"}:
        return False
    return all(e.kind is not ExpressionKind.REFERENCE for _, e in part.expressions())


@rule(Severity.WARNING)
def state_block(file: TerraformFile) -> Iterator[Finding]:
    """An `import`, `removed` or `check` block is added.

    `import` takes an existing resource into the state and `removed` takes one out of it, so later plans treat it
    differently. A failing `check` is reported in everybody's plans.

    Remedy: Say in the pull request why the block is needed.
    """
    for block in file.source.of_type(*STATE_BLOCKS) if file.kind == "configuration" else ():
        yield file.hit(block, f"the change adds or edits a `{block.type}` block")


@rule(Severity.BLOCKS)
def revealing_function(file: TerraformFile) -> Iterator[Finding]:
    """`nonsensitive`, `templatestring` or a function of a provider is called.

    `nonsensitive` prints a secret in the plan, `templatestring` evaluates a template that is only known at run time,
    and a provider's function runs code that the rules do not know.

    Remedy: Keep the value sensitive; write the template as a quoted string, or as a file for `templatefile`.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            if reveals(expression) and not shows_published(expression, file.directory, file.tree):
                yield file.hit(piece, f"`{expression.name}` is called", expression)


@rule(Severity.BLOCKS)
def unlisted_function(file: TerraformFile) -> Iterator[Finding]:
    """An unknown function is called.

    The rules do not know what a function of a later Terraform version reads or reveals.

    Remedy: Use a function of Terraform 1.5 to 1.14.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            if is_unlisted(expression):
                yield file.hit(piece, f"`{expression.name}` is not a known function", expression)


def reveals(expression: Expression) -> bool:
    """True for a call that can print a secret, or that runs a provider's code."""
    return expression.function in REVEALING or "::" in expression.function


def shows_published(call: Expression, directory: str, tree: SourceTree) -> bool:
    """`nonsensitive` of a public parameter: the provider marks every parameter."""
    steps = call.children[0].steps if call.name == "nonsensitive" and call.children else ()
    blocks = tree.named(directory).get(".".join(map(str, steps[:3])), ()) if steps[:1] == ("data",) else ()
    return bool(blocks) and all(is_published(block, directory, tree) for block in blocks)


def is_unlisted(expression: Expression) -> bool:
    """True for a call of a function that no rule knows."""
    name = expression.function
    return bool(name) and not (reveals(expression) or READS.fullmatch(name) or name in words("functions") | _TYPES)
