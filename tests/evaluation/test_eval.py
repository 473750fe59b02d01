"""`ops-agent eval`: items are read strictly, runs are made once and within the money, the table says what is wrong."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops_agent.config.arguments import Command, parse
from ops_agent.evaluation.comparing import RESULT, Run, evaluate
from ops_agent.evaluation.items import Answer, Call, read_items
from ops_agent.evaluation.playing import RecordedLlm, Result, given_inputs
from ops_agent.model.errors import ConfigError, LlmError

ITEM = {
    "about": "A queue, and no other region.",
    "repository": "../repository",
    "expected": {
        "conclusion": "published",
        "evidence": [{"kind": "plan", "where": "aws_sqs_queue.a", "op": "created"}],
    },
}
ENVIRONMENT = {"INPUT_ANTHROPIC_API_KEY": "sk-ant-api03-a-key-of-the-test"}


@pytest.fixture
def items(tmp_path: Path) -> Path:
    (tmp_path / "items/repository").mkdir(parents=True)
    (tmp_path / "items/repository/main.tf").write_text("# nothing\n")
    for name in ("one", "two"):
        write(tmp_path / "items" / name, ITEM)
    return tmp_path / "items"


def write(folder: Path, item: Any, **recordings: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "item.yml").write_text(item if isinstance(item, str) else yaml.safe_dump(item))
    (folder / "issue.md").write_text("# [ops] Queue\n")
    for name, recording in recordings.items():
        (folder / "recordings").mkdir(exist_ok=True)
        (folder / f"recordings/{name}.yml").write_text(yaml.safe_dump(recording))


class Played(Executor):
    """Runs nothing: `result` says how each run ended, and the file is kept as a real run keeps it."""

    def __init__(self, result: Callable[[Run], dict[str, Any]] = lambda _: {}) -> None:
        self.result = result
        self.runs: list[Run] = []

    def submit(self, _work: Any, run: Run, *_: Any, **__: Any) -> Future[Any]:  # type: ignore[override]
        self.runs.append(run)
        fields = {"conclusion": "published", "cost_usd": 1.0} | self.result(run)
        made = Result(
            item=run.item.name,
            model=run.model,
            digest=run.item.digest,
            inputs=given_inputs(run.environment),
            **fields,
        )
        run.place.mkdir(parents=True, exist_ok=True)
        (run.place / RESULT).write_text(json.dumps(asdict(made)))
        future: Future[Any] = Future()
        future.set_result(made)
        return future


def evaluated(items: Path, pool: Played, *arguments: str) -> tuple[int, str, str]:
    command: Command = parse(["eval", str(items), "--results", str(items.parent / "results"), *arguments])
    out, err = io.StringIO(), io.StringIO()
    code = evaluate(command, ENVIRONMENT, out, err, pool)
    return code, out.getvalue(), err.getvalue()


def test_each_item_is_run_with_each_model_and_the_table_shows_both(items: Path) -> None:
    code, page, _ = evaluated(items, played := Played(), "--model", "m-1", "--model", "m-2")
    assert code == 0 and [(r.item.name, r.model) for r in played.runs] == [
        ("one", "m-1"),
        ("two", "m-1"),
        ("one", "m-2"),
        ("two", "m-2"),
    ]
    assert "| two | m-2 | published | yes |" in page and "4 of 4 passed, $4.00." in page
    assert (items.parent / "results/results.md").read_text() == page
    assert all(run.environment["INPUT_MODEL"] == run.model for run in played.runs)


def test_what_has_a_result_is_not_run_again_until_item_or_inputs_change(items: Path) -> None:
    evaluated(items, Played())
    assert not evaluated(items, played := Played())[2].startswith("2 runs, 0") and not played.runs
    (items / "repository/main.tf").write_text("# something else\n")
    evaluated(items, played := Played())
    assert len(played.runs) == 2
    evaluated(items, played := Played(), "--again")
    assert len(played.runs) == 2


def test_a_run_that_said_nothing_about_the_model_is_made_again(items: Path) -> None:
    evaluated(items, Played(lambda _: {"conclusion": "llm_failed", "missing": ("ended llm_failed",)}), "--item", "one")
    evaluated(items, played := Played(), "--item", "one")
    assert [run.item.name for run in played.runs] == ["one"]


def test_no_run_is_begun_when_the_money_is_spent_and_the_next_call_goes_on(items: Path) -> None:
    code, _, said = evaluated(items, played := Played(), "--max-cost", "0.5")
    assert (code, len(played.runs)) == (1, 1) and "1 runs were not begun: --max-cost is reached" in said
    code, page, _ = evaluated(items, played := Played(), "--max-cost", "5")
    assert (code, [run.item.name for run in played.runs]) == (0, ["two"]) and "2 of 2 passed" in page


def test_what_was_missing_and_what_was_forbidden_is_named_below_the_table(items: Path) -> None:
    ended = {"missing": ("AC1 is not proved",), "forbidden": ("infra/x.tf is changed",)}
    code, page, _ = evaluated(items, Played(lambda run: ended if run.item.name == "one" else {}))
    assert code == 1 and "| **no** |" in page and "1 of 2 passed" in page
    assert re.search(r"^- one, \S+: AC1 is not proved$", page, re.MULTILINE)
    assert "forbidden: infra/x.tf is changed" in page


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"forbidden": ("an added line holds 'us-east-1'",)}, 0),
        ({"missing": ("ended needs_info, not published",)}, 1),
        ({}, 1),
    ],
    ids=["caught for the reason that it names", "caught for another reason", "not caught"],
)
def test_a_recording_of_a_bad_run_has_to_be_caught_for_its_reason(items: Path, ended: Any, code: int) -> None:
    write(items / "one", ITEM, bad={"passes": False, "because": "us-east-1", "answers": [{"say": "I am done."}]})
    found, page, _ = evaluated(items, played := Played(lambda _: ended), "--recorded")
    assert found == code, page
    assert [(run.item.name, run.model) for run in played.runs] == [("one", "bad")]


def test_everything_that_is_wrong_with_the_items_is_reported_at_once(items: Path) -> None:
    wrong = ITEM | {"repository": "../nowhere", "expected": {"conclusion": ["done"], "proof": []}}
    write(items / "one", wrong)
    write(
        items / "two",
        ITEM
        | {
            "expected": {"conclusion": "done"},
            "forbidden": {"evidence": [{"kind": "plan", "where": "queue", "op": "created"}]},
        },
    )
    write(items / "three", "about: [", good={"passes": True})
    (items / "three/issue.md").unlink()
    with pytest.raises(ConfigError) as caught:
        read_items(items)
    text = "\n".join(caught.value.problems)
    for part in (
        "one/item.yml: expected.proof: Extra inputs are not permitted",
        "two/item.yml: expected.conclusion: done is no conclusion",
        "two/item.yml: forbidden.evidence: ",
        "three/item.yml: while parsing",
        "recordings/good.yml: answers: Field required",
        "three: there is no issue.md",
    ):
        assert part in text, (part, text)


def test_a_folder_without_items_and_an_unknown_item_are_named(tmp_path: Path, items: Path) -> None:
    with pytest.raises(ConfigError, match="holds no work item"):
        read_items(tmp_path)
    with pytest.raises(ConfigError, match="There is no item three"):
        read_items(items, ("three",))


def test_a_recording_that_is_too_short_says_so() -> None:
    llm = RecordedLlm([Answer(say="Hello.", calls=(Call(tool="check"),))])
    reply = llm.reply(system="", tools=(), turns=(), max_tokens=1)
    assert (reply.text, reply.tool_calls[0].name, reply.usage.cost_usd) == ("Hello.", "check", 0.0)
    with pytest.raises(LlmError, match="has 1 answers and was asked for one more"):
        llm.reply(system="", tools=(), turns=(), max_tokens=1)


def test_no_secret_is_in_what_a_result_remembers_of_the_inputs() -> None:
    assert given_inputs(ENVIRONMENT | {"INPUT_MODEL": "m", "HOME": "/x"}) == "model=m"
