"""Text for a log has no control characters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ops_agent.adapters.runner.printing import escape_controls


@hypothesis_settings(deadline=None)
@given(st.text(max_size=100))
def test_printable_text_has_no_control_characters(text: str) -> None:
    shown = escape_controls(text)
    assert all(c in "\n\t" or (ord(c) >= 32 and ord(c) not in range(0x7F, 0xA0)) for c in shown)
    assert escape_controls(shown) == shown
