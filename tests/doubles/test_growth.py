"""The measure of growth itself: linear work passes, quadratic work fails."""

from __future__ import annotations

import pytest

from growth import assert_linear


def test_quadratic_work_is_found_and_linear_work_passes() -> None:
    assert_linear(lambda size: ("x" * size).count("y"), 100_000)
    with pytest.raises(AssertionError, match="8 times the input took"):
        assert_linear(lambda size: [("x" * size).count("y") for _ in range(size)], 3_000)
