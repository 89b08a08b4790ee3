"""The same two facts in the form of every toolkit, each written by hand: the same examples."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prepare_data
from kore.common.errors import UserError
from kore.conversion.documents import Document
from kore.conversion.formats import (
    DOCUMENTS,
    Reading,
    _all_pairs,
    convert,
    guess,
    unmarked,
)
from kore.conversion.options import FORMATS
from kore.data.faults import RowFault
from kore.data.rows import read_examples
from kore.data.schema import Entity, Span

# The particle stands apart, so that tokens and characters cut the same words.
FIRST, SECOND = "비틀즈 의 조지 해리슨 은 가수 다 .", "김가온 은 새벽전자 에 다닌다 ."
TOKENS = [FIRST.split(), SECOND.split()]
HARRISON, BEATLES = Entity("조지 해리슨", Span(6, 12), "PER"), Entity("비틀즈", Span(0, 3), "ORG")
KIM, DAWN = Entity("김가온", Span(0, 3), "PER"), Entity("새벽전자", Span(6, 10), "ORG")
EXPECTED = [
    (FIRST, HARRISON, BEATLES, "member_of"),
    (SECOND, KIM, DAWN, "employee_of"),
]


def tacred(number: int, subject: tuple[int, int], object_: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "token": TOKENS[number],
        "subj_start": subject[0],
        "subj_end": subject[1],
        "obj_start": object_[0],
        "obj_end": object_[1],
        "subj_type": "PER",
        "obj_type": "ORG",
        "relation": EXPECTED[number][3],
    }


def spert(number: int, subject: tuple[int, int], object_: tuple[int, int]) -> dict[str, Any]:
    ends = sorted([("PER", *subject), ("ORG", *object_)], key=lambda one: one[1])
    entities = [{"type": kind, "start": first, "end": last + 1} for kind, first, last in ends]
    head = next(place for place, one in enumerate(entities) if one["type"] == "PER")
    relation = {"type": EXPECTED[number][3], "head": head, "tail": 1 - head}
    return {"tokens": TOKENS[number], "entities": entities, "relations": [relation]}


SPANS = [((2, 3), (0, 0)), ((0, 0), (2, 2))]  # first and last token of subject and object
OFFSETS = [(HARRISON, BEATLES), (KIM, DAWN)]
TOGETHER = f"{FIRST}\n{SECOND}"
BEHIND = len(FIRST) + 1  # where the second sentence begins


def doccano() -> dict[str, Any]:
    moved = [(0, HARRISON), (0, BEATLES), (BEHIND, KIM), (BEHIND, DAWN)]
    return {
        "id": 7,
        "text": TOGETHER,
        "entities": [
            {
                "id": number,
                "label": one.type,
                "start_offset": one.span.start + by,
                "end_offset": one.span.end + by,
            }
            for number, (by, one) in enumerate(moved)
        ],
        "relations": [
            {"id": 0, "from_id": 0, "to_id": 1, "type": "member_of"},
            {"id": 1, "from_id": 2, "to_id": 3, "type": "employee_of"},
        ],
    }


def label_studio() -> dict[str, Any]:
    source = doccano()
    regions = [
        {
            "id": f"r{one['id']}",
            "type": "labels",
            "value": {
                "start": one["start_offset"],
                "end": one["end_offset"],
                "labels": [one["label"]],
            },
        }
        for one in source["entities"]
    ]
    relations = [
        {
            "type": "relation",
            "from_id": "r0",
            "to_id": "r1",
            "direction": "right",
            "labels": ["member_of"],
        },
        {
            "type": "relation",
            "from_id": "r3",
            "to_id": "r2",
            "direction": "left",
            "labels": ["employee_of"],
        },
    ]
    cancelled = {"was_cancelled": True, "result": []}
    kept = {"was_cancelled": False, "result": [*regions, *relations]}
    return {"id": 7, "data": {"text": TOGETHER}, "annotations": [cancelled, kept]}


def opennre(number: int) -> dict[str, Any]:
    def side(one: Entity) -> dict[str, Any]:
        return {"name": one.word, "pos": list(one.span), "type": one.type}

    sentence, subject, object_, label = EXPECTED[number]
    return {"text": sentence, "h": side(subject), "t": side(object_), "relation": label}


DOCRED = {
    "title": "d",
    "sents": TOKENS,
    "vertexSet": [
        [{"name": "조지 해리슨", "pos": [2, 4], "sent_id": 0, "type": "PER"}],
        [{"name": "비틀즈", "pos": [0, 1], "sent_id": 0, "type": "ORG"}],
        [{"name": "김가온", "pos": [0, 1], "sent_id": 1, "type": "PER"}],
        [{"name": "새벽전자", "pos": [2, 3], "sent_id": 1, "type": "ORG"}],
    ],
    "labels": [{"h": 0, "t": 1, "r": "member_of"}, {"h": 2, "t": 3, "r": "employee_of"}],
}
SCIERC = {
    "doc_key": "d",
    "sentences": TOKENS,
    "ner": [[[2, 3, "PER"], [0, 0, "ORG"]], [[8, 8, "PER"], [10, 10, "ORG"]]],
    "relations": [[[2, 3, 0, 0, "member_of"]], [[8, 8, 10, 10, "employee_of"]]],
}
TOKENIZED = [
    {
        "token": TOKENS[number],
        "h": {"name": "", "pos": [subject[0], subject[1] + 1], "type": "PER"},
        "t": {"name": "", "pos": [object_[0], object_[1] + 1], "type": "ORG"},
        "relation": EXPECTED[number][3],
    }
    for number, (subject, object_) in enumerate(SPANS)
]
FEWREL = {
    EXPECTED[number][3]: [
        {
            "tokens": TOKENS[number],
            "h": ["george harrison", "Q2643", [list(range(subject[0], subject[1] + 1))]],
            "t": ["the beatles", "Q1299", [[object_[0]], [object_[0], len(TOKENS[number]) - 1]]],
        }
    ]
    for number, (subject, object_) in enumerate(SPANS)
}
DEEPKE = "sentence,relation,head,head_type,head_offset,tail,tail_type,tail_offset\n" + "".join(
    f"{sentence},{label},{one.word},PER,{one.span.start},{other.word},ORG,{other.span.start}\n"
    for sentence, one, other, label in EXPECTED
)
COLUMNS = (
    "sentence\tsubj_name\tsubj_start_pos\tsubj_end_pos\tsubj_type"
    "\tobj_name\tobj_start_pos\tobj_end_pos\tobj_type\tlabel\n"
    + "".join(
        "\t".join(
            [
                sentence,
                *(one.word, str(one.span.start), str(one.span.end), one.type),
                *(other.word, str(other.span.start), str(other.span.end), other.type),
                label,
            ]
        )
        + "\n"
        for sentence, one, other, label in EXPECTED
    )
)
MARKED = (
    "text,label\n"
    "<O:ORG>비틀즈</O:ORG> 의 <S:PER>조지 해리슨</S:PER> 은 가수 다 .,member_of\n"
    "<S:PER>김가온</S:PER> 은 <O:ORG>새벽전자</O:ORG> 에 다닌다 .,employee_of\n"
)
FILES: dict[str, tuple[str, Any]] = {
    "tacred": ("a.json", [tacred(number, *spans) for number, spans in enumerate(SPANS)]),
    "spert": ("b.json", [spert(number, *spans) for number, spans in enumerate(SPANS)]),
    "scierc": ("c.jsonl", SCIERC),
    "docred": ("d.json", [DOCRED]),
    "doccano": ("e.jsonl", doccano()),
    "label-studio": ("f.json", [label_studio()]),
    "opennre": ("g.json", TOKENIZED),
    "table": ("h.json", [opennre(0), opennre(1)]),
    "table ": ("i.csv", DEEPKE),
    "table  ": ("j.tsv", COLUMNS),
    "marked": ("k.csv", MARKED),
}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def converted(path: Path, **flags: Any) -> list[Any]:
    target = path.with_name("converted.csv")
    given = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    prepare_data.main(["--input_file", str(path), "--output_file", str(target), *given])
    return [(row.sentence, row.subject, row.object, row.label) for row in read_examples(target)]


@pytest.mark.parametrize("name", FILES)
def test_every_format_has_the_same_examples(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, *FILES[name])
    assert convert(path)[0] == name.strip()
    assert converted(path) == EXPECTED


def test_fewrel_names_a_relation_once_for_a_list(tmp_path: Path) -> None:
    """Its objects have no types, and mentions in the order of the text."""
    path = write(tmp_path, "a.json", FEWREL)
    assert convert(path)[0] == "fewrel"
    untyped = [
        (sentence, one._replace(type=""), other._replace(type=""), label)
        for sentence, one, other, label in EXPECTED
    ]
    assert converted(path) == untyped
    (tmp_path / "converted.csv").unlink()
    faulty = {"P1": [{"tokens": ["가", "나"], "h": ["가", "Q1", [[0]]], "t": ["나", "Q2", []]}]}
    with pytest.raises(UserError, match=r"b\.json:1 row: is not as the format has it"):
        converted(write(tmp_path, "b.json", faulty))


def test_brat(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.txt", TOGETHER)
    lines = [
        f"T{number}\t{one['label']} {one['start_offset']} {one['end_offset']}\t"
        f"{TOGETHER[one['start_offset'] : one['end_offset']]}\n"
        for number, one in enumerate(doccano()["entities"])
    ]
    relations = "R1\tmember_of Arg1:T0 Arg2:T1\t\n#1\tAnnotatorNotes R1\tnone\n"
    path = write(tmp_path, "a.ann", "".join(lines) + relations)
    with caplog.at_level(logging.INFO, logger="kore"):
        assert converted(path) == EXPECTED[:1]
    assert "2 pairs of entities in a sentence have no relation" in caplog.text
    both = converted(tmp_path, unrelated_pairs=True)  # a folder of such files
    assert [row[1:] for row in both[1:]] == [
        (KIM, DAWN, "no_relation"),
        (DAWN, KIM, "no_relation"),
    ]


def test_brat_offsets_that_cut_out_another_word_are_a_fault(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "비틀즈의 조지가 있다.")
    lines = "T1\tORG 1 4\t비틀즈\nT2\tPER 5 7\t조지\nR1\ta Arg1:T1 Arg2:T2\n"
    path = write(tmp_path, "a.ann", lines)
    with pytest.raises(UserError, match=r"\(1, 4\) is '틀즈의', but the file says '비틀즈'"):
        converted(path)


@pytest.mark.parametrize("width", [1, 2])
def test_brat_offsets_may_count_a_windows_line_end_as_one_or_as_two(
    tmp_path: Path, width: int
) -> None:
    (tmp_path / "a.txt").write_bytes("첫 줄.\r\n비틀즈의 조지".encode())
    start = 4 + width
    lines = (
        f"T1\tORG {start} {start + 3}\t비틀즈\nT2\tPER {start + 5} {start + 7}\t조지\n"
        "R1\tmembers Arg1:T1 Arg2:T2\n"
    )
    ((sentence, subject, object_, _),) = converted(write(tmp_path, "a.ann", lines))
    assert (sentence, subject.word, object_.word) == ("비틀즈의 조지", "비틀즈", "조지")


def test_label_studio_counts_as_javascript_does(tmp_path: Path) -> None:
    source = label_studio()
    source["data"]["text"] = f"\U0001f600{TOGETHER}"
    for one in source["annotations"][1]["result"][:4]:
        value = one["value"]
        value["text"] = TOGETHER[value["start"] : value["end"]]
        value["start"], value["end"] = value["start"] + 2, value["end"] + 2
    ((_, subject, object_, _), _) = converted(write(tmp_path, "a.json", [source]))
    assert (subject.word, object_.word) == (HARRISON.word, BEATLES.word)
    source["annotations"][1]["result"][0]["value"]["text"] = "다른 말"
    (tmp_path / "converted.csv").unlink()
    with pytest.raises(UserError, match="but the file says '다른 말'"):
        converted(write(tmp_path, "b.json", [source]))


def test_one_task_alone_is_a_document_and_no_wrapper(tmp_path: Path) -> None:
    assert converted(write(tmp_path, "a.json", label_studio())) == EXPECTED


def test_several_lists_in_one_file_are_asked_about(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", {"train": [opennre(0)], "dev": [opennre(1)]})
    with pytest.raises(UserError, match=r"several lists of rows \(train, dev\)"):
        converted(path)


def test_mentions_of_one_entity_are_no_pair(tmp_path: Path) -> None:
    twice = {
        "title": "d",
        "sents": [["가", "나", "다", "라"]],
        "vertexSet": [
            [
                {"pos": [0, 1], "sent_id": 0, "type": "PER"},
                {"pos": [2, 3], "sent_id": 0, "type": "PER"},
            ],
            [{"pos": [1, 2], "sent_id": 0, "type": "ORG"}],
            [{"pos": [3, 4], "sent_id": 0, "type": "LOC"}],
        ],
        "labels": [{"h": 0, "t": 1, "r": "a"}],
    }
    found = converted(write(tmp_path, "a.json", [twice]), unrelated_pairs=True)
    pairs = {(one.word, other.word): label for _, one, other, label in found}
    assert {pair for pair, label in pairs.items() if label == "a"} == {("가", "나"), ("다", "나")}
    assert set(pairs) == {
        *(("가", "나"), ("다", "나")),
        *(("가", "라"), ("라", "가"), ("다", "라"), ("라", "다"), ("나", "라"), ("라", "나")),
    }


def test_markers_without_a_header_or_around_nothing(tmp_path: Path) -> None:
    row = "<e1>비틀즈</e1>의 <e2>조지</e2>\ta\n"
    with pytest.raises(UserError, match="the first line holds markers"):
        converted(write(tmp_path, "a.tsv", row * 3))
    with pytest.raises(UserError, match="1 faulty rows"):
        converted(write(tmp_path, "b.csv", "sentence,label\n<e1></e1> 가 <e2>나</e2>,x\n"))
    ((_, _, _, label),) = converted(write(tmp_path, "c.tsv", f"문장\t관계\n{row}"))
    assert label == "a"


def test_every_format_can_be_named() -> None:
    assert set(FORMATS) == {"auto", "table", "marked", "brat", *DOCUMENTS}


def test_a_relation_across_lines_has_both_lines(tmp_path: Path) -> None:
    source = doccano()
    source["relations"] = [{"from_id": 0, "to_id": 3, "type": "far"}]
    ((sentence, subject, object_, label),) = converted(write(tmp_path, "a.jsonl", source))
    assert sentence == f"{FIRST} {SECOND}"
    assert (subject, object_.word, label) == (HARRISON, "새벽전자", "far")
    assert sentence[object_.span.start : object_.span.end] == "새벽전자"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tacred", {"subj_end": 99}, "tokens 2 to 99 lie outside the 8 tokens"),
        ("tacred", {"token": "비틀즈"}, "token: found '비틀즈', expected a list"),
        ("tacred", {"obj_start": "0"}, "obj_start: found '0', expected a whole number"),
        ("spert", {"relations": [{"type": "a", "head": 0, "tail": 9}]}, "names the entity 9"),
        ("spert", {"entities": [3]}, "row: is not as the format has it"),
        ("spert", {"tokens": []}, "tokens: expected a list of texts"),
        ("docred", {"labels": [{"h": 0, "t": 9, "r": "a"}]}, "an entity that is not there"),
        ("scierc", {"ner": [[[0, 99, "PER"]]]}, "lie outside"),
        ("doccano", {"text": ""}, "text: found '', expected a text"),
        ("label-studio", {"annotations": []}, "expected a text and an annotation"),
        ("opennre", {"h": 3}, "h: found 3"),
    ],
)
def test_a_faulty_object_is_named_and_the_others_are_kept(
    tmp_path: Path, name: str, change: dict[str, Any], message: str
) -> None:
    content = OBJECTS[name]
    good = content if isinstance(content, list) else [content]
    rows = [{**good[0], **change}, *good]
    path = write(tmp_path, f"{name}.json", rows)
    with pytest.raises(UserError, match="1 faulty rows") as caught:
        converted(path, format=name)
    assert f"{path}:1 " in str(caught.value)
    assert message in str(caught.value)
    kept = converted(path, format=name, on_bad_row="skip", output_dir=tmp_path / "outputs")
    assert kept == EXPECTED
    rejected = (tmp_path / "outputs" / f"{name}.json.rejected.csv").read_text(encoding="utf-8")
    assert message.split(": ")[-1].strip("'")[:20] in rejected


@pytest.mark.parametrize(
    ("sentence", "text", "subject", "object_"),
    [
        ("<e1>가나</e1> 다 <e2>라</e2>", "가나 다 라", (0, 2), (5, 6)),
        ("[E2]라[/E2] 다 [E1]가나[/E1]", "라 다 가나", (4, 6), (0, 1)),
        ("[E1-PER]가[/E1-PER][E2-ORG]나[/E2-ORG]", "가나", (0, 1), (1, 2)),
        ("<subj>가</subj> <obj>나</obj>", "가 나", (0, 1), (2, 3)),
        ("[E1] 가 나 [/E1] 의 [E2] 다 [/E2] 라", "가 나 의 다 라", (0, 3), (6, 7)),
    ],
)
def test_markers_in_the_text(
    sentence: str, text: str, subject: tuple[int, int], object_: tuple[int, int]
) -> None:
    found = unmarked(sentence)
    assert found is not None
    assert (found[0], tuple(found[1].span), tuple(found[2].span)) == (text, subject, object_)


def test_no_markers() -> None:
    assert unmarked("가 <e1>나</e1>") is None
    assert guess([{"text": "가", "label": "x"}]) == "table"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


OBJECTS = {name: content for name, (_, content) in FILES.items()} | {"fewrel": FEWREL["member_of"]}


@pytest.mark.parametrize("name", list(DOCUMENTS))
@given(data=st.data())
def test_whatever_an_object_holds_is_a_record_or_a_fault(name: str, data: st.DataObject) -> None:
    """Nothing but a fault comes out of a document whose parts are of any kind."""
    content = OBJECTS[name]
    good = content[0] if isinstance(content, list) else content
    keys = sorted(good)
    broken = {**good, data.draw(st.sampled_from(keys)): data.draw(JSON)}
    read = DOCUMENTS[name].read
    records = _all_pairs("x", [(1, broken, lambda: read(broken))], Reading())
    assert all(isinstance(one, RowFault) or one[0] == 1 for one in records)


def test_documents_refuse_relations_of_nothing() -> None:
    with pytest.raises(ValueError, match="names the entity 5"):
        Document("d", "가 나", {}, [(5, "a", 6)])
