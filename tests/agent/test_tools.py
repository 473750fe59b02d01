"""Each tool by itself: edits, unusual files, bounded searches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from agent.agent_doubles import FINISH, NO_OPT_IN, SMALL, bench, call, content_of, replaced, texts_of, toolbox, wrote
from doubles.clock import FakeClock
from ops_agent.agent.globs import compiled


def run(name: str, files: dict[str, bytes] | None = None, **arguments: Any) -> Any:
    with bench(files) as (workbench, _):
        results, _ending = toolbox(workbench).run((call(name, **arguments),))
    return content_of(results[0])


def edited(files: dict[str, bytes], *edits: dict[str, str]) -> Any:
    """What `edit` answered, and the files afterwards."""
    with bench(files) as (workbench, scratch):
        (result,), _ending = toolbox(workbench).run((call("edit", edits=list(edits)),))
        return result, {path: scratch.read(path).decode() for path in scratch.change_set().paths}


@pytest.mark.parametrize("path", NO_OPT_IN)
@pytest.mark.parametrize("tool", ["edit", "delete", "move"])
def test_a_write_outside_the_allow_list_is_refused_with_the_rule(path: str, tool: str) -> None:
    calls = {"edit": wrote(path=path, content="x"), "delete": call("delete", path=path)}
    calls["move"] = call("move", path="infra/main.tf", to=path)
    with bench({**SMALL, path: b"there already"} if tool == "delete" else None) as (workbench, scratch):
        results, _ = toolbox(workbench).run((calls[tool],))
        assert results[0].is_error
        assert content_of(results[0])["error"].startswith("refused: ")
        assert scratch.change_set().changes == ()


def test_a_file_is_written_read_replaced_moved_and_deleted() -> None:
    with bench() as (workbench, scratch):
        box = toolbox(workbench)
        calls = (
            wrote("1", path="infra/new.tf", content="a = 1\nb = 2\n"),
            replaced("2", path="./infra/new.tf", old="b = 2", new="b = 3"),
            call("move", "3", path="infra/new.tf", to="infra/newer.tf"),
            call("read", "4", paths=["infra/newer.tf"]),
            call("delete", "5", path="infra/variables.tf"),
        )
        results, ending = box.run(calls)
        assert ending is None
        assert [r.call_id for r in results] == ["1", "2", "3", "4", "5"]
        assert not any(r.is_error for r in results)
        assert texts_of(results[3]) == {"infra/newer.tf": "a = 1\nb = 3\n"}
        assert scratch.change_set().paths == ("infra/newer.tf", "infra/variables.tf")
        assert workbench.writes == 4


def test_several_files_and_places_are_edited_in_one_call_and_shown_as_diffs() -> None:
    files = {"infra/a.tf": b"one\ntwo\nthree\nfour\n", "infra/b.tf": b"x = 1\n"}
    result, after = edited(
        files,
        {"path": "infra/a.tf", "old": "one", "new": "1"},
        {"path": "infra/b.tf", "new": "x = 2\n"},
        {"path": "infra/a.tf", "old": "four", "new": "4"},
        {"path": "infra/new.tf", "new": "y = 1\n"},
    )
    assert after == {"infra/a.tf": "1\ntwo\nthree\n4\n", "infra/b.tf": "x = 2\n", "infra/new.tf": "y = 1\n"}
    assert content_of(result)["result"] == {"written": ["infra/a.tf", "infra/b.tf", "infra/new.tf"]}
    assert texts_of(result) == {
        "infra/a.tf, as a diff": "@@ -1,4 +1,4 @@\n-one\n+1\n two\n three\n-four\n+4\n",
        "infra/b.tf, as a diff": "@@ -1 +1 @@\n-x = 1\n+x = 2\n",
    }, "a new file is not repeated"


def test_of_a_new_file_only_what_code_changed_is_shown() -> None:
    with bench() as (workbench, scratch):

        def settle(paths: Sequence[str]) -> dict[str, Any]:
            scratch.write(paths[0], b"a   = 1\nbcd = 2\n")
            return {"formatted": list(paths)}

        workbench.settle = settle
        (result,), _ = toolbox(workbench).run((wrote(path="infra/new.tf", content="a = 1\nbcd = 2\n"),))
    assert content_of(result)["result"] == {"written": ["infra/new.tf"], "formatted": ["infra/new.tf"]}
    assert texts_of(result) == {
        "infra/new.tf, as code changed it, as a diff": "@@ -1,2 +1,2 @@\n-a = 1\n+a   = 1\n bcd = 2\n"
    }


def test_a_file_is_written_with_all_of_its_edits_or_not_at_all_and_the_others_are_written() -> None:
    files = {"infra/a.tf": b"one\ntwo\n", "infra/b.tf": b"x\n"}
    result, after = edited(
        files,
        {"path": "infra/a.tf", "old": "one", "new": "1"},
        {"path": "infra/a.tf", "old": "three", "new": "3"},
        {"path": "infra/b.tf", "old": "x", "new": "y"},
        {"path": "Makefile", "new": "all:\n"},
    )
    assert after == {"infra/b.tf": "y\n"}
    assert result.is_error
    said = content_of(result)["error"]
    assert said["written"] == ["infra/b.tf"]
    assert said["not_written"]["infra/a.tf"].startswith("edit 2 of this file: `old` occurs nowhere in the file.")
    assert said["not_written"]["Makefile"].startswith("refused: ")


def test_writing_what_is_there_already_changes_nothing() -> None:
    with bench() as (workbench, scratch):
        toolbox(workbench).run((wrote(path="infra/main.tf", content=SMALL["infra/main.tf"].decode()),))
        assert workbench.writes == 0
        assert scratch.change_set().changes == ()


ALIKE = b'resource "a" "b" {\n  name    = "orders"\n  retries = 3\n}\n\nlocals {\n  a = 1\n  b = 1\n}\n'


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('  name = "orders"\n  retries = 3', "x", "Only white space differs in lines 2 to 3:\n  name    = "),
        ('  name    = "orders"\n  retries = 4', "x", "Most like it are lines 2 to 3:"),
        ('  nome    = "orderz"', "x", "Most like it are lines 2 to 2:"),
        ("gone", "  retries = 3", "`new` is there already, in line 3."),
        ("ööööö", "x", "No line is like it"),
        (" = 1", "x", "`old` occurs 2 times, in lines 7, 8; it must occur exactly once"),
        ("", "x", "`old` is empty; leave it out to replace the whole file"),
    ],
)
def test_a_piece_that_does_not_fit_exactly_once_is_refused_with_what_helps(old: str, new: str, says: str) -> None:
    result, after = edited({"infra/a.tf": ALIKE}, {"path": "infra/a.tf", "old": old, "new": new})
    assert says in content_of(result)["error"]
    assert after == {}


def test_a_piece_of_a_file_that_is_not_there_is_refused() -> None:
    result, _ = edited(SMALL, {"path": "infra/none.tf", "old": "x", "new": "y"})
    assert "there is no regular file `infra/none.tf`" in content_of(result)["error"]


def test_a_long_diff_is_cut_after_a_line_and_says_so() -> None:
    before = "".join(f"line {n} of many\n" for n in range(1_000))
    result, _ = edited({"infra/a.tf": before.encode()}, {"path": "infra/a.tf", "new": before.replace("many", "few")})
    (shown,) = texts_of(result).values()
    assert len(shown) < 8_100
    assert re.search(r"\n\.\.\. \d+ more lines of this diff\n$", shown)


def test_windows_line_ends_survive_an_edit() -> None:
    with bench({"infra/a.tf": b"one\r\ntwo\r\nthree\r\n"}) as (workbench, scratch):
        box = toolbox(workbench)
        results, _ = box.run((call("read", paths=["infra/a.tf"]),))
        assert [*texts_of(results[0]).values()] == ["one\ntwo\nthree\n"]
        results, _ = box.run((replaced(path="infra/a.tf", old="one\ntwo", new="1\n2"),))
        assert not results[0].is_error
        assert scratch.read("infra/a.tf") == b"1\r\n2\r\nthree\r\n"


def test_a_file_is_not_moved_onto_another_one() -> None:
    assert "already" in run("move", path="infra/main.tf", to="infra/variables.tf")["error"]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"caf\xe9", "not UTF-8"),
        (b"a\x00b", "NUL"),
        ("häuser".encode("utf-16"), "NUL"),
        (b"\xef\xbb\xbfx", "byte order mark"),
        (b"a\r\nb", "CRLF"),
        (b"", "empty"),
    ],
)
def test_binary_and_odd_text_files_are_shown_with_a_note(content: bytes, note: str) -> None:
    (heading,) = run("read", {"infra/a.tf": content}, paths=["infra/a.tf"])
    assert heading.startswith("infra/a.tf, ")
    assert note in heading


@pytest.mark.parametrize("content", [b"caf\xe9 x", "x".encode("utf-16")])
def test_a_file_that_is_not_utf8_is_not_edited_in_place(content: bytes) -> None:
    result, _ = edited({"infra/a.tf": content}, {"path": "infra/a.tf", "old": "x", "new": "y"})
    assert result.is_error


def test_reading_a_part_says_which_part() -> None:
    content = b"".join(b"line %d\n" % n for n in range(1, 101))
    shown = run("read", {"infra/a.tf": content}, paths=["infra/a.tf"], offset=10, limit=2)
    assert shown == {"infra/a.tf, lines 10 to 11 of 100": "line 10\nline 11\n"}
    first = run("read", {"infra/a.tf": content}, paths=["infra/a.tf"], offset=-5, limit=-5)
    assert first == {"infra/a.tf, lines 1 to 1 of 100": "line 1\n"}


def test_files_are_cut_when_one_call_has_shown_enough_and_it_says_so() -> None:
    files = {"infra/a.tf": b"x" * 900_000, "infra/b.tf": b"y\n"}
    with bench(files) as (workbench, _):
        (result,), _ending = toolbox(workbench).run((call("read", paths=[*files]),))
    ((heading, shown),) = texts_of(result).items()
    assert "cut after 60,000 characters" in heading
    assert len(shown.rstrip("\n")) == 60_000
    assert "read it in another" in content_of(result)["result"]["not_read"]["infra/b.tf"]


def test_who_reads_a_file_that_is_not_there_is_told_what_is() -> None:
    with bench() as (workbench, _):
        (result,), _ending = toolbox(workbench).run((call("read", paths=["infra/main.tf", "infra/x/y.tf"]),))
    assert not result.is_error
    assert [*texts_of(result)] == ["infra/main.tf"]
    said = content_of(result)["result"]["not_read"]["infra/x/y.tf"]
    assert "In `infra` there are: " in said and "main.tf" in said and "environments" in said
    assert "In `.` there are: " in run("read", paths=["nowhere/a.tf"])["error"]


def test_a_search_finds_lines_without_regard_to_case_and_with_stars() -> None:
    assert run("search", text="AWS_SQS*orders") == {
        "1 matching lines": 'infra/main.tf:1: resource "aws_sqs_queue" "orders" {\n'
    }
    (found,) = run("search", text="orders", glob="infra/environments/**").values()
    assert found.startswith("infra/environments/dev")
    assert "error" in run("search", text="***")


def test_a_pattern_made_to_be_slow_is_harmless() -> None:
    """The search has no regular expressions, and globs are atomic: with backtracking this would never end."""
    files = {"infra/a.tf": b"a" * 200_000 + b"\n" + b"ab" * 200_000}
    assert run("search", files, text="(a+)+$")["result"]["matches"] == 0
    run("search", files, text="a*" * 200 + "c")
    long_path = "a" * 150
    for glob in ("*a" * 90 + "b", "**/**/**/x", "a*" * 99, "?" * 199):
        compiled(glob).fullmatch(long_path)
        compiled(glob).fullmatch("/".join(["a"] * 150))


def test_a_listing_of_two_hundred_thousand_files_is_capped() -> None:
    files = {**SMALL, **{f"src/d{n // 500}/file{n}.py": b"x" for n in range(200_000)}}
    with bench(files) as (workbench, _):
        results, _ = toolbox(workbench).run((call("list", glob="**"),))
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
            box.run((wrote(path="infra/new.tf", content=written),))
        answers = []
        for change in changes:
            results, ending = box.run((call("finish", **FINISH | change),))
            answer = content_of(results[0])
            answers.append(answer.get("error") or "; ".join(["ended", *(ending.lacking if ending else ())]))
        return answers


@pytest.mark.parametrize(
    ("answers", "says"),
    [([], "answer AC1 too"), ([{"id": "AC1", "met": "no", "how": "x"}], "AC1 is not met: say why in `not_done`")],
)
def test_a_finish_that_leaves_a_criterion_or_its_reason_out_is_sent_back_once(
    answers: list[dict[str, Any]], says: str
) -> None:
    first, second = finished({"criteria": answers}, {"criteria": answers})
    assert first.startswith(says) and second == "ended"


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
                    "evidence": [{"kind": "terraform", "where": "docs/a.md", "op": "contains", "value": "xy"}],
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
