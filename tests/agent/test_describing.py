"""The tools `describe` and `describe_data`: what a type takes, by the provider that the base uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.agent_doubles import SMALL, bench, call, content_of, reply, texts_of, toolbox
from agent.converse_doubles import DONE, WRITE, Engine, Here
from ops_agent.agent.describing import MAX_CHARACTERS
from ops_agent.model.conversation import PeopleTurn
from ops_agent.model.terraform import DescribedType
from ops_agent.model.verification import CheckStatus

SCHEMA: dict[str, Any] = {
    "attributes": {
        "id": {"type": "string", "computed": True},
        "name": {"type": "string", "required": True},
        "password": {"type": "string", "optional": True, "sensitive": True, "description": "Of the\n  first user."},
        "rules": {"type": ["set", ["object", {"port": "number"}]], "optional": True, "computed": True},
        "old": {"type": ["map", "string"], "optional": True, "deprecated": True},
    },
    "block_types": {
        "vpc": {
            "nesting_mode": "list",
            "min_items": 1,
            "max_items": 1,
            "block": {
                "attributes": {"subnets": {"type": ["set", "string"], "required": True}},
                "block_types": {"deep": {"nesting_mode": "set", "max_items": 3, "block": {"attributes": {}}}},
            },
        },
    },
}


def described(type_: str, schema: dict[str, Any], forces: frozenset[tuple[str, ...]] | None) -> Any:
    with bench() as (workbench, _):
        workbench.describe = lambda *_: DescribedType(source="x/aws", block=schema, forces=forces, why="it asks AWS")
        (result,), _ending = toolbox(workbench).run((call("describe", type=type_),))
    return result


def test_a_type_is_described_in_lines_with_what_is_required_first_and_what_forces_a_replacement() -> None:
    result = described("aws_db", SCHEMA, frozenset({("name",), ("vpc", "subnets")}))
    assert texts_of(result) == {
        "aws_db of x/aws": """name: string, required, forces replacement
old: map(string), deprecated
password: string, sensitive - Of the first user.
rules: set(object({port = number})), computed
vpc {}: block (list), exactly 1
  subnets: set(string), required, forces replacement
  deep {}: block (set), 0 to 3
to read only: id
"""
    }


def test_a_block_is_described_alone_and_what_the_provider_does_not_tell_is_said() -> None:
    (text,) = texts_of(described("aws_db.vpc", SCHEMA, None)).values()
    assert text.splitlines()[0] == "subnets: set(string), required"
    assert "does not tell here (it asks AWS): `check` shows it" in text
    assert "no block rules" in content_of(described("aws_db.rules", SCHEMA, None))["error"]


def test_a_huge_type_is_cut_and_says_how_to_go_on() -> None:
    huge = {"block_types": {f"b{n}": {"nesting_mode": "list", "block": SCHEMA} for n in range(500)}}
    (text,) = texts_of(described("aws_x", huge, frozenset())).values()
    assert len(text) < MAX_CHARACTERS + 200 and "ask for one block, as aws_x.BLOCK" in text


def test_only_so_many_types_are_described_in_one_run() -> None:
    with bench() as (workbench, _):
        box = toolbox(workbench, 40)
        results, _ending = box.run(tuple(call("describe", str(n), type="aws_sqs_queue") for n in range(31)))
    assert [r.is_error for r in results] == [False] * 30 + [True]


def answers(here: Here) -> list[Any]:
    here.go_on()
    turns = [t for t in here.llm.heard[-1] if isinstance(t, PeopleTurn)]
    return [result for turn in turns for result in turn.tool_results if "terraform" not in result.call_id]


def test_the_base_is_initialised_once_and_nothing_of_the_change_is_opened(tmp_path: Path) -> None:
    asks = [reply(call("describe", type=type_)) for type_ in ("aws_sqs_queue", "aws_sqs_queue", "aws_sqs_queues")]
    here = Here(tmp_path, WRITE, *asks, DONE)
    _, first, second, unknown = answers(here)
    assert first.text == second.text and "name: string, required" in first.text
    assert "has the resource type `aws_sqs_queues`; there are aws_sqs_queue" in content_of(unknown)["error"]
    ran = [one for one in here.engine.ran if one not in ("self_test", "format")]
    assert ran == ["base open", "base init", "describe aws_sqs_queue", "describe aws_sqs_queues"]
    here.conversation.close()
    assert here.engine.ran[-1] == "base close"


@pytest.mark.parametrize(
    ("engine", "files", "says"),
    [
        (Engine(CheckStatus.FAILED, failing="init"), None, "`init` of `infra` fails on the base"),
        (Engine(broken=True), None, "cannot tell: terraform was not found"),
        (Engine(), {"README.md": b"# x\n"}, "the base has no root whose providers could be asked"),
    ],
)
def test_who_cannot_be_told_is_told_why(
    tmp_path: Path, engine: Engine, files: dict[str, bytes] | None, says: str
) -> None:
    here = Here(tmp_path, reply(call("describe_data", type="aws_vpc")), DONE, engine=engine, files=files or SMALL)
    assert says in content_of(answers(here)[0])["error"]
