"""The report as text: what is marked as serious, how much is shown."""

from __future__ import annotations

from typing import Any

import pytest

from kore.inspection.checks import Finding
from kore.inspection.report import KINDS, FileReport, Leak, full_text


def make_report(**findings: list[Finding]) -> FileReport:
    return FileReport(
        file="rows.csv",
        rows=5,
        good_rows=4,
        labels={"no_relation": 3, "per:title": 1},
        subject_types={"PER": 4},
        object_types={"": 4},
        characters={"50%": 20, "100%": 43},
        tokens={"50%": 16, "100%": 31},
        covered={"128": 0.9671, "160": 1.0},
        findings={**{kind: [] for kind in KINDS}, **findings},
    )


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_the_head_of_a_file() -> None:
    text, _ = full_text([make_report()], [], "mini", show=20)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:7] == [
        "rows.csv: 5 rows, 1 of them faulty, 2 labels",
        "labels no_relation 3, per:title 1",
        "subject types PER 4",
        "object types (empty) 4",
        "characters 50% of the rows have at most 20, 100% 43",
        "tokens 50% of the rows have at most 16, 100% 31",
        "whole at max_length 128: 96.71 %, 160: 100.00 % of the rows",
    ]


@pytest.mark.parametrize(
    ("kind", "serious"),
    [
        ("faults", True),
        ("conflicts", True),
        ("clashes", True),
        ("duplicates", False),
        ("unusual_types", False),
        ("particles", False),
        ("characters", False),
    ],
)
def test_what_is_serious(kind: str, serious: bool) -> None:
    report = make_report(**{kind: [Finding((7,), "a", "label", "is wrong")]})
    text, is_serious = full_text([report], [], "mini", show=20)
    assert is_serious is serious
    assert "rows.csv:7 label: is wrong" in lines_of(text)
    assert ("Nothing serious was found." in text) is not serious
    assert (f"! {KINDS[kind].title}: 1" in text.splitlines()) is serious


def test_a_leak_is_serious() -> None:
    leak = Leak("a.csv", "b.csv", 2, [3, 9, 12], [5, 6])
    text, is_serious = full_text([make_report()], [leak], "mini", show=20)
    assert is_serious
    assert (
        "! a.csv and b.csv share 2 sentence(s): 3 row(s) of the first, 2 of the second, first at "
        "a.csv:3 and b.csv:5"
    ) in text
    assert lines_of(text)[-1] == "a.csv and b.csv share sentences"


@pytest.mark.parametrize(("show", "shown"), [(0, 7), (2, 2), (6, 6), (7, 7)])
def test_so_many_are_shown_and_all_are_counted(show: int, shown: int) -> None:
    found: list[Any] = [Finding((line,), "a", "row", "odd") for line in range(7)]
    lines = lines_of(full_text([make_report(duplicates=found)], [], "mini", show)[0])
    assert f"{KINDS['duplicates'].title}: 7" in lines
    assert sum(line.endswith("row: odd") for line in lines) == shown
    more = f"… and {7 - shown} more"
    assert (more in lines) is (shown < 7)


def test_a_finding_of_many_lines_names_the_first_five() -> None:
    found = [
        Finding(tuple(range(1, 8)), "a", "sentence", "odd"),
        Finding((8, 9), "b", "row", "odd"),
    ]
    lines = lines_of(full_text([make_report(characters=found)], [], "mini", 20)[0])
    assert "rows.csv:1 (and 2, 3, 4, 5, …) sentence: odd" in lines
    assert "rows.csv:8 (and 9) row: odd" in lines
