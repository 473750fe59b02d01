"""A scenario folder, played as a whole run: embedded GitHub, AWS and llm, the action's own step as a child, and what
must be true of every run.

`tests/scenarios/<name>/scenario.yml` says what people did and how the run must end; `script.yml` beside it is what the
llm says; `repo/` holds files laid over the demo's sample repository. A bug becomes a folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from adapters.mcp.hostile_server import Server, over_http
from company_network import PASSWORD, CompanyNetwork, company_network
from fake_github.objects import APP_PERMISSIONS, Issue, PullRequest, Repository
from fake_github.platform import EmbeddedGitHub
from github_descriptions import Checker
from ops_agent.model.outcome import Conclusion
from ops_agent_demo import cloud
from ops_agent_demo.act_run import WORKFLOW
from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.job import Job, JobEnd
from ops_agent_demo.llm.script import load_script
from ops_agent_demo.llm.server import LlmServer
from ops_agent_demo.plain_run import run_plainly
from ops_agent_demo.story import sample_files
from scenario_interruption import Interruption
from scenario_modules import module_host, trusting

GHES, LLM, OIDC = "ghes.company.example", "llm.company.example", "pipelines.company.example"
_TOKEN_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
ACTIONS = {
    "actions/checkout": "v7",
    "aws-actions/configure-aws-credentials": "v6",
    "aws-actions/amazon-ecr-login": "v2",
}
"""Whose tags GitHub knows."""
OWNER, PERSON = "DrivvenConsulting", "maria"
BODY = """## Description
Orders wait in memory while billing is down.

## Acceptance Criteria
- [ ] A queue holds the orders
"""


@dataclass(kw_only=True)
class World:
    """Shared by all scenarios of a worker: the emulated AWS with the sample deployed, and the provider mirror."""

    aws: EmbeddedAws
    mirror: Path


@dataclass(kw_only=True)
class Played:
    """Everything that a run left behind."""

    github: EmbeddedGitHub
    issue: Issue
    end: JobEnd
    llm: LlmServer
    column: str
    aws_calls: tuple[Any, ...]
    secrets: tuple[str, ...]
    default_head: str
    ends: list[JobEnd] = field(default_factory=list)

    @property
    def pulls(self) -> list[PullRequest]:
        return list(self.issue.repository.pull_requests)


def scenario_folders() -> list[Path]:
    return sorted(path.parent for path in (Path(__file__).parent / "scenarios").glob("*/scenario.yml"))


def play(folder: Path, world: World, workplace: Path) -> tuple[dict[str, Any], Played]:
    """Run the scenario of `folder`; returns what it expects (`end`) and what happened."""
    with module_host(folder, workplace) as (filled, trust):
        return _play(filled, world, workplace, trust)


def _play(folder: Path, world: World, workplace: Path, trust: Mapping[str, str]) -> tuple[dict[str, Any], Played]:
    scenario = yaml.safe_load((folder / "scenario.yml").read_text(encoding="utf-8"))
    files = sample_files() | {
        str(path.relative_to(folder / "repo")): path.read_bytes()
        for path in sorted((folder / "repo").rglob("*"))
        if path.is_file()
    }
    for path in scenario.get("without", ()):
        files = {name: content for name, content in files.items() if not name.startswith(path)}
    before = len(world.aws.calls)
    scripts = [load_script(path) for name in ("round", "script") if (path := folder / f"{name}.yml").exists()]
    with ExitStack() as stack:
        is_inside = bool(scenario.get("company_network"))
        if "wiki" in scenario:
            url = stack.enter_context(over_http(Server(scenario["wiki"])))
            scenario["inputs"]["mcp_config"] = scenario["inputs"]["mcp_config"].replace("WIKI_URL", url)
        github = stack.enter_context(EmbeddedGitHub(enterprise_url=f"https://{GHES}" if is_inside else ""))
        llm = stack.enter_context(LlmServer(scripts, keys_of=world.aws.invoking, region="us-east-1"))
        company = stack.enter_context(_company(github, llm, world, workplace)) if is_inside else None
        links = scenario.get("links", {})
        repository = github.add_repository(f"{OWNER}/orders", files | links, modes=dict.fromkeys(links, "120000"))
        for login, role in ({PERSON: "write"} | scenario.get("people", {})).items():
            repository.add_person(login, role=role)
        board = github.add_board(OWNER, number=6)
        for _ in range(int(scenario.get("older_issues", 1))):
            repository.add_issue("An older issue", "", author=PERSON)
        text = scenario.get("issue", {})
        issue = repository.add_issue(
            text.get("title", "[ops] Queue for billing"), text.get("body", BODY), author=PERSON
        )
        board.put(issue, text.get("status", "Ready"))
        blocker = repository.add_issue("Network", "", author=PERSON) if scenario.get("blocked") else None
        if blocker is not None:
            issue.block(blocker)
        for label, by in scenario.get("labels", {}).items():
            issue.add_label(label, by=by)
        for name, tag in ACTIONS.items():
            action = github.add_repository(name, {"action.yml": "name: action\n"}, private=False)
            action.tags[tag] = action.head()
        token = github.actions_token(repository) if scenario.get("token") == "actions" else github.app_token()
        if "review" in scenario:
            token = github.app_token(**APP_PERMISSIONS, checks="read")
        trigger = {"label": "ready", "by": PERSON} | scenario.get("trigger", {})
        head = repository.head()
        ends: list[JobEnd] = []
        for attempt in range(1, int(scenario.get("runs", 1)) + 1):
            if attempt > 1 and "review" in scenario:
                head = _review(repository, issue, scenario["review"])
            if "dispatch" in trigger:
                name = "workflow_dispatch"
                event = github.dispatch(
                    repository, by=trigger["by"], inputs={"issue_number": str(trigger["dispatch"] or issue.number)}
                )
            else:
                name, event = "issues", github.label(issue, trigger["label"], by=trigger["by"])
            for act in scenario.get("then", ()):
                _people(issue, act)
            place = workplace / f"job-{attempt}"
            place.mkdir()
            harness = trusting(
                cloud.harness_file(world.aws, world.mirror, workplace / f"harness-{attempt}.json"), trust
            )
            repository.add_run(4241 + attempt)
            job = _job(
                scenario, github, llm, world, harness, name, event, trigger["by"], token, repository.files(), attempt
            )
            if company is not None:
                job = _behind(company, job)
            interruption = Interruption(scenario.get("interrupt", {}))
            ends.append(run_plainly(job, place, interruption.listen, interruption.started))
            interruption.check()
        if blocker is not None:
            event, number = github.close_event(blocker, by=PERSON), len(ends) + 1
            place = workplace / "unblocked"
            place.mkdir()
            repository.add_run(4241 + number)
            files = repository.files()
            job = _job(scenario, github, llm, world, harness, "issues", event, PERSON, token, files, number)
            ends.append(run_plainly(job, place, lambda line: None))
        if "verify" in scenario:
            (pull,) = repository.pull_requests
            repository.commit(pull.head, scenario["verify"]["push"], "By hand", by=PERSON)
            event = github.pull_request_event(pull, "synchronize", by=PERSON)
            place = workplace / "verify"
            place.mkdir()
            number = len(ends) + 1
            files = repository.files()
            job = replace(
                _job(scenario, github, llm, world, harness, "", event, PERSON, token, files, number),
                event_name="pull_request_target",
                command="verify",
            )
            ends.append(run_plainly(job, place, lambda line: None))
        played = Played(
            github=github,
            issue=issue,
            end=ends[-1],
            ends=ends,
            llm=llm,
            column=board.column(issue) or "",
            aws_calls=world.aws.calls[before:],
            secrets=(
                *(token, "sk-ant-api03-a-key-of-the-test", PASSWORD, quote(PASSWORD, safe="")),
                *(*_runner_secrets(job), *scenario.get("secrets", ())),
            ),
            default_head=head,
        )
        hold_invariants(played)
        if company is not None:
            assert company.hosts == {GHES, LLM, OIDC}, "each host was asked for through the proxy, and no other"
            assert company.rejected == 0, "nobody came without the login"
        return scenario["end"], played


def hold_invariants(played: Played) -> None:
    """What is true of every run, whatever the llm or people did."""
    Checker().assert_all_valid(played.github.recorder)
    repository = played.issue.repository
    assert repository.head() == played.default_head, "the default branch was written"
    assert len([pull for pull in played.pulls if not pull.closed_at]) <= 1
    for end in played.ends:
        log = "\n".join(end.log)
        assert "Traceback" not in log, log[-3000:]
        assert Conclusion(end.outputs["conclusion"]).exit_code == end.exit_code, "every end has a conclusion"
    sinks = {
        "log": "\n".join(line for end in played.ends for line in end.log if not line.startswith("::add-mask::")),
        "summary": "".join(end.summary for end in played.ends),
        "outputs": str([end.outputs for end in played.ends]),
        "comments": "".join(comment.body for comment in played.issue.comments),
        "pull requests": "".join(f"{pull.title}{pull.body}" for pull in played.pulls),
        "llm": str(played.llm.requests),
        "commits": "".join(
            content.decode(errors="replace")
            for pull in played.pulls
            for path in paths_of(pull)
            if (content := repository.file(pull.head, path)) is not None
        ),
    }
    for name, text in sinks.items():
        for secret in played.secrets:
            assert secret not in text, f"there is a secret in the {name}"


def paths_of(pull: PullRequest) -> list[str]:
    return sorted(change.path for change in pull.files)


def _review(repository: Repository, issue: Issue, given: Mapping[str, Any]) -> str:
    """What people do between two runs: commits on branch and base, reviews. Returns the base's head."""
    (pull,) = repository.pull_requests
    repository.commit(pull.head, given["push"], "By hand", by=PERSON)
    repository.add_check("lint", pull.head_commit, "failure", log=given["failed_check"])
    lines = {(at.partition(":")[0], int(at.partition(":")[2])): text for at, text in given["lines"].items()}
    pull.review("CHANGES_REQUESTED", given["says"], by=PERSON, lines=lines)
    pull.review("CHANGES_REQUESTED", given["reader"], by="joao", lines=dict.fromkeys(lines, given["reader"]))
    issue.remove_label("ready", by=PERSON)
    time.sleep(1.1)  # GitHub's times have whole seconds, and only what was said before the label counts
    return repository.commit(repository.default_branch, given["base"], "Meanwhile", by=PERSON)


def _people(issue: Issue, act: Mapping[str, Any] | str) -> None:
    """What a person does after the label and before the run."""
    what, value = (act, "") if isinstance(act, str) else next(iter(act.items()))
    if what == "edit":
        issue.edit(body=value, by=PERSON)
    elif what == "rename":
        issue.edit(title=value, by=PERSON)
    elif what == "close":
        issue.close(by=PERSON)
    elif what == "unlabel":
        issue.remove_label(value or "ready", by=PERSON)
    else:
        raise ValueError(f"nobody can {what}")


def _job(
    scenario: Mapping[str, Any],
    github: EmbeddedGitHub,
    llm: LlmServer,
    world: World,
    harness: Path,
    event_name: str,
    event: Mapping[str, Any],
    actor: str,
    token: str,
    files: Mapping[str, bytes],
    number: int,
) -> Job:
    workflow = yaml.safe_load(files[WORKFLOW] if WORKFLOW in files else sample_files()[WORKFLOW])
    step = next(s for s in workflow["jobs"]["run"]["steps"] if str(s.get("uses", "")).startswith("org/ops-agent@"))
    step["with"] |= {name: str(value) for name, value in scenario.get("inputs", {}).items()}
    return Job(
        event_name=event_name,
        event=event,
        actor=actor,
        files={**files, WORKFLOW: yaml.safe_dump(workflow).encode()},
        variables={
            "GITHUB_API_URL": github.api_url,
            "GITHUB_SERVER_URL": github.base_url,
            "GITHUB_RUN_ID": str(4241 + number),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_TRIGGERING_ACTOR": actor,
            "OPS_AGENT_HARNESS": str(harness),
            **world.aws.runner_variables(cloud.PLAN_SUBJECT),
            **scenario.get("variables", {}),
        },
        secrets={"OPS_AGENT_TOKEN": token, "ANTHROPIC_API_KEY": "sk-ant-api03-a-key-of-the-test"},
        repository_variables={"LLM_BASE_URL": llm.url},
    )


def _company(
    github: EmbeddedGitHub, llm: LlmServer, world: World, workplace: Path
) -> AbstractContextManager[CompanyNetwork]:
    """A network whose GitHub, llm and token endpoint are reached through its proxy alone."""
    places = {GHES: github.address, LLM: llm.url, OIDC: world.aws.runner_variables("x")[_TOKEN_URL]}
    behind = {name: (str(url.hostname), int(url.port or 80)) for name, at in places.items() for url in [urlsplit(at)]}
    return company_network(workplace, behind)


def _behind(company: CompanyNetwork, job: Job) -> Job:
    """The same job on a runner of that network."""
    asked = urlsplit(job.variables[_TOKEN_URL])._replace(scheme="https", netloc=OIDC).geturl()
    workflow = yaml.safe_load(job.files[WORKFLOW])
    step = next(s for s in workflow["jobs"]["run"]["steps"] if str(s.get("uses", "")).startswith("org/ops-agent@"))
    step["with"]["ca_certificates"] = company.authority.pem
    return replace(
        job,
        files={**job.files, WORKFLOW: yaml.safe_dump(workflow).encode()},
        variables={**job.variables, _TOKEN_URL: asked, "HTTPS_PROXY": company.url, "NO_PROXY": "elsewhere.example"},
        repository_variables={"LLM_BASE_URL": f"https://{LLM}"},
    )


def _runner_secrets(job: Job) -> tuple[str, ...]:
    return (job.variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],)
