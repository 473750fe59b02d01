"""Each double is what its port says: the same methods with the same parameters. No test passes on a call that no
adapter takes.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from agent.converse_doubles import Engine
from doubles.clock import FakeClock
from doubles.hosting import CommentingHost, FakeBoard, FakeHost
from doubles.linters import QuietLinters
from doubles.llm import SayingLlm
from doubles.reporter import KeepingReporter
from doubles.tree import MemoryTree
from ops_agent.model import ports
from run import recorders
from sweep import sweep_doubles

WHOLE: tuple[tuple[type, Any], ...] = (
    (FakeClock, ports.Clock),
    (MemoryTree, ports.BaseTree),
    (SayingLlm, ports.Llm),
    (KeepingReporter, ports.Reporter),
    (sweep_doubles.Cloud, ports.CloudIdentity),
    (QuietLinters, ports.Linters),
    (recorders.Cloud, ports.CloudIdentity),
)
PARTS: tuple[tuple[type, Any], ...] = (
    (FakeHost, ports.Issues),
    (FakeHost, ports.Branches),
    (CommentingHost, ports.Issues),
    (FakeBoard, ports.Board),
    (Engine, ports.Terraform),
    (sweep_doubles.Terraform, ports.Terraform),
    (sweep_doubles.Workspace, ports.TerraformWorkspace),
    (recorders.Recorder, ports.Terraform),
)


def methods(of: Any) -> dict[str, inspect.Signature]:
    found = {name: member for name, member in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")}
    return {name: inspect.signature(member) for name, member in found.items()}


def takes(double: inspect.Signature, port: inspect.Signature) -> bool:
    """Whether the double takes the port's whole call, by place and by name. It may demand what the port lets a caller
    leave out.
    """
    places = [p for p in port.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [p for p in port.parameters.values() if p.kind is p.KEYWORD_ONLY]
    calls: list[tuple[list[None], dict[str, None]]] = [
        ([None] * len(places), {p.name: None for p in names}),
        ([None], {p.name: None for p in (*places[1:], *names)}),
    ]
    for arguments, options in calls:
        try:
            double.bind(*arguments, **options)
        except TypeError:
            return False
    return True


@pytest.mark.parametrize(("double", "port"), (*WHOLE, *PARTS), ids=lambda found: found.__name__)
def test_a_method_of_a_double_takes_the_whole_call_of_its_port(double: type, port: Any) -> None:
    known = methods(port)
    wrong = [name for name, signature in methods(double).items() if name in known and not takes(signature, known[name])]
    assert wrong == []
    assert set(methods(double)) & set(known), "this is no double of that port"


@pytest.mark.parametrize(("double", "port"), WHOLE, ids=lambda found: found.__name__)
def test_a_whole_double_lacks_no_method_of_its_port(double: type, port: Any) -> None:
    assert set(methods(port)) - set(methods(double)) == set()


@pytest.mark.parametrize("double", [FakeHost, FakeBoard])
def test_the_doubles_for_admission_cannot_write(double: type) -> None:
    words = ("create", "update", "delete", "commit_changes", "add", "set", "move")
    assert [name for name in methods(double) if name.startswith(words)] == []


def test_a_signature_that_has_drifted_is_found() -> None:
    class Drifted:
        def reply(self, *, system: str, tools: object, turns: object) -> None: ...

        def sleep(self, duration: float) -> None: ...

    assert not takes(methods(Drifted)["reply"], methods(ports.Llm)["reply"])
    assert not takes(methods(Drifted)["sleep"], methods(ports.Clock)["sleep"])
