"""Label maps: the shipped ones, other forms, and files that are none."""

from __future__ import annotations

import collections
import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import KLUE_RELATIONS

from kore.common.errors import UserError
from kore.data.label_files import load_label_map, read_label_names
from kore.data.options import SchemaOptions

TOOLS = Path(__file__).parents[2] / "src" / "tools"

# The competition's order, which is the order of the probabilities in a submission.
OUTPUT_ORDER = {
    "no_relation": 0,
    "org:top_members/employees": 1,
    "org:members": 2,
    "org:product": 3,
    "per:title": 4,
    "org:alternate_names": 5,
    "per:employee_of": 6,
    "org:place_of_headquarters": 7,
    "per:product": 8,
    "org:number_of_employees/members": 9,
    "per:children": 10,
    "per:place_of_residence": 11,
    "per:alternate_names": 12,
    "per:other_family": 13,
    "per:colleagues": 14,
    "per:origin": 15,
    "per:siblings": 16,
    "per:spouse": 17,
    "org:founded": 18,
    "org:political/religious_affiliation": 19,
    "org:member_of": 20,
    "per:parents": 21,
    "org:dissolved": 22,
    "per:schools_attended": 23,
    "per:date_of_death": 24,
    "per:date_of_birth": 25,
    "per:place_of_birth": 26,
    "per:place_of_death": 27,
    "org:founded_by": 28,
    "per:religion": 29,
}


def write(path: Path, content: Any) -> Path:
    """As JSON or as a pickle, as the suffix says."""
    as_json = path.suffix == ".json"
    path.write_bytes(json.dumps(content).encode() if as_json else pickle.dumps(content))
    return path


def load(path: Path | str, reverse: Path | str = "", no_relation: str = "") -> tuple[str, ...]:
    return load_label_map(path, id2label_path=reverse, no_relation_label=no_relation).names


def test_the_shipped_maps_are_the_competition_s() -> None:
    forward = pickle.loads((TOOLS / "dict_label_to_num.pkl").read_bytes())
    reverse = pickle.loads((TOOLS / "dict_num_to_label.pkl").read_bytes())
    assert forward == OUTPUT_ORDER
    assert reverse == {number: name for name, number in OUTPUT_ORDER.items()}


def test_the_shipped_maps_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = load_label_map(
        SchemaOptions.label2id_path, id2label_path="src/tools/dict_num_to_label.pkl"
    )
    assert labels.names == tuple(OUTPUT_ORDER)
    assert labels.no_relation == "no_relation"
    assert labels.positive == list(range(1, 30))


def test_a_file_in_the_current_folder_comes_before_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "tools").mkdir(parents=True)
    write(tmp_path / "src" / "tools" / "dict_label_to_num.pkl", {"a": 0, "no_relation": 1})
    monkeypatch.chdir(tmp_path)
    assert load_label_map(SchemaOptions.label2id_path).names == ("a", "no_relation")


def test_klue_s_own_list_has_the_same_relations_in_another_order(
    tmp_path: Path, real_data: Path
) -> None:
    names = read_label_names(real_data / "klue_re" / "relation_list.json")
    assert names == KLUE_RELATIONS
    assert sorted(names) == sorted(OUTPUT_ORDER)
    assert names != tuple(OUTPUT_ORDER)


@pytest.mark.parametrize(
    "content",
    [
        {"relations": ["나", "가", "다"]},  # KLUE's relation_list.json
        ["나", "가", "다"],
        {"가": 1, "다": 2, "나": 0},
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".pkl"])
def test_forms_of_a_label_map(tmp_path: Path, content: Any, suffix: str) -> None:
    assert read_label_names(write(tmp_path / f"map{suffix}", content)) == ("나", "가", "다")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "map.pkl"
    path.write_bytes(pickle.dumps({"나": 1, "가": 0}, protocol))
    assert read_label_names(path) == ("가", "나")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 0, "b": 2}, "the numbers must be 0 to 1, each once, but are [0, 2]"),
        ({"a": 1, "b": 2}, "the numbers must be 0 to 1, each once, but are [1, 2]"),
        ({"a": 0, "b": 0}, "the numbers must be 0 to 1, each once, but are [0, 0]"),
        ({"a": -1, "b": 0}, "the numbers must be 0 to 1, each once, but are [-1, 0]"),
        (["a", "b", "a"], "the numbers must be 0 to 1"),
        ({"a": 0}, "the numbers must be 0 to 1"),  # a single relation is nothing to learn
        ({}, "the numbers must be 0 to 1"),
        ({"a": True, "b": False}, "expected a map from relation names to numbers"),
        ({"a": "0", "b": "1"}, "expected a map from relation names to numbers"),
        ({"a": 0.0, "b": 1.0}, "expected a map from relation names to numbers"),
        ([0, 1], "expected a map from relation names to numbers"),
        ("no_relation", "expected a map from relation names to numbers"),
        (None, "expected a map from relation names to numbers"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".pkl"])
def test_other_content_is_refused(tmp_path: Path, content: Any, message: str, suffix: str) -> None:
    path = write(tmp_path / f"map{suffix}", content)
    with pytest.raises(UserError) as caught:
        read_label_names(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_reverse_map_in_the_place_of_the_forward_one(tmp_path: Path) -> None:
    path = write(tmp_path / "map.pkl", {0: "a", 1: "b"})
    with pytest.raises(UserError, match="expected a map from relation names to numbers"):
        read_label_names(path)


class Trap:
    """Runs code when it is unpickled in the ordinary way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_call_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = write(tmp_path / "map.pkl", {"a": 0, "b": Trap(ran)})
    with pytest.raises(UserError, match="nothing in it was run"):
        read_label_names(path)
    assert not ran.exists()
    pickle.loads(path.read_bytes())  # the trap is a real one
    assert ran.exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (collections.OrderedDict(a=0, b=1), "collections.OrderedDict"),
        ({"a": 0, "b": Path("x")}, "pathlib"),
        (print, "builtins.print"),
    ],
)
def test_a_class_in_a_pickle_is_named(tmp_path: Path, content: Any, named: str) -> None:
    path = write(tmp_path / "map.pkl", content)
    with pytest.raises(UserError, match=rf"not a label map of .* \(it names {named}"):
        read_label_names(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.pkl", b""),
        ("map.pkl", b"no_relation"),
        ("map.json", b""),
        ("map.json", b'{"a": 0'),
        ("map.json", "가".encode("cp949")),
        ("map.json", b"[" * 100_000),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: not a label map"):
        read_label_names(tmp_path / name)


@pytest.mark.parametrize("put", [b"r\xff\xff\xff\x7f", b"p2147483647\n"])
def test_a_pickle_that_asks_for_gigabytes_is_refused(tmp_path: Path, put: bytes) -> None:
    """A place in the unpickler's memo takes 8 bytes, and so do all places before it."""
    path = tmp_path / "map.pkl"
    path.write_bytes(b"\x80\x02}" + put + b".")
    with pytest.raises(UserError, match=r"map\.pkl: not a label map .*PUT 2147483647"):
        read_label_names(path)


@given(length=st.integers(0), at=st.integers(0), byte=st.integers(0, 255))
def test_a_damaged_pickle_is_refused_or_read_but_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, length: int, at: int, byte: int
) -> None:
    content = bytearray(pickle.dumps({"no_relation": 0, "per:title": 1}))
    content[at % len(content)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(content[: length % (len(content) + 1)] if length % 3 else content)
    with contextlib.suppress(UserError):
        assert len(read_label_names(path)) == 2


def test_a_missing_file_says_what_else_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pkl: no such file.*`label2id_path` auto"):
        read_label_names(tmp_path / "none.pkl")


@pytest.mark.parametrize(
    ("reverse", "message"),
    [
        ({0: "a", 1: "c"}, "number 1 is 'c', but 'b' in "),
        ({0: "b", 1: "a"}, "number 0 is 'b', but 'a' in "),
        ({0: "a"}, "number 1 is None, but 'b' in "),
        ({0: "a", 1: "b", 2: "c"}, "number 2 is 'c', but None in "),
        ({"a": 0, "b": 1}, "expected a map from numbers to relation names"),
        (["a", "b"], "expected a map from numbers to relation names"),
    ],
)
def test_maps_that_disagree(tmp_path: Path, reverse: Any, message: str) -> None:
    forward = write(tmp_path / "forward.pkl", {"a": 0, "b": 1})
    path = write(tmp_path / "reverse.pkl", reverse)
    with pytest.raises(UserError) as caught:
        load(forward, path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("suffix", [".json", ".pkl"])  # JSON makes the numbers text
def test_maps_that_agree(tmp_path: Path, suffix: str) -> None:
    forward = write(tmp_path / f"forward{suffix}", {"a": 0, "b": 1})
    reverse = write(tmp_path / f"reverse{suffix}", {1: "b", 0: "a"})
    assert load(forward, reverse) == ("a", "b")


def test_labels_of_the_data() -> None:
    labels = load_label_map("auto", no_relation_label="없음", data_labels=["b", "없음", "a", "b"])
    assert labels.names == ("없음", "a", "b")
    assert labels.no_relation == "없음"
    assert labels.positive == [1, 2]


def test_labels_of_the_data_where_there_is_no_data() -> None:
    with pytest.raises(UserError, match="`label2id_path` auto needs labelled examples"):
        load("auto")


def test_no_relation_must_be_a_relation_or_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "map.json", [f"r{number}" for number in range(9)])
    with pytest.raises(UserError) as caught:
        load(path, no_relation="no_relation")
    message = str(caught.value)
    assert message.startswith("`no_relation_label` 'no_relation' is not among the relations (r0, ")
    assert "r7, …)" in message
    assert "r8" not in message
    labels = load_label_map(path, no_relation_label="")
    assert labels.no_relation is None
    assert labels.positive == list(range(9))
