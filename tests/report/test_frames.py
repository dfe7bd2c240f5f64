from __future__ import annotations

import pytest

from orchestrator.report.tables import to_frame


@pytest.mark.parametrize("values", [[2**64, 1], [2**63], [10**400, 0.5], [-(2**63) - 1, None]])
def test_whole_numbers_beyond_64_bits_are_kept(values):
    assert to_frame({"x": values})["x"].tolist() == values
