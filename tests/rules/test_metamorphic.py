"""No formatting, comment, escape, quoting or syntax turns a denied snippet into an allowed one."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_agent.guard.rules import TABLE
from ops_agent.model.finding import Severity
from rules.judging import base_files, samples, sides, verdict_of

BLOCKING = {r.id for r in TABLE if r.severity is Severity.BLOCKS}
DENIED = [
    p
    for rule, paths in samples().items()
    if rule in BLOCKING and rule.startswith("terraform/")
    for p in paths
    if p.name.startswith("bad-") and p.suffix == ".tf"
]
DENIED_WORKFLOWS = [
    p
    for rule, paths in samples().items()
    if rule in BLOCKING and rule.startswith("workflow/")
    for p in paths
    if p.name.startswith("bad-")
]
_QUOTED = re.compile(r'"([^"\\$%\n]*)"')
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def reformatted(text: str, chooser: random.Random) -> str:
    """The same code: spaces, blank lines and comments between lines, escapes in quoted strings, carriage returns."""
    lines = (text if "<<" in text else _QUOTED.sub(lambda m: _escaped(m[1], chooser), text)).split("\n")
    out = []
    in_heredoc = False
    for line in lines:
        in_heredoc = in_heredoc or "<<" in line
        if not in_heredoc:
            out += chooser.choice([[], [], [""], ["# note"], ["// note"], ["/* note", "*/"], ["   "]])
            line = (
                chooser.choice(["", "  ", "\t"])
                + line
                + chooser.choice(["", " ", "  # note" if line and not line.endswith("\\") else ""])
            )
        out.append(line)
        if in_heredoc and re.fullmatch(r"\s*EOT", line):
            in_heredoc = False
    return chooser.choice(["\n", "\n", "\r\n"]).join(out)


def _escaped(text: str, chooser: random.Random) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if c.isalnum() and chooser.random() < 0.2 else c for c in text) + '"'


@pytest.mark.parametrize("sample", DENIED, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_denied_snippet_stays_denied_in_any_layout(sample: Path) -> None:
    base, written = sides(sample)
    ((path, content),) = written.items()
    assert content is not None
    chooser = random.Random(sample.name)
    for _ in range(4):
        text = reformatted(content.decode(), chooser)
        assert verdict_of({path: text.encode()}, base).blocked, text


@QUIET
@given(st.sampled_from(DENIED), st.randoms(use_true_random=False))
def test_random_layouts_of_random_denied_snippets_stay_denied(sample: Path, chooser: random.Random) -> None:
    base, written = sides(sample)
    ((path, content),) = written.items()
    assert content is not None
    assert verdict_of({path: reformatted(content.decode(), chooser).encode()}, base).blocked


SPELLINGS = [
    'file("/proc/self/environ")',
    'file ( "/proc/self/environ" )',
    'file(\n"/proc/self/environ"\n)',
    'core::file("/proc/self/environ")',
    'file/* x */("/proc/self/environ")',
    '"${file("/proc/self/environ")}"',
    '"${~ file("/proc/self/environ") ~}"',
    '"%{ if true }${file("/proc/self/environ")}%{ endif }"',
    '<<EOT\n${file("/proc/self/environ")}\nEOT\n',
    '<<-EOT\n    ${upper(file("/proc/self/environ"))}\n  EOT\n',
    '[for x in ["/proc/self/environ"] : file(x)]',
    '{ a = { b = [file("/proc/self/environ")] } }',
    'try(file("/proc/self/environ"), "")',
    'file("\\u002fproc/self/environ")',
    'file("${path.module}/../../../proc/self/environ")',
    'file("${"/proc/self/environ"}")',
    'one([file("/proc/self/environ")])[0]',
    'true ? file("/proc/self/environ") : null',
    '(file)("/proc/self/environ")',
    'templatefile("/proc/self/environ", {})',
    'templatefile("${path.module}/evil.tftpl", {})',
    'fileset("/", "**")',
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "frame",
    [
        'output "x" {\n  value = %s\n}\n',
        "locals {\n  x = %s\n}\n",
        'resource "aws_sqs_queue" "x" {\n  tags = { a = %s }\n}\n',
    ],
)
def test_every_spelling_of_a_file_function_is_denied(spelling: str, frame: str) -> None:
    base = {**base_files(), "infra/evil.tftpl": b'x ${~ file("/proc/self/environ") ~}'}
    assert verdict_of({"infra/x.tf": (frame % spelling).encode()}, base).blocked


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"external": {"x": {"program": ["sh"]}}}},
        {"data": [{"external": [{"x": {"program": ["sh"]}}]}]},
        {"resource": {"terraform_data": {"x": {"provisioner": {"local-exec": {"command": "env"}}}}}},
        {"output": {"x": {"value": '${file("/proc/self/environ")}'}}},
        {"output": {"x": {"value": "a%{ if true }${nonsensitive(var.a)}%{ endif }"}}},
        {"provider": {"aws": {"region": "us-east-1"}}},
        {"provider": {"aws": [{"alias": "x", "region": "${var.aws_region}", "assume_role": {"role_arn": "x"}}]}},
        {"module": {"x": {"source": "git::https://example.com/x"}}},
        {"terraform": {"backend": {"http": {}}}},
        {"action": {"aws_lambda_invoke": {"x": {}}}},
        {"locals": {"arn": "arn:aws:iam::123456789012:root"}},
        {"terraform": {"required_providers": {"aws": {"source": "evil/aws"}}}},
    ],
)
@pytest.mark.parametrize("name", ["infra/x.tf.json", "infra/x_override.tf.json", "infra/x.tofu.json"])
def test_json_syntax_is_judged_like_hcl(body: dict[str, object], name: str) -> None:
    """The file type is refused, and its content is judged all the same."""
    text = json.dumps(body).replace("file(", "\\u0066ile(")
    rules = {f.rule for f in verdict_of({name: text.encode()}).blocking}
    assert "path/allowed-path" in rules and len(rules) > 1


@pytest.mark.parametrize("sample", DENIED_WORKFLOWS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_denied_workflow_stays_denied_in_another_layout(sample: Path) -> None:
    base, written = sides(sample)
    for change in (
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "# note\n\n" + text,
        lambda text: text.replace("uses: ", "uses:   "),
        lambda text: text.replace("permissions:", "'permissions':"),
    ):
        others = {p: change((c or b"").decode()).encode() if p.endswith(".yml") else c for p, c in written.items()}
        assert verdict_of(others, base).blocked, others
