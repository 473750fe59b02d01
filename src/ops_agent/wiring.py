"""Builds the world: one adapter per port, for a runner or a laptop. Only here is every adapter's constructor known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from ops_agent.adapters.aws.identity import AwsIdentity, bedrock_keys
from ops_agent.adapters.aws.sts import Runner, Sts
from ops_agent.adapters.linters import WheelLinters
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.adapters.local.folder import LocalBranches, LocalIssues, LocalPullRequests, NoBoard
from ops_agent.adapters.local.git_objects import GitObjects, quarantined
from ops_agent.adapters.network import DIRECT, Network, network
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.adapters.terraform.cli_config import Method, runners_methods
from ops_agent.adapters.terraform.engine import kept_programs
from ops_agent.adapters.terraform.module_fetch import ModuleAccess
from ops_agent.adapters.terraform.module_hosts import ModuleCredentials
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.config.harness import read_harness
from ops_agent.config.settings import Settings
from ops_agent.model.ports import Board, Branches, Issues, PullRequests, Reporter, Wiki, World
from ops_agent.text.redaction import Redactor

_AMBIENT_SECRETS = (
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ANTHROPIC_API_KEY",
)


class SystemClock:
    """ports.Clock of the machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@contextmanager
def actions_world(settings: Settings, environment: Mapping[str, str]) -> Iterator[World]:
    """The world of a GitHub Actions job. Everything that was opened is closed when the context ends, children included.

    The doctor uses it on a laptop too: there it speaks to a terminal, and perhaps nobody gave it a token.
    """
    # PyGithub takes half a second to load; a local run never needs it.
    from ops_agent.adapters.github.board import GitHubBoard
    from ops_agent.adapters.github.branches import GitHubBranches
    from ops_agent.adapters.github.client import connect
    from ops_agent.adapters.github.issues import GitHubIssues
    from ops_agent.adapters.github.pull_requests import GitHubPullRequests

    with ExitStack() as stack:
        way = stack.enter_context(network(environment, settings.ca_certificates))
        redactor = redactor_of((*settings.secrets, *way.secrets), environment)
        on_runner = environment.get("GITHUB_ACTIONS") == "true"
        reporter = reporter_of(redactor, on_runner=on_runner)
        for secret in (*settings.secrets, *way.secrets):
            reporter.mask(secret)
        clock, token = SystemClock(), settings.github_token or "none"
        http = stack.enter_context(closing(connect(token, environment, clock, say=reporter.line, network=way)))
        board = GitHubBoard(
            http, settings.board.project_owner, settings.board.project_number, settings.board.status_field
        )
        host = (GitHubIssues(http), GitHubBranches(http), GitHubPullRequests(http), board)
        run_id = environment.get("GITHUB_RUN_ID", "")
        yield stack.enter_context(_world(settings, environment, redactor, reporter, host, run_id, way))


@contextmanager
def local_world(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    issue_file: Path,
    folder: Path,
    output: Path,
    branch: str | None,
) -> Iterator[tuple[World, LocalIssues]]:
    """The world of a laptop: no GitHub, no board; new git objects stay in quarantine unless a branch was asked for."""
    with ExitStack() as stack:
        way = stack.enter_context(network(environment, settings.ca_certificates))
        redactor = redactor_of((*settings.secrets, *way.secrets), environment)
        reporter = reporter_of(redactor, on_runner=False)
        objects = GitObjects(folder) if branch else stack.enter_context(quarantined(folder))
        stack.callback(objects.close)
        branches = LocalBranches(objects, output, branch)
        issues = LocalIssues(objects, issue_file, output, branches.default)
        host = (issues, branches, LocalPullRequests(branches, output), NoBoard())
        yield stack.enter_context(_world(settings, environment, redactor, reporter, host, "local", way)), issues


@contextmanager
def _world(
    settings: Settings,
    environment: Mapping[str, str],
    redactor: Redactor,
    reporter: Reporter,
    host: tuple[Issues, Branches, PullRequests, Board],
    run_id: str,
    way: Network,
) -> Iterator[World]:
    issues, branches, pull_requests, board = host
    harness = read_harness(environment)
    clock = SystemClock()
    runner = Runner(
        url=environment.get("ACTIONS_ID_TOKEN_REQUEST_URL", ""),
        token=environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", ""),
    )
    sts = Sts(settings.policy.region, endpoint=harness.aws_endpoint, say=reporter.line, network=way)

    def mask(secret: str) -> None:
        redactor.add(secret)
        reporter.mask(secret)

    cloud = AwsIdentity(
        policy=settings.policy, roles=settings.aws_role_arns, runner=runner, run_id=run_id, mask=mask, sts=sts
    )
    terraform = terraform_of(settings, environment, reporter.line, way)
    try:
        yield World(
            issues=issues,
            branches=branches,
            pull_requests=pull_requests,
            board=board,
            llm=AnthropicLlm(
                settings.llm,
                clock,
                region=settings.bedrock_region,
                working_seconds=settings.limits.working_seconds,
                identity=_identity_token(sts, runner, mask),
                bedrock=bedrock_keys(sts, runner, settings.llm.bedrock_role_arn, run_id, mask),
                say=reporter.line,
                mask=mask,
                network=way,
            ),
            cloud=cloud,
            terraform=terraform,
            linters=WheelLinters(),
            reporter=reporter,
            clock=clock,
            scratch=scratch_tree,
            redact=redactor.redact,
            wiki=wiki_of(settings, environment, way),
        )
    finally:
        terraform.close()


def _closed(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The workspace, where a checkout may lie: no program and no provider comes from there."""
    return tuple(Path(environment[name]) for name in ("GITHUB_WORKSPACE",) if environment.get(name))


def installation_methods(environment: Mapping[str, str]) -> tuple[Method, ...] | None:
    """Where the runner's own Terraform takes its providers from. None and raises as `runners_methods`."""
    return runners_methods(environment, _closed(environment))


def terraform_of(
    settings: Settings, environment: Mapping[str, str], say: Callable[[str], None], way: Network = DIRECT
) -> TerraformCli:
    """The Terraform of these settings, not started yet; `say` gets a line before each wait. Close it."""
    harness = read_harness(environment)
    return TerraformCli(
        policy=settings.policy,
        binary=harness.engine or settings.terraform_binary,
        mirror=harness.provider_mirror,
        path_variable=environment.get("PATH", ""),
        closed=_closed(environment),
        overlay=harness.terraform_overlay,
        backend_settings=harness.backend_settings,
        extra_variables=harness.terraform_variables,
        kept=partial(kept_programs, environment),
        installation=partial(installation_methods, environment),
        network=way,
        modules=ModuleAccess(
            credentials=module_credentials(settings, environment),
            variables=harness.module_variables,
            sleep=time.sleep,
            say=say,
        ),
    )


def wiki_of(settings: Settings, environment: Mapping[str, str], way: Network) -> Wiki | None:
    """The Confluence of these settings, None when there is none: then nothing of it is imported."""
    if not settings.mcp_config:
        return None
    from ops_agent.adapters.mcp.wiki import McpWiki

    return McpWiki(
        servers=settings.mcp_config,
        spaces=settings.confluence_spaces,
        path_variable=environment.get("PATH", ""),
        closed=_closed(environment),
        network=way,
    )


def module_credentials(settings: Settings, environment: Mapping[str, str]) -> ModuleCredentials:
    """The given ones, and the run's own token for repositories of its owner on its host (docs/setup/modules.md)."""
    repository = settings.target_repository or environment.get("GITHUB_REPOSITORY", "")
    server = urlsplit(environment.get("GITHUB_SERVER_URL") or "https://github.com")
    has_own = bool(settings.github_token and repository) and server.scheme == "https"
    return ModuleCredentials(
        tokens=settings.module_credentials,
        own_host=server.netloc if has_own else "",
        own_owner=repository.partition("/")[0] if has_own else "",
        own_token=settings.github_token if has_own else "",
    )


def reporter_of(redactor: Redactor, *, on_runner: bool) -> Reporter:
    """A job never loads rich, a laptop never what only a job needs."""
    if on_runner:
        from ops_agent.adapters.runner.job_log import ActionsReporter

        return ActionsReporter(redactor.redact)
    from ops_agent.adapters.runner.terminal import TerminalReporter, rich_console

    return TerminalReporter(redactor.redact, rich_console())


def redactor_of(secrets: Iterable[str], environment: Mapping[str, str]) -> Redactor:
    """Every secret of the job that this process was given, known before anything is said."""
    return Redactor([*secrets, *(environment[name] for name in _AMBIENT_SECRETS if environment.get(name))])


def _identity_token(sts: Sts, runner: Runner, mask: Callable[[str], None]) -> Callable[[str], str]:
    """Audience in, a fresh OIDC token of the job out (for the llm's workload identity federation)."""

    def mint(audience: str) -> str:
        token = sts.id_token(runner, audience)
        mask(token)
        return token

    return mint
