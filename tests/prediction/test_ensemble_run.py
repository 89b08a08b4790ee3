"""Ensembles from files and from checkpoints, and what cannot be joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.builders import EXAMPLES, LABELS, make_trained

import ensemble
import inference
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.records import write_examples
from kore.data.schema import LabelMap
from kore.network.checkpoint import save_model
from kore.prediction import ensemble_run
from kore.prediction.predictions import read_schema, read_submission, write_submission
from kore.prediction.predictor import Predictor, predict_examples

IDS = [row.id for row in EXAMPLES]
FIRST = np.tile([0.6, 0.3, 0.1], (len(IDS), 1))
SECOND = np.tile([0.1, 0.8, 0.1], (len(IDS), 1))


def write(path: Path, probs: np.ndarray, ids: list[str] = IDS, labels: LabelMap = LABELS) -> str:
    write_submission(path, ids, probs, labels)
    return str(path)


def join(folder: Path, members: list[str], **flags: Any) -> np.ndarray:
    """The probabilities of the ensemble."""
    given = [f"--{name}={value}" for name, value in flags.items()]
    ensemble.main([*members, f"--output_dir={folder}", "--use_cuda=False", *given])
    found = read_submission(folder / "ensemble.csv", LABELS)
    assert found.ids == IDS
    return found.probs


@pytest.fixture
def members(tmp_path: Path) -> list[str]:
    """The second file holds its rows backwards."""
    second = write(tmp_path / "b.csv", SECOND, IDS[::-1])
    return [write(tmp_path / "a.csv", FIRST), second]


def test_soft_vote_of_two_files(members: list[str], tmp_path: Path) -> None:
    probs = join(tmp_path, members)
    assert probs[0] == pytest.approx([0.35, 0.55, 0.1])
    assert read_schema(tmp_path / "ensemble.csv") == LABELS
    weighted = join(tmp_path, members, weights="3,1")
    assert weighted[0] == pytest.approx([0.475, 0.425, 0.1])


def test_rows_are_matched_by_id(tmp_path: Path) -> None:
    ramp = np.linspace(0, 0.5, len(IDS))
    probs = np.stack([ramp, 1 - ramp, 0 * ramp], axis=1)
    one = write(tmp_path / "a.csv", probs)
    other = write(tmp_path / "b.parquet", probs[::-1], IDS[::-1])
    assert join(tmp_path, [one, other]) == pytest.approx(probs)


def test_hard_vote(members: list[str], tmp_path: Path) -> None:
    """A tie of one vote each: the mean decides."""
    probs = join(tmp_path, members, method="hard")
    assert probs[0] == pytest.approx([(1 + 0.35) / 3, (1 + 0.55) / 3, 0.1 / 3])


def test_checkpoints_predict_and_are_joined(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    write_examples(rows, EXAMPLES)
    models = []
    for kind in ("bert", "mini"):
        save_model(tmp_path / f"{kind}.pth", make_trained(kind))
        models.append(str(tmp_path / f"{kind}.pth"))
    probs = join(tmp_path, models, test_file=rows, precision="fp32")
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    expected = [
        predict_examples(make_trained(kind), EXAMPLES, accelerator) for kind in ("bert", "mini")
    ]
    assert probs == pytest.approx(np.mean(expected, axis=0), abs=1e-6)
    assert np.abs(expected[0] - expected[1]).max() > 0.01


def test_checkpoints_of_one_name_are_told_apart(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    write_examples(rows, EXAMPLES)
    models = [tmp_path / kind / "run.pth" for kind in ("bert", "mini")]
    for path in models:
        path.parent.mkdir()
        save_model(path, make_trained(path.parent.name))
    join(tmp_path, list(map(str, models)), test_file=rows, precision="fp32")
    names = ("run_rows.csv", "run_rows-2.csv", "ensemble.csv")
    one, other, joined = (read_submission(tmp_path / name, LABELS).probs for name in names)
    assert np.abs(one - other).max() > 0.01
    assert joined == pytest.approx((one + other) / 2, abs=1e-6)


def test_a_file_of_the_name_that_a_checkpoint_predicts_to_is_kept(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    write_examples(rows, EXAMPLES)
    save_model(tmp_path / "run.pth", make_trained())
    given = write(tmp_path / "run_rows.csv", FIRST)
    probs = join(tmp_path, [str(tmp_path / "run.pth"), given], test_file=rows)
    assert read_submission(tmp_path / "run_rows.csv", LABELS).probs == pytest.approx(FIRST)
    assert not np.allclose(probs, FIRST)


def test_predictions_of_inference_with_other_options_are_kept(tmp_path: Path) -> None:
    rows, model = tmp_path / "rows.csv", tmp_path / "run.pth"
    write_examples(rows, EXAMPLES)
    save_model(model, make_trained())
    where = [f"--test_file={rows}", f"--output_dir={tmp_path}", "--use_cuda=False"]
    inference.main([f"--model_file={model}", *where, "--abstain_below=0.9"])
    before = (tmp_path / "run_rows.csv").read_bytes()
    assert b"abstain" in before
    first = write(tmp_path / "a.csv", FIRST)
    join(tmp_path, [str(model), first], test_file=rows)
    assert (tmp_path / "run_rows.csv").read_bytes() == before
    assert b"abstain" not in (tmp_path / "run_rows-2.csv").read_bytes()


def test_a_repeated_ensemble_takes_what_its_members_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, model = tmp_path / "rows.csv", tmp_path / "run.pth"
    write_examples(rows, EXAMPLES)
    save_model(model, make_trained())
    members = [str(model), write(tmp_path / "a.csv", FIRST)]
    probs = join(tmp_path, members, test_file=rows)
    names = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(Predictor, "probs", lambda *_: pytest.fail("predicted once more"))
    assert join(tmp_path, members, test_file=rows).tolist() == probs.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_several_processes_are_refused(
    members: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="leave accelerate launch out"):
        join(tmp_path, members)


def test_interrupted_while_a_member_predicts(
    members: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(options: Any) -> Path:
        raise KeyboardInterrupt("continue with --resume")  # a flag that an ensemble has not

    monkeypatch.setattr(ensemble_run, "predict_file", interrupted)
    save_model(tmp_path / "run.pth", make_trained())
    with pytest.raises(KeyboardInterrupt, match="Give the same command once more"):
        join(tmp_path, [members[0], str(tmp_path / "run.pth")])


def test_weights_are_fitted_on_labelled_rows(members: list[str], tmp_path: Path) -> None:
    """The gold rows are all of relation 1, of which the second file is surer in every row."""
    gold = tmp_path / "gold.csv"
    write_examples(gold, [row._replace(label=LABELS.names[1]) for row in EXAMPLES])
    probs = join(tmp_path, members, weights="fit", gold_file=gold)
    assert probs == pytest.approx(SECOND, abs=1e-3)
    swapped = ",".join(members[::-1])
    probs = join(tmp_path, members, weights="fit", gold_file=gold, valid_predictions=swapped)
    assert probs == pytest.approx(FIRST, abs=1e-3)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"method": "hard", "weights": "1,2"}, "--weights go with --method soft"),
        ({"weights": "1,2,3"}, "--weights has 3 numbers, but there are 2 members"),
        ({"weights": "1,x"}, "--weights 1,x: expected numbers"),
        ({"weights": "-1,2"}, "expected numbers from 0 on"),
        ({"weights": "0,0"}, "expected numbers from 0 on"),
        ({"weights": "nan,1"}, "expected numbers from 0 on"),
        ({"weights": "fit"}, "--weights fit needs --gold_file"),
        ({"gold_file": "g.csv"}, "go with --weights fit"),
        ({"output_name": "a.csv"}, r"a\.csv is one of the files it is made of"),
        ({"output_name": "a.xlsx"}, "expected a name that ends in"),
        (
            {"weights": "fit", "gold_file": "g.csv", "valid_predictions": "a.csv"},
            "--valid_predictions names 1 files, but there are 2 members",
        ),
    ],
)
def test_mistakes(members: list[str], tmp_path: Path, flags: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        join(tmp_path, members, **flags)
    assert not (tmp_path / "ensemble.csv").exists()


def test_gold_is_not_replaced(members: list[str], tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    write_examples(gold, [row._replace(label=LABELS.names[1]) for row in EXAMPLES])
    content = gold.read_bytes()
    with pytest.raises(UserError, match=r"gold\.csv is one of the files it is made of"):
        join(tmp_path, members, weights="fit", gold_file=gold, output_name="gold.csv")
    assert gold.read_bytes() == content


def test_other_schemas_and_rows_are_refused(members: list[str], tmp_path: Path) -> None:
    order = LabelMap(LABELS.names[::-1], LABELS.no_relation)
    turned = write(tmp_path / "turned.csv", FIRST, labels=order)
    with pytest.raises(UserError, match=r"turned\.csv: its relations, their order"):
        join(tmp_path, [members[0], turned])
    short = write(tmp_path / "short.csv", FIRST[1:], IDS[1:])
    with pytest.raises(UserError, match=rf"short\.csv: .*{IDS[0]!r} is missing"):
        join(tmp_path, [members[0], short])
    with pytest.raises(UserError, match=rf"a\.csv: {len(IDS)} rows, but .*short\.csv has"):
        join(tmp_path, [short, members[0]])
    with pytest.raises(UserError, match="two members at least"):
        join(tmp_path, members[:1])
    with pytest.raises(UserError, match="no such file"):
        join(tmp_path, [members[0], str(tmp_path / "gone.csv")])
    with pytest.raises(UserError, match="no such checkpoint"):
        join(tmp_path, [members[0], str(tmp_path / "gone.pth")])
