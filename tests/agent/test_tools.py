"""Each tool by itself: edits, unusual files, bounded searches."""

from __future__ import annotations

from typing import Any

import pytest

from agent.agent_doubles import FINISH, NO_OPT_IN, SMALL, bench, call, content_of, toolbox
from doubles.clock import FakeClock
from ops_agent.agent.globs import compiled
from ops_agent.model.conversation import ToolCall


def run(name: str, files: dict[str, bytes] | None = None, **arguments: Any) -> Any:
    with bench(files) as (workbench, _):
        results, _ending = toolbox(workbench).run((call(name, **arguments),))
    return content_of(results[0])


@pytest.mark.parametrize("path", NO_OPT_IN)
@pytest.mark.parametrize("tool", ["write_file", "delete_file"])
def test_a_write_outside_the_allow_list_is_refused_with_the_rule(path: str, tool: str) -> None:
    with bench({**SMALL, path: b"there already"} if tool == "delete_file" else None) as (workbench, scratch):
        arguments = {"path": path, "content": "x"} if tool == "write_file" else {"path": path}
        results, _ = toolbox(workbench).run((ToolCall(id="1", name=tool, arguments=arguments),))
        assert results[0].is_error
        assert content_of(results[0])["error"].startswith("refused: ")
        assert scratch.change_set().changes == ()


def test_a_file_is_written_read_replaced_and_deleted() -> None:
    with bench() as (workbench, scratch):
        box = toolbox(workbench)
        calls = (
            call("write_file", "1", path="infra/new.tf", content="a = 1\nb = 2\n"),
            call("replace_in_file", "2", path="infra/new.tf", old="b = 2", new="b = 3"),
            call("read_file", "3", path="infra/new.tf"),
            call("delete_file", "4", path="infra/variables.tf"),
        )
        results, ending = box.run(calls)
        assert ending is None
        assert [r.call_id for r in results] == ["1", "2", "3", "4"]
        assert not any(r.is_error for r in results)
        assert content_of(results[2])["result"]["text"] == "a = 1\nb = 3\n"
        assert scratch.change_set().paths == ("infra/new.tf", "infra/variables.tf")
        assert workbench.writes == 3


def test_writing_what_is_there_already_changes_nothing() -> None:
    with bench() as (workbench, scratch):
        toolbox(workbench).run((call("write_file", path="infra/main.tf", content=SMALL["infra/main.tf"].decode()),))
        assert workbench.writes == 0
        assert scratch.change_set().changes == ()


@pytest.mark.parametrize(("old", "says"), [("type", "occurs 0 times"), ("o", "occurs"), ("", "is empty")])
def test_a_replacement_must_fit_exactly_once(old: str, says: str) -> None:
    assert says in run("replace_in_file", path="infra/main.tf", old=old, new="x")["error"]


def test_windows_line_ends_survive_an_edit() -> None:
    with bench({"infra/a.tf": b"one\r\ntwo\r\nthree\r\n"}) as (workbench, scratch):
        results, _ = toolbox(workbench).run((call("replace_in_file", path="infra/a.tf", old="one\ntwo", new="1\n2"),))
        assert not results[0].is_error
        assert scratch.read("infra/a.tf") == b"1\r\n2\r\nthree\r\n"


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"caf\xe9", "not UTF-8"),
        (b"a\x00b", "NUL"),
        ("häuser".encode("utf-16"), "NUL"),
        (b"\xef\xbb\xbfx", "byte order mark"),
        (b"a\r\nb", "CRLF"),
    ],
)
def test_binary_and_odd_text_files_are_shown_with_a_note(content: bytes, note: str) -> None:
    shown = run("read_file", {"infra/a.tf": content}, path="infra/a.tf")["result"]
    assert note in " ".join(shown["notes"])


@pytest.mark.parametrize("content", [b"caf\xe9 x", "x".encode("utf-16")])
def test_a_file_that_is_not_utf8_is_not_edited_in_place(content: bytes) -> None:
    assert "error" in run("replace_in_file", {"infra/a.tf": content}, path="infra/a.tf", old="x", new="y")


def test_reading_a_part_says_which_part() -> None:
    content = b"".join(b"line %d\n" % n for n in range(1, 101))
    shown = run("read_file", {"infra/a.tf": content}, path="infra/a.tf", offset=10, limit=2)["result"]
    assert shown["text"] == "line 10\nline 11\n"
    assert shown["notes"] == ["lines 10 to 11 of 100"]
    assert (
        run("read_file", {"infra/a.tf": content}, path="infra/a.tf", offset=-5, limit=-5)["result"]["text"]
        == "line 1\n"
    )


def test_a_long_file_is_cut_and_says_so() -> None:
    shown = run("read_file", {"infra/a.tf": b"x" * 900_000}, path="infra/a.tf")["result"]
    assert len(shown["text"]) == 60_000
    assert "cut after" in " ".join(shown["notes"])


def test_a_search_finds_lines_without_regard_to_case_and_with_stars() -> None:
    assert run("search", text="AWS_SQS*orders")["result"]["matches"] == [
        {"path": "infra/main.tf", "line": 1, "text": 'resource "aws_sqs_queue" "orders" {'}
    ]
    assert run("search", text="orders", glob="infra/environments/**")["result"]["matches"][0]["path"].startswith(
        "infra/environments/dev"
    )
    assert "error" in run("search", text="***")


def test_a_pattern_made_to_be_slow_is_harmless() -> None:
    """The search has no regular expressions, and globs are atomic: with backtracking this would never end."""
    files = {"infra/a.tf": b"a" * 200_000 + b"\n" + b"ab" * 200_000}
    assert run("search", files, text="(a+)+$")["result"]["matches"] == []
    run("search", files, text="a*" * 200 + "c")
    long_path = "a" * 150
    for glob in ("*a" * 90 + "b", "**/**/**/x", "a*" * 99, "?" * 199):
        compiled(glob).fullmatch(long_path)
        compiled(glob).fullmatch("/".join(["a"] * 150))


def test_a_listing_of_two_hundred_thousand_files_is_capped() -> None:
    files = {**SMALL, **{f"src/d{n // 500}/file{n}.py": b"x" for n in range(200_000)}}
    with bench(files) as (workbench, _):
        results, _ = toolbox(workbench).run((call("list_files", glob="**"),))
    shown = content_of(results[0])["result"]
    assert shown["matching"] == 200_000 + len(SMALL)
    assert len(shown["paths"]) == 500


def test_a_search_ends_when_its_time_is_over() -> None:

    class Hurrying(FakeClock):
        def monotonic(self) -> float:
            self.time += 1
            return self.time

    with bench({f"infra/f{n}.tf": b"x" for n in range(50)}, clock=Hurrying()) as (workbench, _):
        shown = content_of(toolbox(workbench).run((call("search", text="y"),))[0][0])["result"]
    assert "narrow the glob" in shown["notes"][0]


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("**/*.tf", ("main.tf", "infra/main.tf", "a/b/c.tf"), ("main.tfvars", "infra/main.tf/x")),
        ("infra/*", ("infra/main.tf",), ("infra/a/b.tf", "infra")),
        ("infra/**", ("infra/a", "infra/a/b"), ("infra",)),
        ("*.md", ("README.md",), ("docs/a.md",)),
        (
            "infra/**/terraform.tfvars",
            ("infra/terraform.tfvars", "infra/e/dev/terraform.tfvars"),
            ("terraform.tfvars",),
        ),
        ("a?c*e", ("abcde", "abce"), ("a/cde", "abcd")),
        ("[a]", ("[a]",), ("a",)),
    ],
)
def test_globs_mean_what_people_expect(glob: str, yes: tuple[str, ...], no: tuple[str, ...]) -> None:
    assert all(compiled(glob).fullmatch(path) for path in yes)
    assert not any(compiled(glob).fullmatch(path) for path in no)


LAMBDA = 'resource "aws_lambda_function" "f" {\n  function_name = "f"\n}\n'
NO_PLACE = {"kind": "plan", "where": "aws_sqs_queue.q", "op": "created"}


def finished(*changes: dict[str, Any], written: str = "", files: dict[str, bytes] | None = None) -> list[str]:
    """What each `finish` in turn was answered: an error's text, or `ended` and what is lacking all the same."""
    with bench(SMALL | (files or {})) as (workbench, _):
        box = toolbox(workbench)
        if written:
            box.run((call("write_file", path="infra/new.tf", content=written),))
        answers = []
        for change in changes:
            results, ending = box.run((call("finish", **FINISH | change),))
            answer = content_of(results[0])
            answers.append(answer.get("error") or "; ".join(["ended", *(ending.lacking if ending else ())]))
        return answers


@pytest.mark.parametrize("answers", [[], [{"id": "AC1", "met": "no", "how": "x"}]])
def test_a_finish_that_leaves_a_criterion_out_is_sent_back_once(answers: list[dict[str, Any]]) -> None:
    first, second = finished({"criteria": answers}, {"criteria": answers})
    assert (first, second) == (("ended", "ended") if answers else ("answer AC1 too", "ended"))


@pytest.mark.parametrize(
    ("criteria", "says"),
    [
        ([{"id": "AC9", "met": "yes", "how": "x"}], "there is no criterion AC9; there are AC1"),
        ([{"id": "AC1", "met": "yes", "how": "x"}] * 2, "a criterion is answered twice"),
        (
            [
                {
                    "id": "AC1",
                    "met": "yes",
                    "how": "x",
                    "evidence": [{"kind": "file", "where": "docs/a.md", "op": "contains", "value": "x"}],
                }
            ],
            "`docs/a.md` is text for people and no evidence",
        ),
        ([{"id": "AC1", "met": "yes", "how": "x", "evidence": [{**NO_PLACE, "op": "is"}]}], "evidence"),
    ],
)
def test_an_answer_that_means_nothing_is_refused_every_time(criteria: list[dict[str, Any]], says: str) -> None:
    for answer in finished({"criteria": criteria}, {"criteria": criteria}):
        assert says in answer


@pytest.mark.parametrize("empty", ["", "None.", "n/a", "Not needed.", "TBD", "*To be defined*", "no tests needed"])
def test_a_changed_resource_without_validation_is_sent_back_once_and_is_unfinished_then(empty: str) -> None:
    first, second = finished({"validation": empty}, {"validation": empty}, written=LAMBDA)
    assert "say how a person verifies the deployment" in first
    assert second == "ended; the agent does not say how to verify the deployment"


def test_something_that_runs_without_observability_is_sent_back_once_and_is_unfinished_then() -> None:
    first, second = finished({"observability": "None"}, {"observability": "None"}, written=LAMBDA)
    assert "which alarms and health checks" in first
    assert second == "ended; the agent names neither logs nor alarms of what runs"
    assert finished({"observability": "None"}, written="locals {\n  a = 1\n}\n") == ["ended"]
    assert finished({"observability": "No alarm is needed: the queue's own says it."}, written=LAMBDA) == ["ended"]


@pytest.mark.parametrize(
    "type_",
    ["aws_glue_job", "aws_eks_node_group", "aws_ecs_task_set", "aws_synthetics_canary", "aws_codebuild_project"],
)
def test_a_local_module_that_is_called_anew_runs_too(type_: str) -> None:
    files = {
        "infra/modules/outer/main.tf": b'module "inner" {\n  source = "../inner"\n}\n',
        "infra/modules/inner/main.tf": b'resource "%s" "a" {}\n' % type_.encode(),
        "infra/modules/plain/main.tf": b'resource "aws_sqs_queue" "a" {}\n',
        "infra/new.tf": b'module "before" {\n  source = "./modules/inner"\n}\n',
    }
    call_of = 'module "now" {{\n  source = "./modules/{}"\n}}\n'.format
    (answer,) = finished({"observability": "None"}, written=call_of("outer"), files=files)
    assert "which alarms and health checks" in answer
    for quiet in ("plain", "inner", "gone"):
        assert finished({"observability": "None"}, written=call_of(quiet), files=files) == ["ended"]
