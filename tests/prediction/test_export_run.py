"""The export command: what it writes predicts as the checkpoint does, and says what it costs."""

from __future__ import annotations

import ast
import csv
import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from tests.builders import EXAMPLES, LABELS, make_trained
from tests.runs import assert_one_sentence, command

import export
import inference
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.sample_run import make_sample
from kore.data.schema import Example
from kore.network.checkpoint import TrainedModel, load_model, save_model
from kore.prediction import export_run
from kore.scoring.metrics import score

FORMATS = {"hf": "run_hf", "onnx": "run.onnx", "onnx-int8": "run.int8.onnx"}


def real_rows() -> list[Example]:
    """Rows of written Korean, of many lengths, with labels of the small model."""
    rows = [*EXAMPLES, *make_sample(300, seed=7).test]
    names = LABELS.names
    return [row._replace(id=str(i), label=names[i % len(names)]) for i, row in enumerate(rows)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """models/run.pth, rows.csv, and what the three formats make of the checkpoint."""
    folder = tmp_path_factory.mktemp("export")
    save_model(folder / "models" / "run.pth", make_trained("roberta"))
    write_examples(folder / "rows.csv", real_rows())
    return folder


@pytest.fixture(scope="module")
def printed(folder) -> dict[str, str]:
    """What each export said."""
    said = {}
    for name in ("hf", "onnx"):
        with redirect_stdout(io.StringIO()) as stdout:
            export.main(flags(folder, format=name))
        said[name] = stdout.getvalue()
    done = command("tools/export.py", *flags(folder, format="onnx-int8"))  # as a user does
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {**said, "onnx-int8": done.stdout}


def flags(folder: Path, **changes: object) -> list[str]:
    chosen = {
        "model_file": folder / "models" / "run.pth",
        "model_dir": folder / "models",
        "valid_file": folder / "rows.csv",
        "output_dir": folder / "outputs",
        **changes,
    }
    return [text for name, value in chosen.items() for text in (f"--{name}", str(value))]


def predict(folder: Path, model: str, precision: str = "fp32") -> np.ndarray:
    """(N, C) probabilities of rows.csv by src/inference.py."""
    output = folder / "outputs" / "predicted.csv"
    inference.main(
        [
            *("--model_file", model, "--model_dir", str(folder / "models")),
            *("--test_file", str(folder / "rows.csv"), "--output_dir", str(output.parent)),
            *("--output_name", output.name, "--use_cuda", "False", "--precision", precision),
        ]
    )
    with output.open(encoding="utf-8", newline="") as file:
        return np.array([ast.literal_eval(row["probs"]) for row in csv.DictReader(file)])


@pytest.mark.parametrize(("name", "tolerance"), [("hf", 1e-9), ("onnx", 1e-5)])
def test_an_export_predicts_as_its_checkpoint(folder, printed, name, tolerance):
    expected = predict(folder, "run.pth")
    assert expected.std(axis=0).min() > 0.005  # the rows are told apart
    np.testing.assert_allclose(predict(folder, FORMATS[name]), expected, atol=tolerance)


def test_int8_is_near_its_checkpoint_and_its_f1_change_is_printed(folder, printed):
    gold = np.array(LABELS.index(str(row.label) for row in real_rows()))
    probs = [predict(folder, model) for model in ("run.pth", FORMATS["onnx-int8"])]
    before, after = (score(gold, one, LABELS) for one in probs)
    assert 0 < np.abs(probs[0] - probs[1]).max() < 0.3
    text = printed["onnx-int8"]
    rows = {
        line.split()[0]: line.split()[1:]
        for line in text.splitlines()
        if line.startswith(("checkpoint", "onnx-int8", "change"))
    }
    assert rows["checkpoint"] == [f"{before.micro_f1:.2f}", f"{before.auprc:.2f}"]
    assert rows["onnx-int8"] == [f"{after.micro_f1:.2f}", f"{after.auprc:.2f}"]
    changes = (after.micro_f1 - before.micro_f1, after.auprc - before.auprc)
    assert rows["change"] == [f"{change:+.2f}" for change in changes]
    assert rows["change"] != ["+0.00", "+0.00"]
    changed = int((probs[0].argmax(axis=1) != probs[1].argmax(axis=1)).sum())
    assert f"{changed} examples are given another relation" in text


def test_where_it_is_and_how_large_is_said(folder, printed):
    for name, file in FORMATS.items():
        path = folder / "models" / file
        said = re.search(r"exported as (\S+): (\S+) \(([\d.]+) MiB\)", printed[name])
        assert said is not None
        assert said.groups()[:2] == (name, str(path))
        assert float(said[3]) == pytest.approx(export_run.size_mib(path), abs=0.06)


def test_the_export_of_an_exported_folder_is_the_same(folder, printed, tmp_path):
    output = tmp_path / "again.onnx"
    source = folder / "models" / "run_hf"
    export.main(flags(folder, model_file=source, format="onnx", output_file=output, valid_file=""))
    assert output.read_bytes() == (folder / "models" / "run.onnx").read_bytes()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"format": "tflite"}, ["--format", "'tflite'", "onnx-int8"]),
        ({"format": "onnx-int8", "valid_file": ""}, ["--valid_file is missing"]),
        ({"model_file": "none.pth"}, ["none.pth", "no such checkpoint"]),
        ({"valid_file": "none.csv"}, ["none.csv: no such file"]),
        ({"batch_tokens": 0}, ["--batch_tokens is 0"]),
        ({"format": "onnx", "output_file": "run.pth"}, ["run.pth", "ends in .onnx"]),
    ],
)
def test_mistakes_end_in_one_sentence(folder, changes, parts):
    with pytest.raises(UserError) as caught:
        export.main(flags(folder, **changes))
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_ends_the_command_with_status_2(folder):
    changed = flags(folder, format="onnx-int8", valid_file="")
    assert_one_sentence(command("tools/export.py", *changed), "--valid_file is missing")


def test_nothing_but_an_earlier_export_is_replaced(folder, printed, tmp_path):
    (tmp_path / "own").mkdir()
    for target in (tmp_path / "own", folder / "models" / "run.pth"):
        with pytest.raises(UserError, match="no folder that KoRE exported"):
            export.main(flags(folder, format="hf", output_file=target))
    path = folder / "models" / "run.onnx"
    with pytest.raises(UserError, match="is the model itself"):
        export.main(flags(folder, format="onnx", model_file=path, output_file=path))
    with pytest.raises(UserError, match="only predicts"):
        export.main(flags(folder, format="onnx", model_file=path, output_file=tmp_path / "a.onnx"))
    assert list(tmp_path.iterdir()) == [tmp_path / "own"]


def test_labels_that_the_model_does_not_know(folder, tmp_path):
    write_examples(tmp_path / "rows.csv", [EXAMPLES[0]._replace(label="per:unheard_of")])
    with pytest.raises(UserError, match="'per:unheard_of' is not one of the 3 relations"):
        export.main(flags(folder, format="onnx", valid_file=tmp_path / "rows.csv"))


def test_a_graph_that_computes_something_else_is_not_written(folder, monkeypatch, tmp_path):
    """Should a coming version of torch translate an operator wrongly."""

    def of_another_model(trained: TrainedModel, int8: bool) -> bytes:
        return (folder / "models" / "run.int8.onnx").read_bytes()

    monkeypatch.setattr(export_run, "onnx_bytes", of_another_model)
    with pytest.raises(RuntimeError, match="differs by"):
        export.main(flags(folder, format="onnx", output_file=tmp_path / "wrong.onnx"))
    assert not (tmp_path / "wrong.onnx").exists()


def test_the_newest_checkpoint_is_never_an_export(folder, printed):
    options = ["--model_dir", str(folder / "models"), "--format", "hf"]
    export.main([*options, "--output_file", str(folder / "newest_hf")])
    assert load_model(folder / "newest_hf").scores == {"epoch": 2, "micro_f1": 51.25}
