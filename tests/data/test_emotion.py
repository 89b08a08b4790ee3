"""Texts with labels toward a target: read as they are handed out, and refused by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.builders import make_bert_tokenizer

from kore.common.errors import UnfitError, UserError
from kore.data.emotion import JudgedText, cleaned, labels_of, read_judged, record_of
from kore.data.markers import mark_target
from kore.data.schema import Span
from kore.data.targets import TargetEncoder

FORM = "나는 비틀즈를 사랑한다."
TARGET = {"form": "비틀즈", "begin": 3, "end": 6}
OUTPUT = {"joy": "True", "anger": "False"}


def row(**changed: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": "a",
        "input": {"form": FORM, "target": dict(TARGET)},
        "output": dict(OUTPUT),
    }
    for name, value in changed.items():
        place, _, key = name.partition("__")
        if key:
            made[place][key] = value
        else:
            made[place] = value
    return made


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def test_rows_are_read_and_written_as_they_are_handed_out(tmp_path: Path) -> None:
    none = {"form": None, "begin": None, "end": None}
    path = write(
        tmp_path / "a.jsonl",
        row(),
        row(id="b", input={"form": FORM, "target": none}),
        row(id="c", input={"form": FORM}, output={"anger": "true", "joy": False}),
    )
    texts = read_judged(path)
    assert [text.target for text in texts] == [Span(3, 6), None, None]
    assert [text.labels for text in texts] == [
        {"joy": True, "anger": False},
        {"joy": True, "anger": False},
        {"joy": False, "anger": True},
    ]
    assert labels_of(texts, path) == ("joy", "anger")
    assert record_of(texts[0], {"joy": False, "anger": True}) == row(
        output={"joy": "False", "anger": "True"}
    )
    as_list = tmp_path / "a.json"
    as_list.write_text(json.dumps([row(), row(id="b")]), encoding="utf-8")
    assert [text.id for text in read_judged(as_list)] == ["a", "b"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input__target": {**TARGET, "end": 99}}, "input.target: (3, 99) lies outside the form"),
        ({"input__target": {**TARGET, "begin": 6}}, "(6, 6) lies outside"),
        ({"input__target": {**TARGET, "form": "비틀"}}, "form is '비틀', but characters 3 to 5"),
        ({"input__target": {**TARGET, "begin": None}}, "begin is None and end 6"),
        ({"input__target": {**TARGET, "begin": "3"}}, "begin is '3' and end 6"),
        ({"input__target": "비틀즈"}, "expected form, begin and end"),
        ({"input__form": " "}, "input.form: found ' ', expected a text"),
        ({"input__form": "\ud800"}, "half of a character"),
        ({"input__other": "\ud800"}, "row: holds half of a character"),
        ({"input": []}, "input.form: found None"),
        ({"output__joy": 1}, 'output.joy: found 1, expected "True" or "False"'),
        ({"output__joy": "yes"}, "output.joy: found 'yes'"),
        ({"output__joy": None}, "output.joy: found None"),
        ({"output": {"joy": "True"}}, "output: lacks anger, which other rows have"),
        ({"output": {**OUTPUT, "fear": "True"}}, "output: has fear, which no other row has"),
        ({"output": {}}, "output: found {}, expected a label or more"),
        ({"output": None}, "output: is missing"),
        ({"id": "first"}, "id: 'first' is also the id of the row at 1"),
        ({"id": None}, "id: is empty"),
    ],
)
def test_a_faulty_row_is_named_by_file_line_and_field(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "a.jsonl", row(id="first"), row(**changed))
    with pytest.raises(UserError) as caught:
        read_judged(path)
    assert f"{path}:2 " in str(caught.value)
    assert message in str(caught.value)
    kept = read_judged(path, on_bad_row="skip", output_dir=tmp_path)
    assert [text.id for text in kept] == ["first"]


def test_files_of_which_nothing_can_be_learned(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", row(output={"joy": "False", "anger": "False"}))
    with pytest.raises(UserError, match="no label is true in any row"):
        labels_of(read_judged(path), path)
    with pytest.raises(UserError, match=r"ends in \.jsonl, \.json"):
        read_judged(tmp_path / "a.csv")
    with pytest.raises(UserError, match="output: lacks fear"):
        read_judged(path, labels=("joy", "anger", "fear"))


def judged(form: str, word: str = "") -> JudgedText:
    start = form.find(word)
    return JudgedText("a", form, Span(start, start + len(word)) if word else None, None, {})


@pytest.mark.parametrize(
    ("form", "word", "expected"),
    [
        ("&others& 비틀즈!!!", "비틀즈", " 비틀즈!"),
        ("와~~~ &others&와 비틀즈...", "비틀즈", "와~ 와 비틀즈."),
        ("ㅋㅋㅋ 좋다 ㅠㅠ", "", "ㅋㅋㅋ 좋다 ㅠㅠ"),  # letters are no symbols
        ("!!!! 가", "!!!!", "!!!! 가"),  # the target is left as it is
        ("&others&", "", "&others&"),  # nothing would be left
    ],
)
def test_cleaning_moves_the_target(form: str, word: str, expected: str) -> None:
    text = cleaned(judged(form, word), remove_others=True, cleansing=True)
    assert text.form == expected
    if text.target is not None:
        assert text.form[text.target.start : text.target.end] == word


def test_cleaning_does_only_what_is_asked_for() -> None:
    text = judged("&others& 가!!")
    assert cleaned(text, remove_others=False, cleansing=False) == text
    assert cleaned(text, remove_others=True, cleansing=False).form == " 가!!"
    assert cleaned(text, remove_others=False, cleansing=True).form == "&others& 가!"


def test_a_target_is_marked_as_a_subject_without_a_type() -> None:
    marked, entity = mark_target(FORM, Span(3, 6))
    assert marked == "나는 @ 비틀즈 @를 사랑한다."
    assert marked[slice(*entity.inner)] == "비틀즈"
    assert marked[slice(*entity.outer)] == "@ 비틀즈 @"


@pytest.mark.parametrize("max_length", [60, 8])
def test_the_target_stays_however_short_the_window(max_length: int) -> None:
    tokenizer = make_bert_tokenizer()
    encoder = TargetEncoder(tokenizer, max_length)
    form = f"{'가나 ' * 60}비틀즈를 보았다. {'다라 ' * 60}"
    (encoded,) = encoder.encode([judged(form, "비틀즈")], quiet=True)
    assert len(encoded.input_ids) <= max_length
    assert encoded.was_cut
    whole = tokenizer("@ 비틀즈 @", add_special_tokens=False)["input_ids"]
    assert encoded.input_ids[slice(*encoded.target_span)] == whole


def test_without_a_target_the_whole_text_stands_for_it() -> None:
    encoder = TargetEncoder(make_bert_tokenizer(), 16)
    short, long, dropped = encoder.encode(
        [judged("가 나"), judged("가 나 " * 20), judged("\u200b")], quiet=True
    )
    for row in (short, long):
        assert row.target_span == Span(1, len(row.input_ids) - 1)
    assert dropped.target_span.end > dropped.target_span.start
    assert len(long.input_ids) == 16


def test_a_window_too_small_for_the_markers_is_refused() -> None:
    with pytest.raises(UnfitError, match="max_length` 4 is too small: pass at least 5"):
        TargetEncoder(make_bert_tokenizer(), 4)
    TargetEncoder(make_bert_tokenizer(), 5)
