"""Prediction from a file to a file: every row once, whatever kills the run in between."""

from __future__ import annotations

import csv
import gzip
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from tests.builders import EXAMPLES, LABELS, make_trained

import inference
from kore.common.arrays import Floats
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.dataset import EncodedExample
from kore.data.records import iter_records, write_examples
from kore.data.rows import read_examples
from kore.data.schema import Example
from kore.network.checkpoint import load_model, save_model
from kore.prediction import chunks as streaming
from kore.prediction import run as prediction_run
from kore.prediction.predictions import read_submission
from kore.prediction.predictor import Predictor, predict_examples
from kore.scoring.calibration import at_temperature

CHUNK_ROWS = 4
NUM_ROWS = 11  # chunks of 4, 4 and 3 rows


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.pth"
    save_model(path, make_trained())
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (streaming, prediction_run):
        monkeypatch.setattr(module, "CHUNK_ROWS", CHUNK_ROWS)


@pytest.fixture
def run(tmp_path: Path, model_file: Path) -> Callable[..., Path]:
    """Predicts rows.csv, or what the flags say; returns the output file."""
    write_examples(tmp_path / "rows.csv", rows_to_predict())

    def predict(*flags: str, output: str = "out.csv") -> Path:
        inference.main(
            [
                *("--model_file", str(model_file), "--test_file", str(tmp_path / "rows.csv")),
                *("--output_dir", str(tmp_path / "outputs"), "--output_name", output),
                *("--use_cuda", "False", "--precision", "fp32", *flags),
            ]
        )
        return tmp_path / "outputs" / output

    return predict


def rows_to_predict(number: int = NUM_ROWS) -> list[Example]:
    return [EXAMPLES[i % len(EXAMPLES)]._replace(id=f"row {i}") for i in range(number)]


def without_sentence(rows: list[Example], *numbers: int) -> list[Example]:
    return [row._replace(sentence="") if i in numbers else row for i, row in enumerate(rows)]


class Watch:
    """Counts the rows of every chunk that is computed, and may raise before one of them."""

    def __init__(
        self, patch: pytest.MonkeyPatch, stop: int = -1, error: BaseException | None = None
    ) -> None:
        self.computed: list[int] = []
        compute = Predictor.probs

        def probs(predictor: Predictor, rows: Sequence[EncodedExample]) -> Floats:
            if error is not None and len(self.computed) == stop:
                raise error
            self.computed.append(len(rows))
            return compute(predictor, rows)

        patch.setattr(Predictor, "probs", probs)


def refusal_of(predict: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        predict()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_probabilities_are_those_of_predict_examples(
    run: Callable[..., Path], model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = run()
    assert capsys.readouterr().out == f"11 examples predicted with {model_file}: {output}\n"
    found = read_submission(output, LABELS)
    rows = read_examples(tmp_path / "rows.csv")
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    expected = predict_examples(load_model(model_file), rows, accelerator)
    assert found.ids == [f"row {i}" for i in range(NUM_ROWS)]
    assert found.probs == pytest.approx(expected, abs=1e-6)
    assert found.pred_labels == [LABELS.names[best] for best in expected.argmax(axis=1)]
    assert len({tuple(row.round(4)) for row in expected}) == len(EXAMPLES)  # rows do differ
    assert sorted(os.listdir(output.parent)) == [
        *("out.csv", "out.csv.manifest.json", "out.labels.json")
    ]


def test_rows_of_a_chunk_are_computed_together(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    run()
    assert watch.computed == [4, 4, 3]


@pytest.mark.parametrize("output", ["out.csv", "out.csv.gz", "out.parquet"])
def test_every_form_of_input_and_output_gives_the_same(
    run: Callable[..., Path], tmp_path: Path, output: str
) -> None:
    expected = read_submission(run(output="expected.csv"), LABELS)
    plain, gzipped, table = (tmp_path / f"rows{end}" for end in (".csv", ".csv.gz", ".parquet"))
    gzipped.write_bytes(gzip.compress(plain.read_bytes()))
    records = [dict(record) for _, record in iter_records(plain)]
    parquet.write_table(pyarrow.Table.from_pylist(records), table)
    for test_file in (plain, gzipped, table):
        found = read_submission(run("--test_file", str(test_file), output=output), LABELS)
        assert found.ids == expected.ids
        assert found.pred_labels == expected.pred_labels
        assert found.probs.tolist() == expected.probs.tolist()


def test_gzipped_output_holds_the_plain_one(run: Callable[..., Path]) -> None:
    assert gzip.decompress(run(output="out.csv.gz").read_bytes()) == run().read_bytes()


def test_names_of_the_output(run: Callable[..., Path], tmp_path: Path) -> None:
    """By default of the model and the test file, whatever form that is in."""
    gzipped = tmp_path / "rows.v2.csv.gz"
    gzipped.write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    run("--test_file", str(gzipped), output="")
    assert (tmp_path / "outputs" / "tiny_rows.v2.csv").is_file()
    message = refusal_of(lambda: run(output="out.txt"))
    assert message.endswith("out.txt: expected a name that ends in .csv, .csv.gz, .parquet")
    before = (tmp_path / "rows.csv").read_bytes()
    message = refusal_of(lambda: run("--output_dir", str(tmp_path), output="rows.csv"))
    assert message.endswith("rows.csv is the test file itself; pass another --output_name")
    assert (tmp_path / "rows.csv").read_bytes() == before


def test_a_budget_that_a_row_may_exceed_is_refused(run: Callable[..., Path]) -> None:
    """The model's max_length is 64."""
    assert refusal_of(lambda: run("--batch_tokens", "63")) == (
        "--batch_tokens 63, but this model reads examples of up to 64 tokens and one of them must "
        "fit; pass at least 64"
    )
    assert read_submission(run("--batch_tokens", "64"), LABELS).probs == pytest.approx(
        read_submission(run(), LABELS).probs, abs=1e-6
    )


@pytest.mark.parametrize("output", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_killed_run_is_resumed_where_it_stopped(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    uninterrupted = run(output=f"whole_{output}").read_bytes()
    with monkeypatch.context() as patch:
        watch = Watch(patch, stop=2, error=RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(output=output)
        assert watch.computed == [4, 4]
    parts = tmp_path / "outputs" / f"{output}.parts"
    assert sorted(os.listdir(parts)) == ["00000000.part", "00000001.part", "manifest.json"]
    (parts / ".00000002.part.x.tmp").write_bytes(b"half")  # what a power cut leaves
    watch = Watch(monkeypatch)
    resumed = run("--resume", output=output)
    assert watch.computed == [3]
    assert read_submission(resumed, LABELS).ids == [f"row {i}" for i in range(NUM_ROWS)]
    assert resumed.read_bytes() == uninterrupted
    assert not parts.exists()


def test_a_run_whose_parts_are_all_there_is_only_joined(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = run().read_bytes()
    blocked = tmp_path / "outputs" / "other.csv"
    blocked.mkdir()
    assert "other.csv cannot be written" in refusal_of(lambda: run(output="other.csv"))
    blocked.rmdir()
    watch = Watch(monkeypatch)
    assert run("--resume", output="other.csv").read_bytes() == uninterrupted
    assert watch.computed == []


def test_without_resume_a_killed_run_is_begun_anew(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Watch(patch, stop=2, error=RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run()
    watch = Watch(monkeypatch)
    run()
    assert watch.computed == [4, 4, 3]


def test_resume_after_a_finished_run_computes_nothing(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run().read_bytes()
    watch = Watch(monkeypatch)
    capsys.readouterr()
    output = run("--resume")
    assert watch.computed == []
    assert output.read_bytes() == before
    assert capsys.readouterr().out.startswith("Nothing to resume, all is predicted with ")
    run("--resume", "--batch_tokens", "64")  # no prediction depends on it
    assert watch.computed == []
    run("--resume", "--abstain_below", "0.5")
    assert watch.computed == [4, 4, 3]
    with output.open("a") as file:
        file.write("edited")
    run("--resume")
    assert watch.computed == [4, 4, 3] * 2


def test_resume_of_another_job_is_refused(
    run: Callable[..., Path], tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = run()
    uninterrupted = output.read_bytes()
    output.write_text("earlier")
    with monkeypatch.context() as patch:
        Watch(patch, stop=2, error=RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run()
    save_model(tmp_path / "other.pth", make_trained(pooling="mean"))
    other_model = ("--resume", "--model_file", str(tmp_path / "other.pth"))
    assert "was begun with other settings (the content of --model_file has changed)" in refusal_of(
        lambda: run(*other_model)
    )
    other_options = ("--resume", "--on_bad_row", "skip")
    message = refusal_of(lambda: run(*other_options))
    assert (
        "was begun with other settings (--on_bad_row was stop, is skip); give the same" in message
    )
    changed = rows_to_predict()
    changed[0] = changed[0]._replace(id="another")
    write_examples(tmp_path / "rows.csv", changed)
    assert "(the content of --test_file has changed)" in refusal_of(lambda: run("--resume"))
    assert output.read_text() == "earlier"
    # Nothing is lost by that: with the file as it was the run goes on.
    write_examples(tmp_path / "rows.csv", rows_to_predict())
    watch = Watch(monkeypatch)
    assert run("--resume").read_bytes() == uninterrupted
    assert watch.computed == [3]


@pytest.mark.parametrize(
    ("bad", "computed"),
    [
        ((1, 6), [3, 3, 3]),
        ((4, 5, 6, 7), [4, 3]),  # a whole chunk
        ((0, 1, 2, 3, 4), [3, 3]),
        ((7, 8, 9, 10), [4, 3]),
        ((10,), [4, 4, 2]),
    ],
)
def test_skip_drops_exactly_the_faulty_rows(
    run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: tuple[int, ...],
    computed: list[int],
) -> None:
    expected = read_submission(run(), LABELS)
    write_examples(tmp_path / "rows.csv", without_sentence(rows_to_predict(), *bad))
    watch = Watch(monkeypatch)
    found = read_submission(run("--on_bad_row", "skip"), LABELS)
    assert watch.computed == computed
    kept = [i for i in range(NUM_ROWS) if i not in bad]
    assert found.ids == [f"row {i}" for i in kept]
    assert found.probs == pytest.approx(expected.probs[kept], abs=1e-6)
    rejected = tmp_path / "outputs" / "rows.csv.rejected.csv"
    with rejected.open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [f"row {i}" for i in bad]


def test_skip_and_resume(run: Callable[..., Path], tmp_path: Path) -> None:
    """Faulty rows of every kind: the last one repeats an id of a chunk that is not read again."""
    rows = without_sentence(rows_to_predict(), 4, 5, 6, 7, 9)
    rows[10] = rows[10]._replace(id="row 0")
    write_examples(tmp_path / "rows.csv", rows)
    uninterrupted = run("--on_bad_row", "skip", output="whole.csv").read_bytes()
    for stop in (1, 2):  # before the second and the third chunk that holds rows
        with pytest.MonkeyPatch.context() as patch:
            Watch(patch, stop=stop - 1, error=RuntimeError("power cut"))
            with pytest.raises(RuntimeError, match="power cut"):
                run("--on_bad_row", "skip")
        assert run("--on_bad_row", "skip", "--resume").read_bytes() == uninterrupted
    assert read_submission(tmp_path / "outputs" / "whole.csv", LABELS).ids == [
        *("row 0", "row 1", "row 2", "row 3", "row 8")
    ]


def test_a_faulty_row_stops_before_anything_is_predicted(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = run()
    before = output.read_bytes()
    write_examples(tmp_path / "rows.csv", without_sentence(rows_to_predict(), 10))
    watch = Watch(monkeypatch)
    with pytest.raises(UserError, match=r"rows\.csv:12 sentence: found ''"):
        run()
    assert watch.computed == []
    assert output.read_bytes() == before
    assert sorted(os.listdir(output.parent)) == [
        *("out.csv", "out.csv.manifest.json", "out.labels.json")
    ]


def test_ctrl_c_says_where_the_parts_are_and_how_to_go_on(
    run: Callable[..., Path], model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Watch(patch, stop=1, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt) as caught:
            run()
    parts = tmp_path / "outputs" / "out.csv.parts"
    assert str(caught.value) == (
        f"Stopped; what is predicted so far is kept in {parts}. To continue, give the same command "
        f"with --model_file {model_file} --resume"
    )
    assert sorted(os.listdir(parts)) == ["00000000.part", "manifest.json"]
    watch = Watch(monkeypatch)
    run("--resume")
    assert watch.computed == [4, 3]


def test_a_reader_that_is_killed_while_the_model_computes_is_told(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch tells of it by a signal, wherever the main process then is."""
    others = set(multiprocessing.active_children())  # an earlier test's may still be ending

    def probs(predictor: Predictor, rows: Sequence[EncodedExample]) -> Floats:
        (reader,) = set(multiprocessing.active_children()) - others
        reader.kill()
        time.sleep(60)  # the signal ends it
        raise AssertionError("nobody told")

    monkeypatch.setattr(Predictor, "probs", probs)
    for module in (streaming, prediction_run):  # of the size that a new process knows
        monkeypatch.setattr(module, "CHUNK_ROWS", 2048)
    message = refusal_of(lambda: run("--num_workers", "1"))
    assert message.startswith(
        "a process that read ahead was killed, perhaps because memory was full"
    )


def test_a_file_replaced_while_it_is_predicted(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even by as many good rows: some of the predictions would be another file's."""
    compute = Predictor.probs

    def replace_and_compute(predictor: Predictor, rows: Sequence[EncodedExample]) -> Floats:
        write_examples(tmp_path / "rows.csv", rows_to_predict()[::-1])
        return compute(predictor, rows)

    monkeypatch.setattr(Predictor, "probs", replace_and_compute)
    message = refusal_of(run)
    assert message.startswith(f"{tmp_path / 'rows.csv'} or ")
    assert "changed during prediction" in message
    assert not (tmp_path / "outputs" / "out.csv").exists()


def test_temperature_is_applied_unless_told_otherwise(
    run: Callable[..., Path], tmp_path: Path
) -> None:
    """At temperature 4 probabilities are nearer to each other; the labels are the same."""
    trained = make_trained()
    trained.classifier.temperature.fill_(4.0)
    save_model(tmp_path / "warm.pth", trained)
    plain = read_submission(run(output="plain.csv"), LABELS)
    flags = ("--model_file", str(tmp_path / "warm.pth"))
    warm = read_submission(run(*flags, output="warm.csv"), LABELS)
    raw = read_submission(run(*flags, "--calibrated", "False", output="raw.csv"), LABELS)
    assert (raw.ids, raw.pred_labels) == (plain.ids, plain.pred_labels)
    assert raw.probs == pytest.approx(plain.probs)
    assert warm.probs == pytest.approx(at_temperature(plain.probs, 4.0), abs=1e-6)
    assert (warm.probs.max(axis=1) < plain.probs.max(axis=1)).all()
    assert warm.pred_labels == plain.pred_labels


def test_abstaining_is_part_of_the_job(run: Callable[..., Path]) -> None:
    with run("--abstain_below", "1").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["abstain"] for row in rows] == ["True"] * NUM_ROWS
    assert "abstain" not in run(output="other.csv").read_text(encoding="utf-8")
