"""Files of named entities: every form read to the same texts, every fault named with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from kore.common.errors import UserError
from kore.data.ner import KLUE_TAGS, TagError, TaggedText, read_tagged, spans_of, tags_of
from kore.data.schema import Entity, Span

TEXT = "이순신은 1545년에"
ENTITIES = (Entity("이순신", Span(0, 3), "PS"), Entity("1545년", Span(5, 10), "DT"))
TAGS = ["B-PS", "I-PS", "I-PS", "O", "O", "B-DT", "I-DT", "I-DT", "I-DT", "I-DT", "O"]

TSV = (
    "## 한국어 : 글자와 꼬리표\n## 칼럼 : 두 개\n"
    "## klue-ner-v1_dev_00001-wikitree\t<이순신:PS>은 <1545년:DT>에\n"
    + "".join(f"{letter}\t{tag}\n" for letter, tag in zip(TEXT, TAGS, strict=True))
    + "\n## 둘째\t가\n가\tO\n\n"
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_klue_ner(tmp_path: Path) -> None:
    path = write(tmp_path / "ner.tsv", TSV)
    first, second = read_tagged(path)
    assert first == TaggedText("klue-ner-v1_dev_00001-wikitree", TEXT, ENTITIES)
    assert second == TaggedText("둘째", "가", ())
    zipped = tmp_path / "ner.tsv.gz"
    zipped.write_bytes(gzip.compress(TSV.encode()))
    assert read_tagged(zipped) == [first, second]


def test_a_line_of_spaces_ends_a_sentence(tmp_path: Path) -> None:
    for name in ("a.tsv", "a.conll"):
        found = read_tagged(write(tmp_path / name, "가\tO\n \n나\tO\n"))
        assert [row.text for row in found] == ["가", "나"]


def test_words_of_conll_are_joined_by_spaces(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "이순신 B-PS\n장군 I-PS\n만세 O\n\n\n서울 B-LC\n")
    first, second = read_tagged(path)
    assert first.text == "이순신 장군 만세"
    assert first.entities == (Entity("이순신 장군", Span(0, 6), "PS"),)
    assert second == TaggedText("2", "서울", (Entity("서울", Span(0, 2), "LC"),))


@pytest.mark.parametrize("key", ["type", "entity_group", "label"])
def test_json_lines(tmp_path: Path, key: str) -> None:
    cells = [
        {"start": 5, "end": 10, key: "DT"},
        {"start": 0, "end": 3, key: "PS", "word": "이순신"},
    ]
    line = json.dumps({"id": 7, "text": TEXT, "entities": cells}, ensure_ascii=False)
    assert read_tagged(write(tmp_path / "a.jsonl", line)) == [TaggedText("7", TEXT, ENTITIES)]


def test_the_id_0_is_an_id(tmp_path: Path) -> None:
    lines = [json.dumps({"id": number, "text": "가", "entities": []}) for number in (0, 1, "")]
    found = read_tagged(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert [row.id for row in found] == ["0", "1", "3"]


def test_parquet_of_the_hub(tmp_path: Path) -> None:
    numbers = [KLUE_TAGS.index(tag) for tag in TAGS]
    assert KLUE_TAGS[6:8] == ("B-PS", "I-PS")
    assert KLUE_TAGS[-1] == "O"  # 12, as on the hub
    table = pyarrow.table({"sentence": ["x"], "tokens": [list(TEXT)], "ner_tags": [numbers]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read_tagged(tmp_path / "a.parquet") == [TaggedText("1", TEXT, ENTITIES)]


def test_tags_and_spans_are_each_others_reverse() -> None:
    assert tags_of(TEXT, ENTITIES) == TAGS
    assert spans_of(TAGS) == [(Span(0, 3), "PS"), (Span(5, 10), "DT")]
    # Two of one type side by side stay two; the second B- begins the second.
    assert spans_of(["B-PS", "B-PS", "I-PS"]) == [(Span(0, 1), "PS"), (Span(1, 3), "PS")]


@pytest.mark.parametrize(
    ("tags", "place"), [(["O", "I-PS"], 1), (["I-PS"], 0), (["B-PS", "I-DT"], 1), (["B-"], 0)]
)
def test_tags_that_make_no_entities(tags: list[str], place: int) -> None:
    with pytest.raises(TagError) as caught:
        spans_of(tags)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "가\tB-PS\n나\tX\n", "a.tsv:2 tag: the tag is 'X', expected O, B-"),
        ("a.tsv", "가\tO\n나\tI-PS\n", "a.tsv:2 tag: I-PS follows O, expected B-PS to begin it"),
        (
            "a.tsv",
            "가\tO\tO\n",
            "a.tsv:1 tag: 3 columns, expected a piece of text, a tab and a tag",
        ),
        ("a.tsv", "가\n", "a.tsv:1 tag: 1 columns"),
        ("a.tsv", "## a\n \tO\n\n", "a.tsv:2 text: is empty, expected a sentence"),
        ("a.tsv", "가\tO\n\n## b\n\n", "a.tsv:3 text: is empty, expected a sentence"),
        ("a.tsv", "## only\n## comments\n", "holds no text"),
        ("a.jsonl", '{"text": "", "entities": []}', "a.jsonl:1 text: found '', expected a text"),
        ("a.jsonl", '{"text": "가"}', "a.jsonl:1 entities: found 'None', expected a list"),
        (
            "a.jsonl",
            '{"text": "가나", "entities": [{"start": 0, "end": 3, "type": "PS"}]}',
            "a.jsonl:1 entities: 0 to 3 lies outside the text of 2 characters",
        ),
        (
            "a.jsonl",
            '{"text": "가나", "entities": [{"start": 0, "end": 2, "type": "PS"},'
            ' {"start": 1, "end": 2, "type": "LC"}]}',
            "a.jsonl:1 entities: '나' overlaps '가나', expected separate spans",
        ),
        (
            "a.jsonl",
            '{"text": "가나", "entities": [{"start": "0", "end": 2, "type": "PS"}]}',
            "expected whole numbers start and end, and a type",
        ),
        (
            "a.jsonl",
            '{"text": "가나", "entities": [{"start": 0, "end": 1, "type": "PS", "word": "나"}]}',
            "0 to 1 is '가', but `word` is '나'",
        ),
        (
            "a.jsonl",
            '{"text": "가나", "entities": [{"start": 0, "end": 1, "type": "사람 이름"}]}',
            "the type '사람 이름' has a space, expected a name without one",
        ),
        ("a.jsonl", '{"tokens": ["가", ""], "ner_tags": [12, 6]}', "one that is empty or no text"),
        ("a.jsonl", '{"tokens": ["\\ud83d"], "ner_tags": [12]}', "expected a text"),
        ("a.csv", "text\n가\n", "a.csv:2 entities: found 'None', expected a list"),
        ("a.xlsx", "", "expected a file that ends in"),
    ],
)
def test_faults_are_named_with_their_place(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_tagged(write(tmp_path / name, content))
    assert message in str(caught.value)


def test_a_type_that_training_did_not_have(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", TSV)
    with pytest.raises(UserError, match=r"a.tsv:4 entities: 'DT' is not one of the types LC, PS"):
        read_tagged(path, types={"PS", "LC"})


def test_faulty_texts_are_set_aside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "가\tO\n\n나\tX\n\n다\tO\n")
    kept = read_tagged(path, on_bad_row="skip", output_dir=tmp_path)
    assert [row.text for row in kept] == ["가", "다"]
    rejected = (tmp_path / "a.tsv.rejected.csv").read_text(encoding="utf-8")
    assert "expected O, B-TYPE or I-TYPE" in rejected
    assert '"나"' in rejected
