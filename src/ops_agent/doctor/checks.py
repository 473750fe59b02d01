"""The doctor's checks, one function each, in the order of `CHECKS`; docs/doctor.md lists their first sentences. None
changes anything, and none executes anything of the repository.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from ops_agent.adapters.terraform import confinement
from ops_agent.agent.standards.confluence import queries
from ops_agent.doctor.diagnosis import FAIL, OK, SKIP, WARN, Diagnosis, Setup, from_error, from_finding
from ops_agent.doctor.outside import check_aws, check_board, check_llm, check_network, check_region, check_token
from ops_agent.doctor.repository import check_layout, check_rules
from ops_agent.guard.needs import Need, by_words, locked_for_one_platform
from ops_agent.guard.tree import source_tree
from ops_agent.issue.visible_text import clean_line
from ops_agent.model.errors import ToolchainError
from ops_agent.model.ports import BaseTree
from ops_agent.model.terraform import Layout
from ops_agent.model.verification import CheckStatus
from ops_agent.run.brief import require_environments
from ops_agent.run.needs import find_needs, named, stopped_by
from ops_agent.terraform.module_sources import (
    ModuleCall,
    SourceKind,
    module_calls,
    module_files,
    read_module_source,
    shown_source,
)
from ops_agent.wiring import module_credentials

_MOST: Final = 20
_SAMPLE_WORKFLOW: Final = b"""on: pull_request
permissions: {}
jobs:
  sample:
    runs-on: ubuntu-24.04
    steps:
      - run: echo ${{ github.head_ref }}
"""
_FREE_BYTES = 3_000_000_000


def _check_inputs(_: Setup) -> Iterable[Diagnosis]:
    """Every input can be read."""
    return ()


def _check_wiki(setup: Setup) -> Iterator[Diagnosis]:
    """With `mcp_config`: the servers answer with the tools that are used, and each space has a general standard."""
    wiki, spaces = setup.world.wiki, setup.settings.confluence_spaces
    if wiki is None:
        return
    answer = wiki.find(tuple(query for space in spaces for query in queries((space,), "")))
    for problem in answer.problems:
        hint = "A run goes on without these standards (docs/setup/confluence.md)."
        yield Diagnosis("Confluence", WARN, clean_line(problem, 500).text, hint)
    for server, tools in answer.tools.items():
        if tools:
            yield Diagnosis("Confluence", OK, f"MCP server `{server}` offers {' and '.join(tools)}")
    lacking = [space for space in spaces if all(page.space != space for page in answer.pages)]
    if lacking and not answer.problems:
        what = f"no general standard was found in {', '.join(lacking)}"
        hint = "Give standards one of the labels or title words of docs/setup/confluence.md."
        yield Diagnosis("Confluence", WARN, what, hint)


def _check_environments(setup: Setup) -> Iterable[Diagnosis]:
    """The environments that the input `environments` names exist. Raises ConfigError with the same text as a run."""
    if setup.layout is not None:
        require_environments(setup.settings.environments, setup.layout)
    return ()


def _check_toolchain(setup: Setup) -> Iterator[Diagnosis]:
    """The Terraform engine that is found and its version, what the roots need of it, the linters, free disk space."""
    if setup.tree is not None and setup.layout is not None:
        yield from _of_needs(setup, setup.tree, setup.layout)
    try:
        yield Diagnosis("toolchain", OK, setup.world.terraform.engine())
    except ToolchainError as error:
        yield from_error("toolchain", error)
    try:
        entries = setup.world.linters.check({"sample.yml": _SAMPLE_WORKFLOW})["sample.yml"]
    except ToolchainError as error:
        yield from_error("toolchain", error)
    else:
        for tool in ("actionlint", "zizmor"):
            found = any(entry.tool == tool for entry in entries)
            what = f"{tool} runs" if found else f"{tool} does not find the injection in a sample workflow"
            yield Diagnosis("toolchain", OK if found else FAIL, what)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    hint = "The AWS provider alone takes several hundred MB."
    health = OK if free >= _FREE_BYTES else WARN
    yield Diagnosis("toolchain", health, f"{free / 1e9:.0f} GB are free for temporary files", hint)


def _check_sandbox(setup: Setup) -> Iterator[Diagnosis]:
    """Terraform's confinement holds here: a hostile configuration is tried with a canary, and the kernel is asked for
    Landlock and seccomp. Raises ToolchainError when something gets out.
    """
    terraform = setup.world.terraform
    try:
        terraform.engine()
    except ToolchainError:
        yield Diagnosis("sandbox", SKIP, "not tried without Terraform", "Install it first (see `toolchain`).")
        return
    guarantees = terraform.self_test()
    what = f"a hostile configuration cannot read this process (tried with a canary); Terraform's children: {guarantees}"
    yield Diagnosis("sandbox", OK, what)
    landlock = confinement.landlock_abi()
    lacks = [
        *(["files of this user (Landlock, Linux 5.13)"] if landlock < 1 else []),
        *(["connections past the proxy (Landlock 4, Linux 6.7)"] if landlock < 4 else []),
        *(["UDP (seccomp)"] if not confinement.filters_sockets() else []),
    ]
    if lacks:
        hint = "Use a runner with a newer kernel (ubuntu-24.04), or one whose network filters what leaves it "
        what = f"this kernel does not keep a hostile provider from: {', '.join(lacks)}"
        yield Diagnosis("sandbox", WARN, what, f"{hint}(docs/decisions/0008-confinement.md).")


def _of_needs(setup: Setup, tree: BaseTree, layout: Layout) -> Iterator[Diagnosis]:
    """What the roots need of engine, providers, lock files and credentials, each thing once for all roots. FAIL when no
    root can be planned.
    """
    needs = find_needs(setup.world, setup.settings, tree, layout)
    hopeless = stopped_by(needs, setup.settings, layout) is not None
    for (what, remedy, stops), places in by_words(needs).items():
        yield Diagnosis("roots", FAIL if stops and hopeless else WARN, f"{named(places)}: {what}", remedy)
    files = source_tree(tree, setup.settings.policy)
    doubts = [Need(r.path, one, False) for r in layout.roots for one in locked_for_one_platform(files, r)]
    for (what, remedy, _), places in by_words(doubts).items():
        yield Diagnosis("roots", WARN, f"{named(places)}: {what}", remedy)


def check_modules(setup: Setup) -> Iterator[Diagnosis]:
    """Modules from outside: which ones each root calls, whether a token for the host is given, and whether they come.
    Raises ToolchainError, NoSpace.

    A source that is refused fails everywhere. What this laptop cannot fetch, a job with other tokens perhaps can.
    """
    if setup.layout is None or setup.tree is None:
        return
    tree = source_tree(setup.tree, setup.settings.policy)
    for root in setup.layout.roots:
        paths = [path for d in (root.path, *root.local_modules) for path in tree.configurations(d)]
        files = module_files(root, paths, tree.read)
        if not files:
            continue
        remote = [call for call in module_calls(root, files, files.__getitem__) if call.is_remote]
        named = "; ".join(_named(call, setup) for call in remote[:_MOST])
        more = f"; and {len(remote) - _MOST} more" if len(remote) > _MOST else ""
        check = setup.world.terraform.fetch_modules(root, files)
        came = check.status is CheckStatus.PASSED
        refused = any(read_module_source(call.source or "").kind is SourceKind.REFUSED for call in remote)
        health = OK if came else FAIL if setup.on_runner or refused else WARN
        yield Diagnosis("modules", health, f"root module `{root.path}` calls modules from outside: {named}{more}")
        if came:
            yield Diagnosis("modules", OK, f"the modules of `{root.path}` were fetched in {check.seconds:.1f} s")
        for finding in check.findings:
            yield from_finding("modules", health, finding)


def _named(call: ModuleCall, setup: Setup) -> str:
    source = read_module_source(call.source or "")
    serves = module_credentials(setup.settings, setup.environment).serve(source)
    token = "refused" if source.kind is SourceKind.REFUSED else "token given" if serves else "no token"
    return f"`{call.key}` from `{shown_source(call.source or '')}` ({token})"


def _check_job(setup: Setup) -> Iterator[Diagnosis]:
    """The checkout of the job holds no token."""
    configuration = Path(setup.environment.get("GITHUB_WORKSPACE", ""), ".git", "config")
    if (
        setup.environment.get("GITHUB_WORKSPACE")
        and os.access(configuration, os.R_OK)
        and "extraheader" in configuration.read_text(encoding="utf-8", errors="replace")
    ):
        hint = "Give actions/checkout `persist-credentials: false`, or leave it out: ops-agent needs no checkout."
        yield Diagnosis("job", WARN, "the checkout's .git/config holds a token", hint)


CHECKS: dict[str, Callable[[Setup], Iterable[Diagnosis]]] = {
    "inputs": _check_inputs,
    "environments": _check_environments,
    "region": check_region,
    "layout": check_layout,
    "rules": check_rules,
    "GitHub": check_token,
    "board": check_board,
    "AWS": check_aws,
    "network": check_network,
    "llm": check_llm,
    "Confluence": _check_wiki,
    "toolchain": _check_toolchain,
    "sandbox": _check_sandbox,
    "modules": check_modules,
    "job": _check_job,
}
NEEDS: dict[str, frozenset[str]] = {
    "environments": frozenset({"environments", "aws_accounts"}),
    "region": frozenset({"aws_region"}),
    "layout": frozenset({"aws_accounts", "aws_region"}),
    "rules": frozenset({"aws_accounts", "aws_region"}),
    "llm": frozenset(
        {
            *("anthropic_api_key", "anthropic_federation_rule_id", "model", "base_url", "probe_llm"),
            *("use_bedrock", "bedrock_role_arn", "bedrock_region"),
            *("vertex_project", "vertex_region", "vertex_identity_provider"),
        }
    ),
    "GitHub": frozenset({"github_token", "target_repository"}),
    "board": frozenset({"github_token", "target_repository", "issue_number"}),
    "AWS": frozenset({"aws_role_arn", "aws_role_arns", "aws_accounts", "aws_region"}),
    "network": frozenset({"aws_region", "base_url"}),
    "Confluence": frozenset({"mcp_config", "confluence_spaces"}),
    "toolchain": frozenset({"terraform_binary"}),
    "sandbox": frozenset({"terraform_binary"}),
    "modules": frozenset({"terraform_binary", "module_credentials", "allowed_modules"}),
}
"""Check -> inputs without which it would judge what nobody chose."""
