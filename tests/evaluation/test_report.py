"""Reports are aligned for people and whole for machines."""

import json
from dataclasses import replace

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.report import Figure
from geoloc.evaluation.report_text import format_interval, format_p_value, format_value, to_json, to_table

MODA = Figure("plaza", "frames 0 to 95", "moda", 93.25, 90.0, 95.125, "%", "0.5 m on the ground")


def test_json_is_a_list_with_every_field_and_no_nan() -> None:
    no_interval = replace(MODA, figure="id_switches", value=0.0, low=float("nan"), high=float("nan"))
    rows = json.loads(to_json([MODA, no_interval]))
    assert list(rows[0]) == ["recording", "part", "figure", "value", "low", "high", "unit", "protocol"]
    assert (rows[0]["value"], rows[1]["low"], rows[1]["value"]) == (93.25, None, 0.0)
    assert json.loads(to_json([])) == []


def test_columns_of_the_table_line_up() -> None:
    other = replace(MODA, figure="modp_fusion", value=7.0, protocol="1 m")
    lines = to_table([MODA, other, MODA]).splitlines()
    assert "90 to 95.12" in lines[2]
    assert len({line.index("%", line.index("to 9")) for line in lines[2:5]}) == 1
    assert len({line.index("  90 to") for line in lines[2:5]}) == 1  # numbers end at one place
    assert [line[-3:] for line in lines[2:5]] == ["[1]", "[2]", "[1]"]
    assert lines[5:] == ["", "[1] 0.5 m on the ground", "[2] 1 m"]
    assert lines[0].startswith("recording  part")


def test_numbers_read_as_people_write_them() -> None:
    found = [format_value(x) for x in (93.2468, 0.06612, 12345.6, 0.0, 3.0, 0.00001234, -1.5, float("nan"))]
    assert found == ["93.25", "0.06612", "12346", "0", "3", "0.000012", "-1.500", ""]
    assert [format_p_value(p) for p in (0.0005, 0.0312, 1.0, float("nan"))] == ["< 0.001", "0.031", "1.000", ""]


def test_counts_lie_between_whole_numbers() -> None:
    switches = replace(MODA, figure="id_switches", value=75.0, low=48.02, high=101.0004, unit="")
    assert format_interval(switches) == "48 to 101"
    assert format_interval(replace(MODA, value=93.0)) == "90 to 95.12"
    assert format_interval(replace(switches, figure="nees", value=2.1, low=1.96, high=2.25)) == "1.960 to 2.250"
    assert format_interval(replace(switches, low=np.nan)) == ""


def test_a_figure_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="'nees' of plaza"):
        replace(MODA, figure="nees", value=np.nan)


def test_a_figure_that_happens_to_be_whole_keeps_its_bounds() -> None:
    nees = replace(MODA, figure="nees", value=2.0, low=1.96, high=2.25, unit="")
    assert format_interval(nees) == "1.960 to 2.250"
