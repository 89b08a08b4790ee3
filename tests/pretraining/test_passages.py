"""Texts of every kind of file, and never a label."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
from tests.builders import EXAMPLES, make_scheme

from kore.common.errors import UserError
from kore.data.markers import mark
from kore.data.records import write_examples
from kore.data.schema import Span
from kore.pretraining.passages import Passage, read_passages

SYLLABLES = "## 주석\t무엇\n## id\t<김:PS>\n김\tB-PS\n \tO\n씨\tO\n\n\n## id2\n가\tO\n나\tO\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_bring_their_text_and_where_their_entities_are(tmp_path):
    write_examples(tmp_path / "rows.csv", EXAMPLES)
    passages = read_passages([tmp_path / "rows.csv"])
    assert [passage.text for passage in passages] == [row.sentence for row in EXAMPLES]
    for passage, row in zip(passages, EXAMPLES, strict=True):
        assert set(passage.entities) == {row.subject.span, row.object.span}


def test_examples_with_their_markers(tmp_path):
    row = EXAMPLES[0]
    swapped = row._replace(id="x", subject=row.object, object=row.subject)
    write_examples(tmp_path / "rows.csv", [row, swapped])
    first, second = read_passages([tmp_path / "rows.csv"], mark_entities=True)
    assert first.text != second.text
    for passage in (first, second):
        words = [passage.text[span.start : span.end] for span in passage.entities]
        assert sorted(words) == sorted(["김도율", "해담전자"])
    # As the encoding path of training marks it.
    assert first.text == mark(row, make_scheme()).text
    plain = write(tmp_path / "a.jsonl", '{"sentence": "개체 없는 문장"}\n')
    assert read_passages([plain], mark_entities=True) == [Passage("개체 없는 문장")]


def test_a_text_comes_once_with_the_entities_of_all_its_rows(tmp_path):
    row = EXAMPLES[1]
    other = row._replace(id="x", object=row.object._replace(word="부산", span=Span(5, 7)))
    write_examples(tmp_path / "rows.csv", [row, other])
    (passage,) = read_passages([tmp_path / "rows.csv", tmp_path / "rows.csv"])
    assert set(passage.entities) == {row.subject.span, row.object.span, Span(5, 7)}


def test_a_line_of_spaces_ends_a_sentence_as_it_does_for_a_tagger(tmp_path):
    path = write(tmp_path / "a.tsv", "가\tO\n \tO\n나\tO\n \n다\tO\n")
    assert read_passages([path]) == [Passage("가 나"), Passage("다")]


def test_a_file_named_twice_counts_twice(tmp_path):
    first, second = write(tmp_path / "a.txt", "하나\n둘\n"), write(tmp_path / "b.txt", "둘\n셋\n")
    found = read_passages([first, second, first])
    assert found == [Passage("하나", times=2), Passage("둘", times=2), Passage("셋")]


def test_text_compressed_with_xz(tmp_path):
    whole = lzma.compress("한 줄\n두 줄\n".encode())
    (tmp_path / "a.txt.xz").write_bytes(whole)
    assert read_passages([tmp_path / "a.txt.xz"]) == [Passage("한 줄"), Passage("두 줄")]
    for damaged in (whole[:-9], b"text"):
        (tmp_path / "a.txt.xz").write_bytes(damaged)
        with pytest.raises(UserError, match="not a whole xz file"):
            read_passages([tmp_path / "a.txt.xz"])


def test_other_kinds(tmp_path):
    lines = write(tmp_path / "a.txt", "한 줄\n\n  두 줄 \n")
    pieces = write(tmp_path / "b.tsv", SYLLABLES)
    records = write(tmp_path / "c.jsonl", json.dumps({"sentence": "세 줄", "label": 7}))
    table = write(tmp_path / "d.csv", "sentence,label\n네 줄,아무\n")
    with gzip.open(tmp_path / "e.txt.gz", "wt", encoding="utf-8") as file:
        file.write("다섯 줄\n한 줄\n")
    found = read_passages([lines, pieces, records, table, tmp_path / "e.txt.gz"])
    expected = ["한 줄", "두 줄", "김 씨", "가나", "세 줄", "네 줄", "다섯 줄"]
    assert found == [Passage(text) for text in expected]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"\xb0\xa1\xb3\xaa\n", "a.txt:1: byte 1 is not UTF-8"),
        ("a.txt", b"one\ntwo\0\n", "a.txt:2: holds a zero byte, so it is not a text file"),
        ("a.tsv", "가 O\n".encode(), "a.tsv:1: no tab"),
        ("a.csv", b"id,text\n1,a\n", "a.csv:1: no column sentence; expected sentence"),
        ("a.jsonl", b'{"sentence": 3}\n', "a.jsonl:1 sentence: found 3, expected a text"),
        ("a.pdf", b"%PDF", "expected a file that ends in"),
        ("a.txt", b"\n \n", "the files hold no text"),
        ("a.csv", b"sentence,subject_entity\nab,oops\n", "a.csv:2 subject_entity: found 'oops'"),
    ],
)
def test_what_is_no_text(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_passages([tmp_path / name])
    assert expected in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_passages([tmp_path / "none.txt"])


def test_the_real_sentences_of_named_entities(real_data):
    passages = read_passages([real_data / "klue_ner" / "klue-ner_4000.tsv"])
    assert 3_900 < len(passages) <= 4_000
    assert not any("\t" in passage.text or "<" in passage.text[:3] for passage in passages[:50])
    assert " " in passages[0].text
