"""The split of labelled rows, from every kind of input."""

from __future__ import annotations

import csv
import json
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.builders import KLUE_RELATIONS, make_example

import prepare_data
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.schema import Example
from kore.data.splits import shared_sentences, split


def make_rows(label_counts: dict[str, int], rows_a_sentence: int = 1) -> list[Example]:
    """Rows of labels; so many in a row share their sentence."""
    labels = [label for label, count in label_counts.items() for _ in range(count)]
    return [
        make_example(
            str(number),
            f"김도율은 해담전자의 {number // rows_a_sentence}번째 사원이다.",
            "김도율",
            "해담전자",
            label,
        )
        for number, label in enumerate(labels)
    ]


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_grouped_split_keeps_every_sentence_on_one_side(seed):
    rows = make_rows({"a": 150, "b": 90, "c": 60}, rows_a_sentence=3)
    in_valid = split(rows, 0.2, group_by_sentence=True, seed=seed)
    sides: dict[str, set[bool]] = {}
    for row, held in zip(rows, in_valid, strict=True):
        sides.setdefault(row.sentence, set()).add(held)
    assert len(sides) == 100
    assert all(len(side) == 1 for side in sides.values())
    assert shared_sentences(rows, in_valid) == 0
    assert sum(in_valid) == 60  # 20 of 100 sentences, 3 rows each


def test_plain_split_leaks_sentences():
    rows = make_rows({"a": 150, "b": 90, "c": 60}, rows_a_sentence=3)
    in_valid = split(rows, 0.2, group_by_sentence=False, seed=0)
    assert sum(in_valid) == 60
    # A held-out row has two companions; that both are held out as well is rare (4 %).
    assert shared_sentences(rows, in_valid) > 45


@pytest.mark.parametrize("grouped", [True, False])
def test_shares_of_labels_are_close_on_both_sides(grouped):
    rows = make_rows({"a": 500, "b": 200, "c": 10})
    in_valid = split(rows, 0.2, grouped, seed=7)
    counts = Counter(row.label for row, held in zip(rows, in_valid, strict=True) if held)
    assert counts == {"a": 100, "b": 40, "c": 2}


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_label_of_a_single_row_stays_in_training(grouped, seed):
    rows = make_rows({"a": 20, "rare": 1, "b": 20})
    in_valid = split(rows, 0.5, grouped, seed)
    held = {row.label for row, held in zip(rows, in_valid, strict=True) if held}
    assert held == {"a", "b"}


def test_a_sentence_counts_for_the_rarest_of_its_labels():
    """10 sentences hold an `a` and a `rare` row; half of them are held out, not fewer."""
    labels = ["a", "rare"] * 10 + ["a"] * 40
    rows = [
        make_example(str(i), f"김도율은 해담전자의 {i // 2}번째다.", "김도율", "해담전자", label)
        for i, label in enumerate(labels)
    ]
    for seed in range(5):
        in_valid = split(rows, 0.5, group_by_sentence=True, seed=seed)
        held = [row.label for row, held in zip(rows, in_valid, strict=True) if held]
        assert held.count("rare") == 5


def test_the_split_is_a_function_of_the_seed():
    rows = make_rows({"a": 60, "b": 60})
    assert split(rows, 0.2, True, 1) == split(rows, 0.2, True, 1)
    assert split(rows, 0.2, True, 1) != split(rows, 0.2, True, 2)


def test_too_few_rows_end_in_a_sentence():
    with pytest.raises(UserError) as caught:
        split(make_rows({"a": 2, "b": 2, "c": 2}), 0.2, False, 0)
    assert str(caught.value) == (
        "`valid_ratio` 0.2 of 6 examples (or sentences) puts 2 on the smaller side of the split, "
        "where each of 3 labels needs one; add examples or change the ratio"
    )


@pytest.mark.parametrize(("counts", "ratio"), [({"a": 3, "b": 3}, 0.9), ({"a": 2, "b": 2}, 0.2)])
def test_neither_side_of_a_split_may_lack_a_label(counts: dict[str, int], ratio: float):
    with pytest.raises(UserError, match="on the smaller side of the split"):
        split(make_rows(counts), ratio, False, 0)


@pytest.mark.parametrize("counts", [{"a": 1}, {"a": 1, "b": 1}])
def test_labels_of_one_example_each_cannot_be_split(counts: dict[str, int]):
    with pytest.raises(UserError, match="every label stands in a single example"):
        split(make_rows(counts), 0.2, False, 0)


def test_the_smallest_file_that_can_be_split():
    in_valid = split(make_rows({"a": 2, "b": 2}), 0.5, False, 0)
    assert sorted(in_valid[:2]) == sorted(in_valid[2:]) == [False, True]


def test_shared_sentences_by_hand():
    rows = make_rows({"a": 6}, rows_a_sentence=2)  # sentences 0 0 1 1 2 2
    assert shared_sentences(rows, [True, False, False, False, False, False]) == 1
    assert shared_sentences(rows, [True, True, False, False, False, False]) == 0
    assert shared_sentences(rows, [True, False, True, False, True, True]) == 2


def read_cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def prepare_in(folder: Path, *flags: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    prepare_data.main(["--data_dir", str(folder / "data"), *flags])
    train, valid = (read_cells(folder / "data" / f"{part}_data.csv") for part in ("train", "valid"))
    return train, valid


ROWS = make_rows({"no_relation": 30, "per:employee_of": 20}, rows_a_sentence=2)


def as_objects(id_name: str) -> list[dict[str, Any]]:
    """KLUE's own form: entities are objects, `guid` stands for `id`."""

    def entity(word: str, start: int, entity_type: str) -> dict[str, Any]:
        end = start + len(word) - 1
        return {"word": word, "start_idx": start, "end_idx": end, "type": entity_type}

    return [
        {
            id_name: row.id,
            "sentence": row.sentence,
            "subject_entity": entity("김도율", 0, "PER"),
            "object_entity": entity("해담전자", 5, "ORG"),
            "label": row.label,
            "source": "test",
        }
        for row in ROWS
    ]


def write_input(folder: Path, suffix: str) -> Path:
    path = folder / f"rows{suffix}"
    if suffix == ".csv":
        write_examples(path, ROWS)
    elif suffix == ".json":
        path.write_text(json.dumps(as_objects("guid"), ensure_ascii=False), encoding="utf-8")
    else:
        lines = [json.dumps(record, ensure_ascii=False) for record in as_objects("id")]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_every_row_is_written_once_from_every_format(tmp_path, suffix):
    train, valid = prepare_in(tmp_path, "--input_file", str(write_input(tmp_path, suffix)))
    assert len(valid) == 10
    assert sorted(int(row["id"]) for row in train + valid) == list(range(50))
    row = next(row for row in train + valid if row["id"] == "31")
    assert row == {
        "id": "31",
        "sentence": "김도율은 해담전자의 15번째 사원이다.",
        "subject_entity": "{'word': '김도율', 'start_idx': 0, 'end_idx': 2, 'type': 'PER'}",
        "object_entity": "{'word': '해담전자', 'start_idx': 5, 'end_idx': 8, 'type': 'ORG'}",
        "label": "per:employee_of",
        "source": "test",
    }


def test_the_summary_counts_rows_and_leaks(tmp_path, capsys):
    prepare_in(tmp_path, "--input_file", str(write_input(tmp_path, ".csv")))
    printed = capsys.readouterr().out
    assert "train_data.csv: 40 rows (80.0 %)" in printed
    assert "valid_data.csv: 10 rows (20.0 %)" in printed
    leaked = shared_sentences(ROWS, split(ROWS, 0.2, group_by_sentence=False, seed=42))
    assert leaked > 0
    assert f"would have leaked: {leaked} of its 10 held-out rows" in printed


def test_the_summary_of_a_plain_split(tmp_path, capsys):
    flags = ("--input_file", str(write_input(tmp_path, ".csv")), "--group_by_sentence", "False")
    train, valid = prepare_in(tmp_path, *flags)
    in_train = {row["sentence"] for row in train}
    leaked = sum(row["sentence"] in in_train for row in valid)
    assert leaked > 0
    assert f"{leaked} of 10 held-out rows share their sentence" in capsys.readouterr().out


@pytest.mark.parametrize("existing", ["train_data.csv", "valid_data.csv"])
def test_existing_targets_are_refused_without_overwrite(tmp_path, existing):
    source = str(write_input(tmp_path, ".csv"))
    target = tmp_path / "data" / existing
    target.parent.mkdir()
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=rf"{existing} is already there.*--overwrite"):
        prepare_in(tmp_path, "--input_file", source)
    assert target.read_text(encoding="utf-8") == "mine"
    assert [path.name for path in target.parent.iterdir()] == [existing]
    train, valid = prepare_in(tmp_path, "--input_file", source, "--overwrite")
    assert len(train) + len(valid) == 50


def test_rows_without_labels_are_refused(tmp_path):
    rows = [row._replace(label=None) if row.id == "3" else row for row in ROWS]
    write_examples(tmp_path / "rows.csv", rows)
    with pytest.raises(UserError, match=r"rows\.csv:5 label"):
        prepare_in(tmp_path, "--input_file", str(tmp_path / "rows.csv"))
    assert not (tmp_path / "data").exists()


class HubRows(list):
    """As much of a hub data set as is used: rows, and the names of the label numbers."""

    features: ClassVar = {"label": types.SimpleNamespace(names=list(KLUE_RELATIONS))}


def offer_hub(monkeypatch: pytest.MonkeyPatch, load_dataset: Any) -> None:
    module = types.SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_the_hub_gives_label_numbers_in_klues_order(tmp_path, monkeypatch):
    asked = []

    def load_dataset(name: str, config: str, *, split: str) -> HubRows:
        asked.append((name, config, split))
        # 18 is per:employee_of in KLUE's order; in the pickles' it is org:founded.
        return HubRows({**row, "label": 18 * (int(row["guid"]) % 2)} for row in as_objects("guid"))

    offer_hub(monkeypatch, load_dataset)
    train, valid = prepare_in(tmp_path, "--hub_dataset", "klue/klue")
    assert asked == [("klue/klue", "re", "train")]
    assert len(train) + len(valid) == 50
    for row in train + valid:
        assert row["label"] == ("per:employee_of" if int(row["id"]) % 2 else "no_relation")


def test_a_faulty_row_of_the_hub_is_named_by_its_number(tmp_path, monkeypatch):
    rows = HubRows({**row, "label": 0} for row in as_objects("guid"))
    rows[4]["sentence"] = ""
    offer_hub(monkeypatch, lambda *args, **_: rows)
    with pytest.raises(UserError, match="klue/klue/re/train:5 sentence"):
        prepare_in(tmp_path, "--hub_dataset", "klue/klue")


def test_a_hub_data_set_that_cannot_be_had(tmp_path, monkeypatch):
    def load_dataset(*args: str, **flags: str) -> HubRows:
        raise FileNotFoundError("no such data set\nand a long tail")

    offer_hub(monkeypatch, load_dataset)
    with pytest.raises(UserError) as caught:
        prepare_in(tmp_path, "--hub_dataset", "no/such")
    assert str(caught.value).startswith(
        "--hub_dataset no/such: cannot be loaded (no such data set);"
    )


def test_the_hub_without_the_package_datasets(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)  # what makes an import fail
    with pytest.raises(UserError, match="needs the package datasets: python -m pip"):
        prepare_in(tmp_path, "--hub_dataset", "klue/klue")
