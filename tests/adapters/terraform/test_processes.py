"""Children end by their deadline, may print any amount, and leave no process behind."""

from __future__ import annotations

import resource
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.terraform.worlds import alive
from ops_agent.adapters.terraform.processes import Capped, Children, ExitReason, Patience
from ops_agent.model.errors import ToolchainError

QUICK = Patience(deadline=1.0, after_interrupt=0.4, after_terminate=0.4)


def python(code: str, *, children: Children | None = None, patience: Patience = QUICK, **options):
    return (children or Children()).run(
        [sys.executable, "-I", "-S", "-c", code],
        variables={"PATH": "/usr/bin:/bin"},
        cwd=Path("/"),
        patience=patience,
        **options,
    )


def test_a_childs_output_exit_code_and_environment_are_what_they_are():
    """None of ops-agent's environment, and one marker variable."""
    result = python("import os, sys; print(sorted(os.environ)); print('e', file=sys.stderr); sys.exit(3)")
    assert (result.returncode, result.ending, result.stderr) == (3, ExitReason.EXITED, b"e\n")
    assert result.stdout == b"['LC_CTYPE', 'OPS_AGENT_CHILD', 'PATH']\n"


def test_a_child_that_ends_at_the_first_signal_is_asked_politely():
    code = "import signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(42))\ntime.sleep(60)"
    result = python(code)
    assert (result.returncode, result.ending) == (42, ExitReason.DEADLINE)
    assert result.seconds < 1.5


def test_a_child_that_ignores_every_polite_signal_is_killed_after_the_deadline():
    """SIGINT, SIGTERM, SIGKILL."""
    code = "import signal, time\nfor s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n"
    code += "while True: time.sleep(1)"
    result = python(code)
    assert (result.returncode, result.ending) == (-9, ExitReason.DEADLINE)
    assert result.seconds < 3


def test_a_child_whose_work_is_in_vain_gets_a_moment_for_its_last_words_and_is_stopped():
    begun = time.monotonic()
    patience = Patience(deadline=60, grace=0.5)
    result = python(
        "import time; print('x', flush=True); time.sleep(60)",
        patience=patience,
        in_vain=lambda: time.monotonic() - begun > 0.3,
    )
    assert (result.ending, result.stdout) == (ExitReason.STOPPED, b"x\n")
    assert 0.5 < result.seconds < 4
    assert python("print('done')", patience=patience, in_vain=lambda: True).ending is ExitReason.EXITED


@pytest.mark.parametrize("escape", ["", "os.setsid()"], ids=["same session", "session of its own"])
def test_grandchildren_die_with_the_child(escape, tmp_path):
    """Even one that left the process group and keeps the output open."""
    code = f"""
import os, time
if os.fork() == 0:
    {escape or "pass"}
    if os.fork() == 0:
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
time.sleep(0.5)
"""
    result = python(code, patience=Patience(deadline=20))
    assert result.ending is ExitReason.EXITED
    assert result.seconds < 5
    assert not alive(int((tmp_path / "pid").read_text()))


def test_a_grandchild_that_writes_for_ever_does_not_keep_us(tmp_path):
    code = "import os, time\nif os.fork() == 0:\n    while True: os.write(1, b'x' * 4096)\ntime.sleep(0.2)"
    result = python(code)
    assert result.seconds < 4
    assert result.truncated or len(result.stdout) <= 10 << 20


def test_a_hundred_megabytes_of_errors_and_a_million_lines_are_streamed_and_capped():
    """Our memory does not grow with what a child prints."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = """
import sys
block = b"e" * (1 << 20)
for _ in range(100): sys.stderr.buffer.write(block)
sys.stdout.buffer.write(b"line\\n" * 1_500_000)
"""
    result = python(code, patience=Patience(deadline=60))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert result.returncode == 0
    assert result.truncated
    assert len(result.stderr) == 1 << 20
    assert result.stdout.count(b"\n") <= 1_000_000
    assert grown < 100, f"memory grew by {grown:.0f} MB"


@given(
    st.lists(st.binary(min_size=1, max_size=30).map(lambda b: b.replace(b"a", b"\n"))),
    st.integers(0, 60),
    st.integers(0, 8),
)
def test_a_cap_keeps_a_prefix_within_both_limits_and_says_when_it_cut(chunks, most_bytes, most_lines):
    sink = Capped(most_bytes, most_lines)
    for chunk in chunks:
        sink(chunk)
    whole = b"".join(chunks)
    assert whole.startswith(bytes(sink.kept))
    assert len(sink.kept) <= most_bytes
    assert sink.kept.count(b"\n") <= most_lines
    assert sink.truncated == (bytes(sink.kept) != whole)


def test_a_cancelled_run_ends_all_children_at_once_and_starts_no_more():
    children = Children()
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(python("import time; time.sleep(60)", children=children, patience=Patience()))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    children.cancel()
    for thread in threads:
        thread.join(5)
    assert time.monotonic() - begun < 5
    assert [result.ending for result in results] == [ExitReason.CANCELLED] * 3
    assert python("print(1)", children=children).ending is ExitReason.CANCELLED


def test_an_interrupt_of_ours_kills_the_child_before_it_passes(tmp_path):
    """KeyboardInterrupt while the child runs, in the main thread."""
    import _thread

    code = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    threading.Timer(0.6, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        python(code, patience=Patience())
    assert not alive(int((tmp_path / "pid").read_text()))


def test_a_program_that_is_not_there_is_a_toolchain_error():
    with pytest.raises(ToolchainError, match="/no/such/program could not be started"):
        Children().run(["/no/such/program"], variables={}, cwd=Path("/"), patience=QUICK)
