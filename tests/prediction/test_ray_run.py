"""A corpus predicted by two workers of a local Ray, one of which is killed halfway."""

# ruff: noqa: E402  # the imports below need Ray

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.builders import make_example, make_trained
from tests.runs import assert_one_sentence, command

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.corpus import ROWS, read_rows
from kore.data.records import write_examples
from kore.data.schema import Entity, Example
from kore.network.checkpoint import MODEL_KIND, load_model, load_payload, save_model
from kore.prediction import ray_run as ray_prediction
from kore.prediction.options import RayOptions
from kore.prediction.predictor import predict_examples
from kore.prediction.ray_corpus import MOST_ATTEMPTS
from kore.prediction.ray_run import PREDICTIONS, RayPredictor, predict_corpus
from kore.prediction.ray_session import check_resources, ray_session
from predict_on_ray import main

WORDS = ("해담전자", "별빛", "1998년 3월", "부산", "행사")


def make_rows(first: int, count: int) -> list[Example]:
    """Rows of many lengths; each third has a comma, quotes and a line break."""
    rows = []
    for number in range(first, first + count):
        word = WORDS[number % len(WORDS)]
        middle = ', "한결물산"의\n' if number % 3 == 0 else " 지난해 "
        sentence = f"김도율은{middle}{'행사에서 ' * (number % 7)}{number}번째 {word}의 사원이다."
        rows.append(make_example(f"row-{number}", sentence, "김도율", word))
    return rows


def entity_cell(entity: Entity) -> dict[str, Any]:
    start, end = entity.span
    return {"word": entity.word, "start_idx": start, "end_idx": end - 1, "type": entity.type}


def as_records(rows: list[Example]) -> list[dict[str, Any]]:
    entities = [(entity_cell(row.subject), entity_cell(row.object)) for row in rows]
    return [
        {
            "id": row.id,
            "sentence": row.sentence,
            "subject_entity": subject,
            "object_entity": object_,
        }
        for row, (subject, object_) in zip(rows, entities, strict=True)
    ]


def write_corpus(folder: Path) -> list[Example]:
    """120 rows of CSV, 60 of Parquet with structs, 60 of Parquet with text and `guid`."""
    folder.mkdir()
    rows = make_rows(0, 240)
    write_examples(folder / "a.csv", rows[:120])
    pq.write_table(pa.Table.from_pylist(as_records(rows[120:180])), folder / "b.parquet")
    texts = [
        {"guid": record.pop("id"), **{name: str(cell) for name, cell in record.items()}}
        for record in as_records(rows[180:])
    ]
    pq.write_table(pa.Table.from_pylist(texts), folder / "c.parquet", row_group_size=7)
    return rows


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """Started as the command does, with two workers; runs of the tests then use it."""
    with ray_session("", 2):
        yield


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.pth"
    save_model(path, make_trained())
    return path


def options_in(folder: Path, model_file: Path, **flags: Any) -> RayOptions:
    chosen: dict[str, Any] = {
        "test_file": str(folder / "corpus"),
        "output_dir": str(folder / "out" / "ray"),
        "model_file": str(model_file),
        "precision": "fp32",
        "num_workers": 2,
        "rows_per_task": 16,
        **flags,
    }
    return RayOptions(**chosen)


def as_flags(options: RayOptions) -> list[str]:
    return [text for name, value in vars(options).items() for text in (f"--{name}", str(value))]


def assert_predicted(folder: Path, rows: list[Example], model_file: Path) -> None:
    """Every row once, with the label and probabilities that one process computes."""
    assert [path.suffix for path in folder.iterdir()] == [".parquet"]  # small parts are joined
    table = pq.read_table(folder)
    assert table.schema.remove_metadata() == PREDICTIONS
    assert sorted(table["id"].to_pylist()) == sorted(row.id for row in rows)
    trained = load_model(model_file)
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    probs_of_rows = predict_examples(trained, rows, accelerator, 32)
    expected = {row.id: probs for row, probs in zip(rows, probs_of_rows, strict=True)}
    assert len({tuple(probs.round(4)) for probs in expected.values()}) > len(rows) / 10
    names = trained.labels.names
    for row in table.to_pylist():
        assert np.abs(np.array(row["probs"]) - expected[row["id"]]).max() < 1e-5
        assert row["pred_label"] == names[int(np.argmax(row["probs"]))]
    labels = json.loads(folder.with_name(f"{folder.name}.labels.json").read_text(encoding="utf-8"))
    assert labels == {"labels": list(names), "no_relation": "no_relation"}


def test_handlers_of_the_program_keep_their_levels(session, caplog):
    """pytest's stands for them: Ray copies what the root logger has."""
    assert caplog.handler in logging.getLogger().handlers
    assert caplog.handler.level == logging.NOTSET


def test_a_killed_worker_loses_nothing(session, tmp_path, model_file, monkeypatch, capsys):
    rows = write_corpus(tmp_path / "corpus")
    log = tmp_path / "calls.log"

    class Dying(RayPredictor):
        """Dies once, with rows in hand, after it has predicted others."""

        calls = 0

        def predict(self, examples: list[Example]) -> pa.Table:
            self.calls += 1
            with log.open("a") as file:
                file.write(f"{os.getpid()} {examples[0].id}\n")
            if self.calls == 3:
                try:
                    (log.parent / "died").touch(exist_ok=False)
                except FileExistsError:
                    pass
                else:
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().predict(examples)

    monkeypatch.setattr(ray_prediction, "RayPredictor", Dying)
    output = predict_corpus(options_in(tmp_path, model_file))
    assert (tmp_path / "died").exists()
    calls = [line.split() for line in log.read_text().splitlines()]
    assert len({pid for pid, _ in calls}) == 3  # two workers, and the one in the place of the dead
    # Tasks of 16 rows, in whatever file they stand; what was in hand was begun twice.
    assert len({first for _, first in calls}) == 240 // 16 < len(calls)
    assert_predicted(output, rows, model_file)
    assert {path.name for path in output.parent.iterdir()} == {"ray", "ray.labels.json"}
    printed = capsys.readouterr()  # before the last line Ray tells of the death
    assert printed.out.endswith(f"240 examples predicted with {model_file}: {output}\n")
    assert printed.err == ""


def spoil(rows: list[Example]) -> list[Example]:
    """Rows 1 and 5 get an empty sentence, an object that is not there, and row 7 no id."""
    spoiled = list(rows)
    spoiled[1] = rows[1]._replace(sentence="")
    spoiled[5] = rows[5]._replace(object=rows[5].object._replace(word="없음"))
    spoiled[7] = rows[7]._replace(id="")
    return spoiled


def test_the_command_sets_faulty_rows_aside(session, tmp_path, model_file):
    """As users run it, on the cluster that is running; the earlier parts are replaced."""
    rows = make_rows(0, 40)
    write_examples(tmp_path / "rows.csv", spoil(rows))
    output = tmp_path / "out" / "ray"
    output.mkdir(parents=True)
    (output / "old.parquet").touch()
    options = options_in(
        tmp_path,
        model_file,
        test_file=str(tmp_path / "rows.csv"),
        on_bad_row="skip",
        overwrite=True,
        num_workers=1,
        address=ray.get_runtime_context().gcs_address,
    )
    result = command("tools/predict_on_ray.py", *as_flags(options), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"37 examples predicted with {model_file}: {output}\n"
    rejected = output.with_name("ray.rejected.parquet")
    assert result.stderr == f"3 faulty rows set aside in {rejected}\n"
    assert_predicted(output, [row for i, row in enumerate(rows) if i not in (1, 5, 7)], model_file)
    faults = pq.read_table(rejected).to_pylist()
    assert [(fault["id"], fault["column"]) for fault in faults] == [
        ("row-1", "sentence"),
        ("row-5", "object_entity"),
        ("", "id"),
    ]
    assert all(fault["file"] == str(tmp_path / "rows.csv") for fault in faults)
    assert json.loads(faults[1]["record"])["sentence"] == rows[5].sentence


def test_faulty_rows_stop_the_run_before_it_predicts(session, tmp_path, model_file, monkeypatch):
    (tmp_path / "corpus").mkdir()
    rows = make_rows(0, 60)
    write_examples(tmp_path / "corpus" / "b.csv", spoil(rows[:10]))
    bad = [{**record, "sentence": ""} for record in as_records(rows[10:40])]
    pq.write_table(pa.Table.from_pylist(bad), tmp_path / "corpus" / "a.parquet")
    monkeypatch.setattr(ray_prediction, "RayPredictor", None)  # never reached
    with pytest.raises(UserError) as caught:
        predict_corpus(options_in(tmp_path, model_file))
    *shown, more, last = str(caught.value).splitlines()
    assert shown == [
        f"{tmp_path}/corpus/a.parquet:{line} sentence: found '', expected a sentence"
        for line in range(1, 21)
    ]
    assert more == "… and 13 more"
    assert last.startswith(f"33 faulty rows in {tmp_path}/corpus: correct them")
    assert list((tmp_path / "out").iterdir()) == []


def test_damage_found_on_a_worker_is_told_in_a_sentence(session, tmp_path, model_file):
    source = tmp_path / "rows.csv"
    write_examples(source, make_rows(0, 20))
    with source.open("a", encoding="utf-8") as file:
        file.write('"row-20","a" b\n')
    with pytest.raises(UserError) as caught:
        predict_corpus(options_in(tmp_path, model_file, test_file=str(source)))
    assert type(caught.value) is UserError
    assert "\n" not in str(caught.value)
    assert "not valid CSV" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_of_a_worker_is_told_in_a_sentence(session, tmp_path, model_file, monkeypatch):
    def fill(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    write_corpus(tmp_path / "corpus")
    monkeypatch.setattr(ray_prediction, "read_rows", fill)
    with pytest.raises(UserError, match=r"^a worker cannot continue: No space left on device$"):
        predict_corpus(options_in(tmp_path, model_file))


@pytest.fixture
def predictor(session, tmp_path, model_file) -> RayPredictor:
    """A worker's object in this process."""
    payload = ray.put(load_payload(model_file, MODEL_KIND))
    return RayPredictor(options_in(tmp_path, model_file), model_file, payload, tmp_path)


@pytest.fixture
def table(tmp_path) -> pa.Table:
    write_examples(tmp_path / "rows.csv", make_rows(0, 5))
    return next(read_rows(tmp_path / "rows.csv", 100))


def test_rows_that_kill_every_worker_end_the_run(predictor, table, tmp_path, monkeypatch):
    def die(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(ray_prediction, "predict_examples", die)
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(SystemExit):
            predictor(table)
    with pytest.raises(UserError, match=r"rows\.csv:2: a worker died 5 times over the 5 rows"):
        predictor(table)


def test_rows_that_are_done_leave_no_count_of_attempts(predictor, table, tmp_path):
    for _ in range(MOST_ATTEMPTS + 1):
        assert predictor(table).num_rows == 5
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert predictor(ROWS.empty_table()).equals(PREDICTIONS.empty_table())


@pytest.mark.parametrize(
    ("num_workers", "gpus", "message"),
    [
        (3, 0.0, "`num_workers` 3, but the cluster has 3 cores.*at most 2"),
        (2, 0.5, "need 1 GPUs, but the cluster has 0"),
    ],
)
def test_workers_that_would_never_start_are_refused(
    session, monkeypatch, num_workers, gpus, message
):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 3.0})
    with pytest.raises(UserError, match=message):
        check_resources(num_workers, gpus)


def test_a_cluster_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    session = ray_session("127.0.0.1:1", 1)
    with pytest.raises(UserError, match=r"`address` 127\.0\.0\.1:1: no Ray answers"):
        session.__enter__()


def refused(folder: Path, model_file: Path, **flags: Any) -> str:
    """What a run with these flags is refused with, before Ray is asked for anything."""
    with pytest.raises(UserError) as caught:
        main(as_flags(options_in(folder, model_file, address="127.0.0.1:1", **flags)))
    return str(caught.value)


def test_input_that_cannot_be_read(tmp_path, model_file):
    (tmp_path / "corpus").mkdir()
    assert "no file in it ends in .csv or .parquet" in refused(tmp_path, model_file)
    (tmp_path / "corpus" / "a.parquet").write_bytes(b"PAR1 and no more")
    assert "a.parquet: cannot be read as Parquet" in refused(tmp_path, model_file)
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "corpus" / "a.parquet")
    assert "no column sentence, subject_entity, object_entity" in refused(tmp_path, model_file)
    for name, message in (("x.csv", "no such file"), ("x.xlsx", "ends in .csv or .parquet")):
        assert message in refused(tmp_path, model_file, test_file=str(tmp_path / name))


def test_a_model_that_is_missing_or_foreign(tmp_path, model_file):
    write_corpus(tmp_path / "corpus")
    assert "no such checkpoint" in refused(tmp_path, tmp_path / "none.pth")
    (tmp_path / "foreign.pth").write_bytes(b"hello")
    assert "not a whole KoRE checkpoint" in refused(tmp_path, tmp_path / "foreign.pth")
    assert "fp16 needs a GPU" in refused(tmp_path, model_file, precision="fp16")


def test_output_is_replaced_only_where_it_is_of_an_earlier_run(tmp_path, model_file):
    write_corpus(tmp_path / "corpus")
    output = tmp_path / "out" / "ray"
    output.mkdir(parents=True)
    (output / "part.parquet").touch()
    assert "pass --overwrite" in refused(tmp_path, model_file)
    (output / "notes.txt").touch()
    assert "more than Parquet parts (notes.txt)" in refused(tmp_path, model_file, overwrite=True)
    corpus = str(tmp_path / "corpus")
    (tmp_path / "corpus" / "a.csv").unlink()
    message = refused(tmp_path, model_file, overwrite=True, output_dir=corpus)
    assert "b.parquet lies in --output_dir" in message
    message = refused(tmp_path, model_file, output_dir=str(output / "notes.txt"))
    assert "notes.txt is a file" in message
    assert sorted(path.name for path in output.iterdir()) == ["notes.txt", "part.parquet"]


def test_without_ray(tmp_path, model_file, monkeypatch):
    for module in ("ray_run", "ray_session"):  # as if they had not been imported yet
        monkeypatch.delitem(sys.modules, f"kore.prediction.{module}")
    monkeypatch.setitem(sys.modules, "ray.data", None)  # what makes an import fail
    assert "poetry install --with ray" in refused(tmp_path, model_file)


def test_a_mistake_ends_with_status_2(tmp_path):
    result = command("tools/predict_on_ray.py", "--num_workers", "0", cwd=tmp_path)
    assert_one_sentence(result, "--num_workers is 0")
