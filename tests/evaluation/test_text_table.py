"""Tables for people line up."""

from geoloc.evaluation.text_table import aligned


def test_numbers_line_up_at_their_right_end_and_words_at_their_left() -> None:
    text = aligned(("what", "value", "asked"), [("7 cameras", "1,234.5", "<= 4 x"), ("a", "-", "")])
    assert text.splitlines() == [
        "what         value  asked",
        "---------  -------  ------",
        "7 cameras  1,234.5  <= 4 x",
        "a                -",
    ]


def test_a_table_without_rows_is_its_head() -> None:
    assert aligned(("camera", "area"), []).splitlines() == ["camera  area", "------  ----"]
