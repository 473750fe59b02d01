"""Every `plan/...` id that the code can emit stands in the table of plan rules, with what it does, and on the page."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import ops_agent
from ops_agent.issue.admission import ALLOW_DESTROY
from ops_agent.pages.rules_page import render_rules
from ops_agent.plan.dangers import LIFTED_BY_ALLOW_DESTROY
from ops_agent.plan.rules import PLAN_TABLE, Weight

SOURCE = Path(ops_agent.__file__).parent
SOURCES = [*sorted((SOURCE / "core" / "plans").glob("*.py")), SOURCE / "stages" / "judge.py"]
NAME = re.compile(r"\??[a-z]+(?:-[a-z]+)*")
NOTICE, BLOCKS, DANGER = "NOTICE", "blocks", "DANGER"


def emitted() -> dict[str, set[str]]:
    """How each id leaves the code, by its source: every call that makes a danger, a loss or a finding, and every reason
    of a policy.
    """
    found: dict[str, set[str]] = defaultdict(set)
    trees = {path: ast.parse(path.read_text()) for path in SOURCES}
    names = {target.id: value for tree in trees.values() for target, value in constants(tree)}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            for rule, weight in made_by(node, names, is_policy=path.stem == "danger_policies"):
                found[rule].add(weight)
    return found


def constants(tree: ast.Module) -> Iterator[tuple[ast.Name, str]]:
    for node in tree.body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(node.value, ast.Constant)
        ):
            yield node.target, str(node.value.value)


def made_by(node: ast.AST, names: dict[str, str], *, is_policy: bool) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        called = node.func.id
        if called in ("_danger", "_notice"):
            yield f"plan/{ast.literal_eval(node.args[1])}", NOTICE if called == "_notice" else DANGER
        elif called == "Loss":
            grave = next((k.value for k in node.keywords if k.arg == "grave"), None)
            unsure = any(k.arg == "known" for k in node.keywords) or (
                isinstance(grave, ast.Constant) and grave.value is False
            )
            silent = isinstance(grave, ast.Constant) and grave.value is None
            for rule in [
                names[n.id] for n in ast.walk(node.args[0]) if isinstance(n, ast.Name) and n.id in names
            ] or loss_rules(names):
                yield from () if silent else ((rule, NOTICE if unsure else DANGER),)
        elif called in ("Danger", "Finding"):
            words = {k.arg: k.value for k in node.keywords}
            rule = words["rule"]
            literal = (
                rule.value
                if isinstance(rule, ast.Constant)
                else names.get(rule.id)
                if isinstance(rule, ast.Name)
                else None
            )
            if literal is not None:
                severity = ast.unparse(words["severity"]) if "severity" in words else DANGER
                always = called == "Finding" or (isinstance(words.get("blocks"), ast.Constant))
                yield literal, BLOCKS if always else NOTICE if severity.endswith(".NOTICE") else severity
    elif (
        is_policy
        and isinstance(node, ast.Yield)
        and isinstance(node.value, ast.Tuple)
        and isinstance(node.value.elts[1], ast.Constant)
    ):
        rule = str(node.value.elts[1].value)
        assert NAME.fullmatch(rule)
        yield f"plan/{rule.removeprefix('?')}", NOTICE if rule.startswith("?") else DANGER


def loss_rules(names: dict[str, str]) -> list[str]:
    return [names["LOSES_DATA"], names["RECOVERY_OFF"]]


def test_the_table_holds_exactly_the_ids_that_the_code_can_emit() -> None:
    assert set(emitted()) == {rule.id for rule in PLAN_TABLE}
    assert len(PLAN_TABLE) == len({rule.id for rule in PLAN_TABLE})


def test_no_id_is_spelled_in_the_code_and_missing_in_the_table() -> None:
    """The other way to look: whatever reads like an id, made by a call that the first test knows or not."""
    spelled = {found for path in SOURCES for found in re.findall(r'"(plan/[a-z-]+)"', path.read_text())}
    assert spelled - {rule.id for rule in PLAN_TABLE} - {"plan/destroys", "plan/danger"} == set()


def test_a_rule_blocks_or_is_a_notice_when_its_row_says_so() -> None:
    weights = emitted()
    for rule in PLAN_TABLE:
        expected = {
            Weight.BLOCKS: {BLOCKS},
            Weight.DANGER: {DANGER},
            Weight.NOTICE: {NOTICE},
        }.get(rule.weight)
        assert (
            weights[rule.id] == expected if expected else len(weights[rule.id]) > 1 or "severity" in weights[rule.id]
        ), rule.id


def test_every_plan_rule_is_on_the_page_and_only_what_the_label_lifts_says_so() -> None:
    page = render_rules()
    for rule in PLAN_TABLE:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{rule.id}` |"))
        assert rule.title in row
        assert (f"`{ALLOW_DESTROY}`" in row) == (rule.id in LIFTED_BY_ALLOW_DESTROY)
