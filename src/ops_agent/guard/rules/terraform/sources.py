"""Where providers and modules come from, and what a provider may be given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from ops_agent.guard.data import table
from ops_agent.guard.providers import (
    BUILT_IN,
    allowed_in,
    declared_providers,
    implied_address,
    local_name,
    provider_address,
    required_providers,
)
from ops_agent.guard.rule import TerraformFile, WholeChange, hit_at, rule
from ops_agent.guard.tree import SourceTree
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Attribute, Block, ExpressionKind, TerraformSource
from ops_agent.terraform.modules import local_source

_MOST_BESIDE = 50
_EXACT_VERSION = re.compile(r"=?\s*\d+\.\d+\.\d+")
_PINNED_REF = re.compile(r"[^?]*\?ref=[0-9a-f]{40}")
# `git` and `curl` take `acme/../evil` for `evil`; an escape can spell both dots and `ref`.
_INDIRECT = re.compile(r"(^|[/:])\.\.?(/|$)|%|\\|[?&].*[?&]ref=")


@rule(Severity.BLOCKS)
def provider_source(file: TerraformFile) -> Iterator[Finding]:
    """A provider is not on the allow-list.

    A provider is a program that `terraform plan` runs. Its full source address counts
    (`registry.terraform.io/hashicorp/aws`); without a declared source, the type of a resource implies one. Allowed are
    AWS, HashiCorp's providers that neither run programs nor reach out (`random`, `null`, `time`, `tls`, `cloudinit`,
    `archive`), those of the action's input `allowed_providers`, and in a root those that it has on the base branch.

    Remedy: Use the AWS provider (`source = "hashicorp/aws"`), or one that this root has already; another one must be
    allowed in the action's input `allowed_providers`.
    """
    allowed = allowed_in(file.directory, file.tree)
    for block, entry in required_providers(file.source):
        source = provider_address(entry.name, entry.expression)
        if source not in allowed:
            what = f"the provider `{entry.name}` comes from `{source or 'a computed source'}`"
            yield file.hit(block, what, entry)
    declared = declared_providers(file.tree, file.directory)
    for block in file.source.of_type("provider", "resource", "data", "ephemeral"):
        name = local_name(block)
        if name is None:
            yield file.hit(block, f"`{block.name}` has a computed `provider`", block.attribute("provider"))
        elif name != BUILT_IN:
            source = declared.get(name, implied_address(name))
            if source not in allowed:
                yield file.hit(block, f"`{block.name}` needs the provider `{source}`", str(source))


@rule(Severity.BLOCKS)
def module_source(file: TerraformFile) -> Iterator[Finding]:
    """A remote module is not on the allow-list.

    `terraform init` downloads a remote module and `terraform plan` runs it. Local modules are allowed.

    Remedy: Write the module under `modules/` and call it by a relative path.
    """
    for block in file.source.of_type("module"):
        attribute = block.attribute("source")
        source = attribute.expression.value if attribute else None
        if not isinstance(source, str):
            yield file.hit(block, f"`{block.name}` has a source that is not a literal", attribute)
        elif source.startswith((".", "/", "~")):
            if local_source(file.directory, block) is None:
                yield file.hit(block, f"`{source}` is not a directory of this repository", attribute)
        elif not source.startswith(file.policy.allowed_modules or ("\0",)) or _INDIRECT.search(source):
            yield file.hit(block, f"`{source}` is not on the allow-list of modules", attribute)


@rule(Severity.BLOCKS)
def unpinned_module(change: WholeChange) -> Iterator[Finding]:
    """A remote module is not pinned.

    A tag, a branch or a version range can mean other code after the review. Modules of an owner whose modules the base
    branch already calls without a pin are excepted.

    Remedy: Pin the module to an exact version or to a commit of 40 digits.
    """
    for path in (p for p in change.changes.paths if p.endswith(".tf") and p in change.head.paths):
        source = change.head.terraform(path)
        for block in source.of_type("module") if isinstance(source, TerraformSource) else ():
            called = str(block.literal("source"))
            is_open = called.startswith(change.policy.allowed_modules or ("\0",)) and not _is_pinned(block)
            if is_open and _owner(called) not in _unpinned_on(change.base):
                what = f"`{called}` is not pinned to an exact version or a 40-digit commit"
                yield hit_at(path, block, what, f"{called} {block.literal('version')}")


def _is_pinned(block: Block) -> bool:
    is_commit = _PINNED_REF.fullmatch(str(block.literal("source"))) is not None
    return is_commit or _EXACT_VERSION.fullmatch(str(block.literal("version"))) is not None


def _owner(source: str) -> str:
    """Who a source belongs to, in any spelling: host and organization, or a registry's namespace."""
    plain = re.sub(r"^(git::)?(https://|ssh://)?(git@)?", "", source).replace(":", "/")
    parts = plain.split("?")[0].split("/")
    return "/".join(parts[:2] if "." in parts[0] else parts[:1])


def _unpinned_on(tree: SourceTree) -> frozenset[str]:
    """What the files of a tree call without a pin."""

    def owners() -> frozenset[str]:
        files = (tree.terraform(p) for p in tree.paths if p.endswith(".tf") and b"module" in tree.read(p))
        blocks = (b for s in files if isinstance(s, TerraformSource) for b in s.of_type("module"))
        return frozenset(_owner(str(b.literal("source"))) for b in blocks if not _is_pinned(b))

    return tree.remembered("unpinned modules", owners)


@rule(Severity.BLOCKS)
def provider_argument(file: TerraformFile) -> Iterator[Finding]:
    """A provider is given credentials, another endpoint or another account.

    `endpoints`, `profile`, `shared_config_files`, `assume_role`, keys, proxies and the `skip_*` arguments send
    credentials elsewhere or run a program (`credential_process`). Credentials come from the job's role only. A new
    directory may have the provider of a directory beside it, with everything that its arguments come from.

    Remedy: Remove the argument. Allowed for AWS are `region`, `alias`, `default_tags`, `ignore_tags` and
    `allowed_account_ids`.
    """
    for block in file.source.of_type("provider"):
        open_ = open_arguments(block, file.tree, file.directory)
        closed = [(name, part) for name, part in block.parts if name not in open_]
        for name, part in closed if closed and not _is_usual(file, block) else ():
            yield file.hit(block, f"`{block.name}` sets `{name}`", part)


def _is_usual(file: TerraformFile, block: Block) -> bool:
    """True when a directory beside a new one gives the same provider the same on the base, in a file of this name, and
    writes everything in the same way that it comes from.
    """
    base, directory, name = file.tree.base, file.directory, file.path.rpartition("/")[2]
    if base is None or "/" not in directory or any(p.startswith(f"{directory}/") for p in base.paths):
        return False
    if any(p.startswith(f"{directory}/") and ".tfvars" in p for p in file.tree.paths):
        return False
    behind = _behind(file.tree, directory, block)
    pattern = re.compile(rf"{re.escape(directory.rpartition('/')[0])}/[^/]+/{re.escape(name)}")
    beside = (p for p in sorted(base.paths) if pattern.fullmatch(p) and p not in file.tree.changed)
    for path in islice(beside, _MOST_BESIDE) if behind is not None else ():
        source = base.terraform(path)
        for known in source.of_type("provider") if isinstance(source, TerraformSource) else ():
            if known.name == block.name and _behind(base, path.rpartition("/")[0], known) == behind:
                return True
    return False


def _behind(tree: SourceTree, directory: str, provider: Block) -> frozenset[str] | None:
    """The text of the closed arguments of a provider, and of every module call and variable that they come from; None
    when another kind of block is among these, or one is not there or there twice.
    """
    named, open_ = tree.named(directory), open_arguments(provider, tree, directory)
    pending: list[Attribute | Block] = [part for name, part in provider.parts if name not in open_]
    found = {_text_of(part) for part in pending}
    while pending:
        one = pending.pop()
        blocks = list(one.walk()) if isinstance(one, Block) else []
        iterators = {inner.label for inner in blocks if inner.type == "dynamic"}
        is_variable = isinstance(one, Block) and one.type == "variable"
        attributes = [a for block in blocks for a in block.attributes] if isinstance(one, Block) else [one]
        for attribute in attributes:
            for expression in () if is_variable and attribute.name == "type" else attribute.expression.walk():
                if expression.kind is not ExpressionKind.REFERENCE or expression.steps[0] in iterators:
                    continue
                kind, *rest = (str(step) for step in expression.steps)
                source = named.get(f"{'variable' if kind == 'var' else kind}.{rest[0]}" if rest else "", ())
                if len(source) != 1 or source[0].type not in ("module", "variable"):
                    return None
                text = f"{source[0].text} {tree.called(directory, source[0])}"
                if text not in found:
                    found.add(text)
                    pending += source
    return frozenset(found)


def _text_of(part: Attribute | Block) -> str:
    return part.text if isinstance(part, Block) else f"{part.name} = {part.expression.text}"


def open_arguments(block: Block, tree: SourceTree, directory: str) -> frozenset[str]:
    """What the `provider` block may set."""
    address = declared_providers(tree, directory).get(block.label) or block.label
    listed = table("provider_arguments")
    return frozenset((*listed["any"], *listed.get(address.rpartition("/")[2], ())))
