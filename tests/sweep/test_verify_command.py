"""`verify`: pull requests of ours and of people, on a moved base, with a conflict, of a fork."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.agent_doubles import FINISH, call, reply
from fake_github.objects import APP_PERMISSIONS, PullRequest
from github_descriptions import Checker
from ops_agent.config.baseline import BASELINE_FILE, fingerprint
from ops_agent.issue.claims import pull_request_record
from ops_agent.model.errors import ConfigError, ToolchainError
from ops_agent.model.event import IssueRef
from ops_agent.model.finding import Finding, Place
from ops_agent.pages.verified import verified_commits
from ops_agent.run.publish import closing_references
from ops_agent.run.verify_pull_request import labels_by_writers
from ops_agent.text.redaction import Redactor
from run.github_world import BOT_ID
from sweep.sweep_doubles import FILES, QUEUE, QUEUE_FILE, WORKFLOW, WORKFLOW_FILE, Terraform, write
from sweep.sweep_world import GIVEN, PERSON, IssueScenario, SweepGitHub
from sweep.verify_runs import event_of, verify_by

EXTERNAL = 'data "external" "x" {\n  program = ["id"]\n}\n'


class Untouchable:
    """Fails whoever executes something, or asks for credentials."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was called")


@pytest.fixture
def scenario(sweep_github: SweepGitHub) -> IssueScenario:
    return sweep_github.scenario()


def published(scenario: IssueScenario) -> PullRequest:
    assert scenario.run(scenario.labelled()).conclusion == "published"
    (pull,) = scenario.repository.pull_requests
    return pull


def of_people(scenario: IssueScenario, files: dict[str, Any], branch: str = "feature", **kinds: Any) -> PullRequest:
    scenario.repository.commit(branch, files, "Work of people", by=PERSON, **kinds)
    return scenario.repository.open_pull_request("A queue", "By hand.", head=branch, by=PERSON)


def headings(body: str) -> list[str]:
    return [line for line in body.split("\n") if line.startswith("## ")]


def comments(pull: PullRequest) -> list[str]:
    return [comment.body for comment in pull.comments]


def test_our_pull_request_is_brought_up_to_date_after_a_push_by_people(scenario: IssueScenario) -> None:
    pull = published(scenario)
    before = pull.body
    commit = scenario.repository.commit(pull.head, {"infra/notes.tf": "locals {}\n"}, "By hand", by=PERSON)
    end = verify_by(scenario, event_of(pull))
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    body = pull.body
    assert "**Not only the agent's work.** People added 1 commit" in body
    assert f"{commit[:12]} by `{PERSON}`" in body
    assert "infra/notes.tf" in body
    assert verified_commits(body) == (commit, scenario.repository.head())
    assert pull_request_record(body) == pull_request_record(before)
    kept = "> *In the agent's words:*"
    assert body.count(kept) == before.count(kept) > 0
    assert headings(body) == headings(before)
    assert comments(pull) == []
    verify_by(scenario, event_of(pull))
    assert pull.body == body, "a second run changes nothing"


def test_what_was_published_verifies_as_it_was_published(scenario: IssueScenario) -> None:
    pull = published(scenario)
    before = pull.body
    end = verify_by(scenario, event_of(pull, "reopened"))
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    assert "Not only the agent's work" not in pull.body
    assert "no acceptance criterion is proved" in pull.body, "what publication said is not forgotten"
    tables = [line for line in before.split("\n") if line.startswith("| ")]
    assert [line for line in pull.body.split("\n") if line.startswith("| ")] == tables


def test_a_push_that_breaks_a_criterion_s_evidence_is_shown_in_its_row(scenario: IssueScenario) -> None:
    evidence = [{"kind": "terraform", "where": QUEUE_FILE, "key": "moved.to", "op": "contains", "value": "dead"}]
    moved = f"{QUEUE}\nmoved {{\n  from = aws_sqs_queue.old\n  to   = aws_sqs_queue.dead\n}}\n"
    criteria = [{"id": "AC1", "met": "yes", "how": "queue", "evidence": evidence}]
    finish = reply(call("finish", **(FINISH | {"criteria": criteria})))
    assert scenario.run(scenario.labelled(), (write(QUEUE_FILE, moved), finish)).conclusion == "published"
    (pull,) = scenario.repository.pull_requests
    assert "proved by file" in pull.body
    scenario.repository.commit(pull.head, {QUEUE_FILE: None, "infra/other.tf": "locals {}\n"}, "Away", by=PERSON)
    end = verify_by(scenario, event_of(pull))
    assert (end.exit_code, end.conclusion) == (1, "checks_failed"), end.reporter.said
    (row,) = [line for line in pull.body.split("\n") if line.startswith("| AC1 |")]
    assert "**not met**" in row
    assert "Not ready to merge" in pull.body


def test_forged_authorship_does_not_hide_a_commit_of_people(scenario: IssueScenario) -> None:
    pull = published(scenario)
    scenario.repository.commit(pull.head, {"infra/notes.tf": "locals {}\n"}, "By hand", by="ops-agent[bot]")
    verify_by(scenario, event_of(pull))
    assert "**Not only the agent's work.** The files are other ones" in pull.body


def test_what_blocks_is_not_executed_and_ends_the_job_with_3(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE, "infra/x.tf": EXTERNAL})
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (3, "blocked_by_policy"), end.reporter.said
    (comment,) = comments(pull)
    assert "terraform/external" in comment or "external" in comment
    assert "nothing of it is executed" in comment
    assert "not planned" in comment


def test_anybody_s_pull_request_gets_one_comment_that_is_kept(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})
    end = verify_by(scenario, event_of(pull, "opened"))
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    assert pull.body == "By hand."
    (first,) = comments(pull)
    assert "+2 ~0 -0 planned" in first
    assert end.reporter.outputs["pr_number"] == str(pull.number)
    commit = scenario.repository.commit("feature", {"infra/main.tf": "locals {}\n"}, "More", by=PERSON)
    verify_by(scenario, event_of(pull))
    (second,) = comments(pull)
    assert second != first
    assert verified_commits(second) == (commit, scenario.repository.head())
    verify_by(scenario, event_of(pull))
    assert comments(pull) == [second]


def test_a_comment_of_others_with_our_first_line_is_left_alone(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})
    pull.comment("<!-- ops-agent:verify -->\n**All is well**", by=PERSON)
    verify_by(scenario, event_of(pull))
    theirs, ours = comments(pull)
    assert theirs.endswith("**All is well**")
    assert "+2 ~0 -0 planned" in ours


def test_what_changes_no_terraform_gets_no_comment_and_an_old_one_says_so(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {"README.md": "# new\n"})
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion, comments(pull)) == (0, "no_changes", [])
    scenario.repository.commit("feature", {QUEUE_FILE: QUEUE}, "A queue", by=PERSON)
    verify_by(scenario, event_of(pull))
    scenario.repository.commit("feature", {QUEUE_FILE: None}, "No queue", by=PERSON)
    verify_by(scenario, event_of(pull), cloud=Untouchable())
    (comment,) = comments(pull)
    assert "changes no Terraform and no workflow" in comment


def test_limits_of_the_agent_are_none_of_people(scenario: IssueScenario) -> None:
    files = {f"scripts/{n}.sh": "echo\n" for n in range(60)} | {QUEUE_FILE: QUEUE, "CODEOWNERS": "* @maria\n"}
    pull = of_people(scenario, files)
    end = verify_by(scenario, event_of(pull))
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said


def test_of_a_fork_only_sources_are_judged(scenario: IssueScenario) -> None:
    repository = scenario.repository
    scenario.github.add_account("stranger")
    for files, wanted in (({QUEUE_FILE: QUEUE}, 0), ({"infra/x.tf": EXTERNAL}, 3)):
        commit = repository.commit("of-the-fork", files, "From outside", by="stranger")
        repository.branches.pop("of-the-fork")
        pull = repository.open_pull_request_of_fork("From outside", commit, head="ops-agent/issue-12", by="stranger")
        end = verify_by(scenario, event_of(pull, "opened", by="stranger"), cloud=Untouchable(), terraform=Untouchable())
        assert end.exit_code == wanted, end.reporter.said
        (comment,) = comments(pull)
        assert "comes from a fork: its files are judged, and nothing of it is executed" in comment
        assert "dev not planned" in comment


def test_a_pull_request_to_a_branch_that_is_not_protected_is_not_planned(scenario: IssueScenario) -> None:
    scenario.repository.commit("mine", {"infra/x.tf": EXTERNAL, BASELINE_FILE: "- nonsense\n"}, "Base", by=PERSON)
    scenario.repository.branches["feature"] = scenario.repository.branches["mine"]
    scenario.repository.commit("feature", {QUEUE_FILE: QUEUE}, "A queue", by=PERSON)
    pull = scenario.repository.open_pull_request("A queue", head="feature", base="mine", by=PERSON)
    end = verify_by(scenario, event_of(pull), cloud=Untouchable(), terraform=Untouchable())
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    (comment,) = comments(pull)
    assert "the base is not `main`: files are judged, and nothing is executed" in comment


def test_a_moved_base_verifies_our_open_pull_requests_on_it(scenario: IssueScenario) -> None:
    pull = published(scenario)
    theirs = of_people(scenario, {"infra/a.tf": "locals {}\n"})
    before = scenario.repository.head()
    moved = scenario.repository.commit("main", {"docs/x.md": "x\n"}, "Moved", by=PERSON)
    push = scenario.github.push_event(scenario.repository, "main", before, by=PERSON)
    end = verify_by(scenario, push, "push")
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    assert verified_commits(pull.body) == (pull.head_commit, moved)
    assert "Not only the agent's work" not in pull.body
    assert comments(theirs) == []


def test_a_file_that_both_sides_changed_is_judged_against_the_merge_base(scenario: IssueScenario) -> None:
    old = scenario.repository.head()
    pull = of_people(scenario, {"infra/main.tf": 'resource "aws_sqs_queue" "mine" {}\n', QUEUE_FILE: QUEUE})
    scenario.repository.commit("main", {"infra/main.tf": "locals {}\n"}, "Moved", by=PERSON)
    pull.trial_merge = "f" * 40  # of an older head, and gone since
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    (comment,) = comments(pull)
    assert "**The base branch has changed `infra/main.tf` too**" in comment
    assert f"judged on the merge base {old[:12]}" in comment
    assert "dev not planned" in comment


def test_a_file_that_github_can_merge_is_planned_on_the_newest_base(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {"infra/main.tf": FILES["infra/main.tf"] + "# mine\n", QUEUE_FILE: QUEUE})
    moved = scenario.repository.commit("main", {"infra/main.tf": "# theirs\n" + FILES["infra/main.tf"]}, "M", by=PERSON)
    pull.try_merge({"infra/main.tf": "# theirs\n" + FILES["infra/main.tf"] + "# mine\n"})
    end = verify_by(scenario, event_of(pull))
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    (comment,) = comments(pull)
    assert "dev +2 ~0 -0 planned" in comment and "too**" not in comment
    assert verified_commits(comment) == (pull.head_commit, moved)
    scenario.repository.commit("feature", {"infra/more.tf": "locals {}\n"}, "More", by=PERSON)
    verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert "too**, so this was judged on the merge base" in comments(pull)[0], "GitHub's merge is of an older head"


def test_a_file_where_the_base_has_a_directory_now_is_a_conflict(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {"infra/x": "text\n", QUEUE_FILE: QUEUE})
    scenario.repository.commit("main", {"infra/x/main.tf": "locals {}\n"}, "Moved", by=PERSON)
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    (comment,) = comments(pull)
    assert "**The base branch has changed `infra/x` too**" in comment


def test_a_base_that_moved_in_other_files_counts_in_the_plan(scenario: IssueScenario) -> None:
    """The double plans one creation where the queue's file is: on the newest base it is there already."""
    pull = of_people(scenario, {"infra/other.tf": "locals {}\n"})
    scenario.repository.commit("main", {QUEUE_FILE: QUEUE}, "Moved", by=PERSON)
    verify_by(scenario, event_of(pull))
    (comment,) = comments(pull)
    assert "dev no changes planned" in comment


def test_a_symbolic_link_that_shows_nothing_in_a_root_fails_the_check(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {"infra/link.tf": "../other.tf", QUEUE_FILE: QUEUE}, modes={"infra/link.tf": "120000"})
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (1, "checks_failed"), end.reporter.said
    (comment,) = comments(pull)
    assert "a symbolic link that leads to `other.tf`, which does not exist" in comment


def test_a_symbolic_link_inside_of_the_repository_is_judged_by_what_it_shows(scenario: IssueScenario) -> None:
    local_exec = 'resource "null_resource" "x" {\n  provisioner "local-exec" {\n    command = "id"\n  }\n}\n'
    files = {"infra/link.tf": "../docs/x.txt", "docs/x.txt": local_exec}
    pull = of_people(scenario, files, modes={"infra/link.tf": "120000"})
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (3, "blocked_by_policy"), end.reporter.said
    (comment,) = comments(pull)
    assert "infra/link.tf" in comment and "terraform/provisioner" in comment


def test_a_change_of_what_a_link_of_the_base_shows_is_judged_at_the_link(scenario: IssueScenario) -> None:
    linked = {"infra/link.tf": "../docs/x.txt", "docs/x.txt": "locals {}\n"}
    scenario.repository.commit("main", linked, "Link", by=PERSON, modes={"infra/link.tf": "120000"})
    pull = of_people(scenario, {"docs/x.txt": 'resource "null_resource" "x" {\n  provisioner "local-exec" {}\n}\n'})
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (3, "blocked_by_policy"), end.reporter.said
    (comment,) = comments(pull)
    assert "infra/link.tf" in comment and "terraform/provisioner" in comment


def test_a_pull_request_too_large_to_be_read_whole_fails_the_check(
    scenario: IssueScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops_agent.run.merged.MAX_BYTES", 100)
    pull = of_people(scenario, {"infra/a.tf": "locals {}\n" * 9, "infra/b.tf": "locals {}\n" * 9})
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (1, "checks_failed"), end.reporter.said
    assert "2 files are changed; only the first 1 were judged" in comments(pull)[0]


def test_a_head_that_moved_meanwhile_leaves_the_text_to_the_newer_run(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})

    class Moving(Terraform):
        def engine(self) -> str:
            scenario.repository.commit("feature", {"infra/more.tf": "locals {}\n"}, "More", by=PERSON)
            return super().engine()

    end = verify_by(scenario, event_of(pull), terraform=Moving())
    assert (end.exit_code, end.conclusion, comments(pull)) == (0, "duplicate", [])


def test_a_pull_request_that_is_closed_meanwhile_is_left_alone(may_check: IssueScenario) -> None:
    pull = of_people(may_check, {QUEUE_FILE: QUEUE})

    class Closing(Terraform):
        def engine(self) -> str:
            pull.close(by=PERSON)
            return super().engine()

    end = verify_by(may_check, event_of(pull), terraform=Closing())
    assert (end.exit_code, end.conclusion) == (0, "duplicate")
    assert (comments(pull), checks_of(may_check)) == ([], [])


def test_a_run_on_an_older_base_leaves_our_text_to_the_newer_one(scenario: IssueScenario) -> None:
    pull, bases = published(scenario), list[str]()

    class Moving(Terraform):
        def engine(self) -> str:
            if not bases:
                bases.append(scenario.repository.commit("main", {"README.md": "x\n"}, "Moved", by=PERSON))
                verify_by(scenario, event_of(pull))
            return super().engine()

    end = verify_by(scenario, event_of(pull), terraform=Moving())
    assert (end.exit_code, end.conclusion) == (0, "duplicate")
    assert verified_commits(pull.body) == (pull.head_commit, *bases)


def test_a_merged_base_is_no_work_of_people_on_our_pull_request(scenario: IssueScenario) -> None:
    """The button "Update branch": the commits of the base are not said to be added, and the change is ours still."""
    pull = published(scenario)
    for number in range(3):
        scenario.repository.commit("main", {"README.md": f"{number}\n"}, "Moved", by=PERSON)
    scenario.repository.branches[pull.head] = pull.try_merge({"README.md": "2\n"})
    verify_by(scenario, event_of(pull))
    assert verified_commits(pull.body) and "Not only the agent's work" not in pull.body
    commit = scenario.repository.commit(pull.head, {"infra/notes.tf": "locals {}\n"}, "By hand", by=PERSON)
    verify_by(scenario, event_of(pull))
    assert f"People added 1 commit: {commit[:12]}" in pull.body


def test_two_runs_at_once_leave_one_comment(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})

    class Other(Terraform):
        started = False

        def engine(self) -> str:
            if not Other.started:
                Other.started = True
                verify_by(scenario, event_of(pull))
            return super().engine()

    verify_by(scenario, event_of(pull), terraform=Other())
    assert len(comments(pull)) == 1


def test_the_policy_file_and_the_baseline_are_those_of_the_base(scenario: IssueScenario) -> None:
    theirs = {"infra/x.tf": EXTERNAL, ".github/ops-agent.yml": "nonsense: true\n", BASELINE_FILE: "- nonsense\n"}
    pull = of_people(scenario, theirs)
    end = verify_by(scenario, event_of(pull))
    assert (end.exit_code, end.conclusion) == (3, "blocked_by_policy"), end.reporter.said
    scenario.repository.commit("main", {BASELINE_FILE: "- nonsense\n"}, "Accept", by=PERSON)
    assert verify_by(scenario, event_of(pull)).conclusion == "config_error"


def test_what_the_baseline_of_the_base_excuses_does_not_block_and_is_not_executed(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE, "infra/x.tf": EXTERNAL})
    entries = []
    for rule in ("terraform/external-data-source", "terraform/provider-source"):
        finding = Finding(rule=rule, what="", place=Place(path="infra/x.tf", line=1))
        print_ = fingerprint(finding, lambda _: EXTERNAL)
        entries.append(
            f"- {{rule: {rule}, path: infra/x.tf, fingerprint: '{print_}', reason: ours, expires: 2099-01-01}}"
        )
    scenario.repository.commit("main", {BASELINE_FILE: "\n".join(entries) + "\n"}, "Accept", by=PERSON)
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (0, "verified"), end.reporter.said
    (comment,) = comments(pull)
    assert "nothing of it is executed" in comment


def test_a_person_s_text_in_place_of_ours_gets_the_comment(scenario: IssueScenario) -> None:
    pull = published(scenario)
    record = pull.body[pull.body.index("<!-- ops-agent:pull-request") :]
    pull.edit(body=f"Rewritten by hand.\n\nCloses #12\n\n{record}", by=PERSON)
    verify_by(scenario, event_of(pull))
    assert pull.body.startswith("Rewritten by hand.")
    assert len(comments(pull)) == 1


def test_a_text_of_ours_without_its_record_is_said_to_be_old(scenario: IssueScenario) -> None:
    pull = published(scenario)
    record = pull_request_record(pull.body)
    assert record is not None
    pull.edit(body=pull.body.replace(record.line, ""), by=PERSON)
    verify_by(scenario, event_of(pull))
    assert pull.body.startswith("> [!WARNING]\n> **This text is not up to date:**")
    assert len(comments(pull)) == 1


def test_a_label_that_lifts_a_rule_counts_only_by_a_writer(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})
    scenario.repository.add_person("ana", role="triage")
    world, ref = scenario.world(), IssueRef(repository=scenario.repository.full_name, number=pull.number)
    pull.add_label("allow-destroy", by="ana")
    assert labels_by_writers(world.issues, scenario.clock, GIVEN, (ref,)) == ()
    pull.add_label("allow-access", by=PERSON)
    assert labels_by_writers(world.issues, scenario.clock, GIVEN, (ref,)) == ("allow-access",)


def test_nothing_that_is_written_holds_a_secret_or_acts(scenario: IssueScenario) -> None:
    secret = scenario.token
    scenario.token = scenario.github.app_token("ops-agent", bot_id=BOT_ID, **APP_PERMISSIONS, checks="write")
    pull = of_people(
        scenario, {QUEUE_FILE: QUEUE, f"infra/{secret}.tf": EXTERNAL, "infra/@maria #1 closes #12.tf": EXTERNAL}
    )
    end = verify_by(scenario, event_of(pull), redact=Redactor([secret]).redact)
    assert end.exit_code == 3
    check = scenario.repository.check_runs[-1]
    for text in (*comments(pull), str(check.title), str(check.summary), end.reporter.said):
        assert secret not in text
    assert closing_references(comments(pull)[0], "o/r") == ()


def test_the_check_run_says_whether_something_blocks(scenario: IssueScenario) -> None:
    scenario.token = scenario.github.app_token("ops-agent", bot_id=BOT_ID, **APP_PERMISSIONS, checks="write")
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})
    assert verify_by(scenario, event_of(pull)).reporter.annotations == []
    (run,) = scenario.repository.check_runs
    assert (run.name, run.commit, run.conclusion) == ("ops-agent verify", pull.head_commit, "success")
    assert run.title == "dev +2 ~0 -0 planned; no danger"
    verify_by(scenario, event_of(pull))
    assert scenario.repository.check_runs == [run]
    commit = scenario.repository.commit("feature", {"infra/x.tf": EXTERNAL}, "More", by=PERSON)
    verify_by(scenario, event_of(pull))
    *_, run = scenario.repository.check_runs
    assert (run.commit, run.conclusion) == (commit, "failure")
    assert "2 findings of the guard block this pull request" in str(run.summary)
    Checker().assert_all_valid(scenario.github.recorder)


def test_without_the_right_to_write_checks_there_is_a_warning(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})
    end = verify_by(scenario, event_of(pull))
    assert end.exit_code == 0
    assert any("The check run could not be written" in text for text in map(str, end.reporter.annotations))


def test_a_dispatch_names_the_pull_request_by_its_number(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})
    inputs = {"issue_number": str(pull.number)}
    payload = scenario.github.dispatch(scenario.repository, by=PERSON, inputs=inputs)
    assert verify_by(scenario, payload, "workflow_dispatch").conclusion == "verified"
    payload = scenario.github.dispatch(scenario.repository, by=PERSON, inputs={"issue_number": "12"})
    assert verify_by(scenario, payload, "workflow_dispatch").conclusion == "declined"


def test_the_event_whose_workflow_comes_from_the_pull_request_is_refused(scenario: IssueScenario) -> None:
    pull = of_people(scenario, {QUEUE_FILE: QUEUE})
    with pytest.raises(ConfigError, match="could change its own verification"):
        verify_by(scenario, event_of(pull), "pull_request")


@pytest.fixture
def may_check(scenario: IssueScenario) -> IssueScenario:
    """The same with a token that may write check runs."""
    scenario.token = scenario.github.app_token("ops-agent", bot_id=BOT_ID, **APP_PERMISSIONS, checks="write")
    return scenario


def checks_of(scenario: IssueScenario) -> list[tuple[str, str | None]]:
    return [(run.name, run.conclusion) for run in scenario.repository.check_runs]


@pytest.mark.parametrize("heading", ["", "## Validation\n\n", "## Terraform plan\n\n"])
def test_words_of_people_in_what_is_replaced_are_never_lost(scenario: IssueScenario, heading: str) -> None:
    pull = published(scenario)
    ours, words = pull.body, "Do not merge before Friday."
    edited = ours.replace(heading, f"{heading}{words}\n\n", 1) if heading else f"{words}\n\n{ours}"
    pull.edit(body=edited.replace("\n", "\r\n"), by=PERSON)
    for _ in range(2):
        verify_by(scenario, event_of(pull))
        assert words in pull.body and pull.body.count("**This text is not up to date:**") == 1
        assert pull.body.replace("\r\n", "\n").endswith(edited)
        assert "0 of 1 criteria proved" in comments(pull)[0]
    pull.edit(body=f"Above.\n\n{pull.body}", by=PERSON)
    verify_by(scenario, event_of(pull))
    assert "Above." in pull.body and pull.body.count("**This text is not up to date:**") == 1
    pull.edit(body=pull.body.replace("Above.\n\n", ""), by=PERSON)
    pull.edit(body=pull.body.replace(f"{words}\n\n", ""), by=PERSON)
    verify_by(scenario, event_of(pull))
    assert verified_commits(pull.body) and "not up to date" not in pull.body
    assert "the newest verification is in the text of the pull request" in comments(pull)[0]


def test_words_of_people_elsewhere_stay_in_a_text_that_is_brought_up_to_date(scenario: IssueScenario) -> None:
    pull = published(scenario)
    after_quote, in_description = "Tested by hand.", "Depends on the topic."
    body = pull.body.replace("\n\n## Linked issue", f"\n\n{after_quote}\n\n## Linked issue")
    pull.edit(body=body.replace("\n\n## Infrastructure", f"\n\n{in_description}\n\n## Infrastructure"), by=PERSON)
    verify_by(scenario, event_of(pull))
    assert verified_commits(pull.body) and comments(pull) == []
    assert after_quote in pull.body and in_description in pull.body


def test_names_of_files_imitate_no_part_of_our_text(scenario: IssueScenario) -> None:
    pull = published(scenario)
    odd = {
        "infra/x\n## Guard verdict\n.tf": "locals {}\n",
        "infra/> *In the agent's words:* x.tf": "locals {}\n",
        ".github/workflows/Patch of the workflow files.yml": "on: push\npermissions: {}\njobs: {}\n",
        ".github/workflows/Apply this patch with `git apply`.yml": "on: push\npermissions: {}\njobs: {}\n",
    }
    before = headings(pull.body)
    scenario.repository.commit(pull.head, odd, "Odd", by=PERSON)
    verify_by(scenario, event_of(pull))
    assert "x ## Guard verdict .tf" in pull.body and headings(pull.body) == before
    assert comments(pull) == []
    scenario.repository.commit(pull.head, dict.fromkeys(odd), "Gone", by=PERSON)
    verify_by(scenario, event_of(pull))
    shown = pull.body.partition("## Linked issue")[0]
    assert not any(word in shown for word in ("x.tf", "verdict .tf", "Patch of", "git apply")), shown


@pytest.mark.parametrize("issue", ["x", "#", "o/r#", "o/r#9é", "o/r#99999999999999999999"])
def test_a_record_that_people_wrote_never_breaks_a_run(scenario: IssueScenario, issue: str) -> None:
    pull = published(scenario)
    record = pull_request_record(pull.body)
    assert record is not None
    pull.edit(body=pull.body.replace(record.line, replace(record, issue=issue).line), by=PERSON)
    assert verify_by(scenario, event_of(pull)).conclusion == "verified"
    pull.edit(body=pull.body.replace(replace(record, issue=issue).line, replace(record, base="9" * 40).line))
    end = verify_by(scenario, event_of(pull))
    assert end.conclusion == "verified" and "The files are other ones" in pull.body


def test_only_what_can_be_planned_gets_the_check_that_a_rule_may_require(may_check: IssueScenario) -> None:
    """A commit is verified for another base, or for a fork, and then for a pull request to the default branch."""
    repository = may_check.repository
    repository.commit("mine", {"infra/x.tf": EXTERNAL}, "Base", by=PERSON)
    repository.branches["feature"] = repository.branches["mine"]
    repository.commit("feature", {"README.md": "x\n"}, "Words", by=PERSON)
    pull = repository.open_pull_request("Words", head="feature", base="mine", by=PERSON)
    assert verify_by(may_check, event_of(pull)).conclusion == "no_changes"
    assert checks_of(may_check) == [("ops-agent verify (mine)", "success")]
    may_check.github.add_account("stranger")
    fork = repository.open_pull_request_of_fork("From outside", pull.head_commit, head="feature", by="stranger")
    verify_by(may_check, event_of(fork, "opened", by="stranger"))
    assert checks_of(may_check)[1:] == [("ops-agent verify (fork)", "failure")]


def test_what_could_not_be_verified_is_no_success_any_more(may_check: IssueScenario) -> None:
    pull = of_people(may_check, {QUEUE_FILE: QUEUE})
    verify_by(may_check, event_of(pull))

    class Broken(Terraform):
        def engine(self) -> str:
            raise ToolchainError("no engine")

    end = verify_by(may_check, event_of(pull), terraform=Broken())
    assert (end.exit_code, end.conclusion) == (6, "toolchain_failed")
    assert [conclusion for _, conclusion in checks_of(may_check)] == ["success", "failure"]
    assert "no engine" in str(may_check.repository.check_runs[-1].summary)


def test_a_check_run_that_imitates_ours_does_not_take_its_place(may_check: IssueScenario) -> None:
    """Whoever may push can write one of our name from a workflow of their branch."""
    pull = of_people(may_check, {"infra/x.tf": EXTERNAL})
    verify_by(may_check, event_of(pull))
    runs = may_check.repository.check_runs
    runs[:] = [replace(run, conclusion="success") for run in runs]
    verify_by(may_check, event_of(pull))
    assert [conclusion for _, conclusion in checks_of(may_check)] == ["success", "failure"]


def test_a_locked_pull_request_gets_its_check_and_the_summary_all_of_it(may_check: IssueScenario) -> None:
    pull = of_people(may_check, {QUEUE_FILE: QUEUE})
    pull.lock(by=PERSON)
    end = verify_by(may_check, event_of(pull))
    assert (end.exit_code, end.conclusion, comments(pull)) == (0, "verified", [])
    assert checks_of(may_check) == [("ops-agent verify", "success")]
    assert any("Nothing could be written into the pull request" in str(one) for one in end.reporter.annotations)
    assert "## Terraform verification" in end.reporter.said


def test_a_workflow_of_the_change_counts_in_what_a_merge_does(scenario: IssueScenario) -> None:
    step = "terraform -chdir=infra apply -auto-approve"
    apply = WORKFLOW.replace("echo queue", step)
    pull = of_people(scenario, {QUEUE_FILE: QUEUE, WORKFLOW_FILE: apply})
    verify_by(scenario, event_of(pull))
    assert "**Merging to `main` applies:**" in comments(pull)[0]


@pytest.mark.parametrize("directory", ["ci/tf", ".github/actions/tf"])
def test_an_action_that_begins_to_apply_counts_wherever_it_lies(scenario: IssueScenario, directory: str) -> None:
    action = "runs:\n  using: composite\n  steps:\n    - run: terraform -chdir=infra {}\n      shell: bash\n"
    path, calls = f"{directory}/action.yml", WORKFLOW.replace("run: echo queue", f"uses: ./{directory}")
    before = {path: action.format("plan"), ".github/workflows/tf.yml": calls}
    scenario.repository.commit("main", before, "Plan", by=PERSON)
    pull = of_people(scenario, {path: action.format("apply -auto-approve")})
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert (end.exit_code, end.conclusion) == (0, "verified")
    assert "- **new with this change:** `infra` to " in comments(pull)[0]


def test_a_root_that_is_deleted_is_said_and_is_no_success(may_check: IssueScenario) -> None:
    may_check.repository.commit("main", {"other/main.tf": 'provider "aws" {}\n'}, "Root", by=PERSON)
    pull = of_people(may_check, {"other/main.tf": None})
    end = verify_by(may_check, event_of(pull), cloud=Untouchable(), terraform=Untouchable())
    assert (end.exit_code, checks_of(may_check)) == (0, [("ops-agent verify", "neutral")])
    assert "**`other` is no root any more.**" in comments(pull)[0]


def test_what_terraform_would_run_from_the_checkout_fails_the_check(scenario: IssueScenario) -> None:
    for number, path in enumerate(
        ("infra/.terraform/modules/modules.json", "x/Terraform.d/plugins/y", "a/.terraform/b")
    ):
        pull = of_people(scenario, {path: "\0", QUEUE_FILE: QUEUE}, branch=f"feature-{number}")
        end = verify_by(scenario, event_of(pull), cloud=Untouchable())
        assert (end.exit_code, end.conclusion) == (1, "checks_failed"), path
        assert "Terraform runs what lies there" in comments(pull)[0]


def test_a_changed_policy_file_baseline_or_verifier_is_named(scenario: IssueScenario) -> None:
    verifier, before = ".github/workflows/verify.yml", "on: push\npermissions: {}\njobs: {}\n"
    scenario.repository.commit("main", {verifier: f"{before}# org/ops-agent@v1\n"}, "Verify", by=PERSON)
    changed = {BASELINE_FILE: "- nonsense\n", ".github/ops-agent.yml": "workflows: false\n", verifier: before}
    pull = of_people(scenario, changed)
    end = verify_by(scenario, event_of(pull), cloud=Untouchable())
    assert end.exit_code == 0
    for path in changed:
        assert f"**`{path}` is changed**" in comments(pull)[0]
