"""Each check on rows written by hand, and all of them on KLUE's training rows where present."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.builders import make_example

from kore.data.duplicates import Row
from kore.data.records import iter_records
from kore.data.rows import iter_rows
from kore.data.schema import Entity, Example, Span
from kore.inspection.checks import (
    Finding,
    clashes,
    duplicates,
    particle_endings,
    suspicious_characters,
    unusual_types,
)

HIRED = "김도율은 해담전자의 사원이고, 김도율은 부산에 산다."


def numbered(examples: Sequence[Example]) -> list[Row]:
    """Rows from line 2 on, as below a header."""
    return [Row(line, example) for line, example in enumerate(examples, start=2)]


def hired(row_id: str, label: str | None) -> Example:
    return make_example(row_id, HIRED, "김도율", "해담전자", label)


def test_duplicates_and_those_that_conflict() -> None:
    rows = numbered(
        [
            hired("a", "no_relation"),
            make_example("b", HIRED, "김도율", "부산", "no_relation"),
            hired("c", "per:employee_of"),
            hired("d", "no_relation"),
            make_example("e", HIRED, "김도율", "부산", "no_relation"),
        ]
    )
    repeats, conflicts = duplicates(rows)
    assert [(finding.lines, finding.id) for finding in repeats] == [
        ((4, 2), "c"),
        ((5, 2), "d"),
        ((6, 3), "e"),
    ]
    votes = "no_relation (2), per:employee_of (1)"
    message = f"{votes}: subject '김도율', object '해담전자' in {HIRED}"
    assert conflicts == [Finding((2, 4, 5), "a", "label", message)]


def test_another_mention_or_type_or_direction_is_no_duplicate() -> None:
    first = hired("a", "no_relation")
    second_mention = first.subject._replace(span=Span(17, 20))
    assert HIRED[17:20] == "김도율"
    rows = numbered(
        [
            first,
            first._replace(id="b", subject=second_mention),
            first._replace(id="c", subject=first.subject._replace(type="ORG")),
            first._replace(id="d", subject=first.object, object=first.subject),
        ]
    )
    assert duplicates(rows) == ([], [])


def test_rows_without_labels_conflict_with_none() -> None:
    repeats, conflicts = duplicates(numbered([hired("a", None), hired("b", None)]))
    assert len(repeats) == 1
    assert conflicts == []


@pytest.mark.parametrize(
    ("label", "types", "columns"),
    [
        ("per:title", ("PER", "POH"), []),
        ("per:title", ("ORG", "POH"), ["subject_entity"]),
        ("org:members", ("PER", "ORG"), ["subject_entity"]),
        ("per:date_of_birth", ("PER", "NOH"), ["object_entity"]),
        ("per:date_of_death", ("LOC", "LOC"), ["subject_entity", "object_entity"]),
        ("org:founded", ("ORG", "DAT"), []),
        ("org:dissolved", ("ORG", "NOH"), ["object_entity"]),
        ("org:number_of_employees/members", ("ORG", "DAT"), ["object_entity"]),
        ("no_relation", ("LOC", "LOC"), []),
        ("per:title", ("PERSON", "TITLE"), []),  # another schema with the same prefix
        ("per:date_of_birth", ("PERSON", "DATE"), []),
        ("founder", ("LOC", "LOC"), []),
        (None, ("LOC", "LOC"), []),
    ],
)
def test_clashes_of_names_and_types(
    label: str | None, types: tuple[str, str], columns: list[str]
) -> None:
    row = make_example("a", HIRED, "김도율", "해담전자", label, types)
    assert [finding.column for finding in clashes(numbered([row]))] == columns


def test_the_message_of_a_clash() -> None:
    row = make_example("a", HIRED, "김도율", "해담전자", "org:founded", ("ORG", "LOC"))
    message = f"org:founded expects DAT, found LOC '해담전자' in {HIRED}"
    assert clashes(numbered([row])) == [Finding((2,), "a", "object_entity", message)]


def rows_of_types(counts: dict[tuple[str, tuple[str, str]], int]) -> list[Row]:
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    return numbered(
        [
            make_example(str(number), HIRED, "김도율", "해담전자", label, types)
            for number, (label, types) in enumerate(kinds)
        ]
    )


def test_types_that_are_rare_for_their_relation() -> None:
    """1 of 201 rows is rarer than 0.5 %, 1 of 200 is not; other relations do not count."""
    rows = rows_of_types(
        {
            ("works_for", ("Person", "Firm")): 200,
            ("works_for", ("Person", "Place")): 1,
            ("lives_in", ("Person", "Place")): 199,
            ("lives_in", ("Person", "Firm")): 1,
        }
    )
    (finding,) = unusual_types(rows)
    assert (finding.lines, finding.id, finding.column) == ((202,), "200", "label")
    assert finding.message.startswith("works_for between Person and Place (1 of 201 rows): ")
    assert unusual_types(rows, exclude=[Finding((202,), "200", "subject_entity", "")]) == []


def particles_in(sentence: str, subject: str, known: str, known_type: str = "PER") -> list[str]:
    """Messages on a row whose subject is in question, beside a row that knows `known`."""
    row = make_example("a", sentence, subject, "부산")
    other = make_example("b", f"{known}, 대전", known, "대전", types=(known_type, "LOC"))
    return [finding.message for finding in particle_endings(numbered([row, other]))]


@pytest.mark.parametrize(
    ("name", "particle"),
    [("한지율", "은"), ("한지율", "이"), ("박세라", "가"), ("박세라", "를"), ("한지율", "로")]
    + [("한지율", form) for form in ("의", "에게", "까지", "과")],
)
def test_a_particle_inside_an_entity(name: str, particle: str) -> None:
    (message,) = particles_in(f"{name}{particle} 부산", f"{name}{particle}", name)
    assert message.startswith(f"'{name}{particle}' ends in {particle}, and '{name}' is")


@pytest.mark.parametrize(
    ("sentence", "subject", "known"),
    [
        ("한지율가 부산", "한지율가", "한지율"),  # a wrong form: no particle
        ("박세라은 부산", "박세라은", "박세라"),
        ("한지율은 부산", "한지율은", "박세라"),  # nobody knows the name
        ("한지율은(33) 부산", "한지율은", "한지율"),  # a bracket follows the name itself
        ("한지율은도 부산", "한지율은", "한지율"),
        ("바다도 부산", "바다도", "바다"),
        ("한율이 부산", "한율이", "한율"),  # too short to tell
    ],
)
def test_no_particle(sentence: str, subject: str, known: str) -> None:
    assert particles_in(sentence, subject, known) == []


def test_a_name_of_another_type_is_no_evidence() -> None:
    assert particles_in("한지율은 부산", "한지율은", "한지율", "ORG") == []


def test_characters_are_counted_with_their_lines() -> None:
    rows = numbered(
        [
            make_example("a", "김도율은 R&amp;D팀.", "김도율", "D팀"),
            make_example("b", "김도율은 \u200b해담\u200b전자 사원.", "김도율", "사원"),
            make_example("c", "김도율은\u200b 해담전자 사원.", "김도율", " 해담전자"),
        ]
    )
    assert suspicious_characters(rows) == [
        Finding(
            (3, 4), "b", "sentence", "U+200B ZERO WIDTH SPACE, zero-width or invisible: 3 times"
        ),
        Finding((2,), "a", "sentence", "&amp;, HTML entity: once"),
        Finding((4,), "c", "entity", "the entity's word begins or ends with white space: once"),
    ]


def test_long_sentences_are_shown_around_the_entity() -> None:
    sentence = f"{'가나다라 ' * 30}김도율은 {'마바사아 ' * 30}2001\n년"
    start = sentence.index("김도율")
    row = Example(
        "a",
        sentence,
        Entity("김도율", Span(start, start + 3), "ORG"),
        Entity("년", Span(len(sentence) - 1, len(sentence)), "DAT"),
        "per:date_of_birth",
    )
    (finding,) = clashes(numbered([row]))
    shown = finding.message.partition(" in ")[2]
    assert "김도율" in shown
    assert (shown[0], shown[-1], len(shown)) == ("…", "…", 62)


def test_on_klue(real_data: Path) -> None:
    """The survey's 47 duplicates, 5 of them conflicting; the rest is read and judged by hand."""
    path = real_data / "klue_re" / "train.csv"
    checked = iter_rows(str(path), iter_records(path), need_labels=True)
    rows = [Row(row.line, row.example) for row in checked if row.example is not None]
    repeats, conflicts = duplicates(rows)
    assert (len(rows), len(repeats), len(conflicts)) == (32_470, 47, 5)
    found = clashes(rows)
    assert len(found) == 14
    assert len(unusual_types(rows, exclude=found)) == 67
    endings = [finding.message.split()[0] for finding in particle_endings(rows)]
    assert "'이하늘이'" in endings
    assert len(endings) == 4
    assert [len(finding.lines) for finding in suspicious_characters(rows)] == [2, 1, 1, 1, 1]
