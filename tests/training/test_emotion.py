"""Training, prediction, votes and folds of many labels, and the losses by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.runs import as_flags, assert_one_sentence, command, read_json, save_tiny_bert
from torch.nn import functional

import evaluation
import inference_emotion
import train_emotion
from kore.common.errors import UserError
from kore.common.flags import AUTO, parse_options
from kore.data.emotion import JudgedText, read_judged
from kore.data.options import SampleOptions
from kore.data.sample_run import write_sample
from kore.data.schema import Span
from kore.network.emotion import EmotionClassifier
from kore.network.emotion_file import load_emotions
from kore.prediction.api import compute_on
from kore.prediction.judging import Judge
from kore.training.emotion import asymmetric_loss, make_loss
from kore.training.emotion_options import TrainEmotionOptions

CPU = compute_on("cpu", AUTO)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample data, an encoder and a trained model."""
    folder = tmp_path_factory.mktemp("emotion")
    write_sample(SampleOptions(data_dir=str(folder), num_rows=300))
    save_tiny_bert(folder / "tiny")
    train_emotion.main(flags(folder, run_name="first"))
    return folder


def flags(folder: Path, **changed: Any) -> list[str]:
    chosen = {
        "train_file": folder / "emotion_data.jsonl",
        "model_name_or_path": folder / "tiny",
        "model_dir": folder / "models",
        "output_dir": folder / "outputs",
        "num_epochs": 2,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "max_length": 48,
        **changed,
    }
    return as_flags(**chosen)


def predicted(folder: Path, output_name: str, *more: str, **changed: Any) -> list[dict[str, Any]]:
    chosen = {
        "test_file": folder / "emotion_data.jsonl",
        "output_dir": folder / "outputs",
        "output_name": output_name,
        "precision": "fp32",
        **changed,
    }
    inference_emotion.main([*as_flags(**chosen), *more])
    lines = (folder / "outputs" / output_name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_model_learns_is_written_and_predicts_in_the_form_it_was_given(
    shared_folder: Path,
) -> None:
    trained = load_emotions(shared_folder / "models" / "first.pth")
    log = (shared_folder / "models" / "first" / "log.csv").read_text(encoding="utf-8").splitlines()
    assert len(log) == 3
    assert (shared_folder / "models" / "first" / "learning_curve.png").exists()
    texts = read_judged(shared_folder / "emotion_data.jsonl")
    rows = predicted(
        shared_folder,
        "p.jsonl",
        *("--model_file", str(shared_folder / "models" / "first.pth")),
        probs=True,
    )
    found = Judge({"first": trained}, CPU)(texts)
    for row, text, truths, probs in zip(rows, texts, found.truths, found.probs, strict=True):
        assert (row["id"], row["input"]) == (text.id, text.record["input"])
        expected = dict(zip(trained.labels, map(str, truths), strict=True))
        assert row["output"] == expected
        assert list(row["probs"].values()) == pytest.approx(probs.tolist(), abs=1e-6)


def test_evaluation_scores_and_draws_the_prediction(
    shared_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(shared_folder / "models" / "first.pth")
    predicted(shared_folder, "q.jsonl", "--model_file", model, probs=True)
    report = shared_folder / "report"
    options = as_flags(
        task="emotion",
        prediction_file=shared_folder / "outputs" / "q.jsonl",
        gold_file=shared_folder / "emotion_data.jsonl",
        output_dir=report,
    )
    evaluation.main(options)
    scores = read_json(report / "scores.json")
    assert set(scores) == {"micro_f1", "macro_f1", "exact_match", "ece", "labels"}
    assert len(scores["labels"]) == 8
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 9
    assert "data:image/png;base64," in page
    assert "micro f1" in capsys.readouterr().out
    other = shared_folder / "other.jsonl"
    lines = (shared_folder / "emotion_data.jsonl").read_text(encoding="utf-8").splitlines()
    other.write_text("\n".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(UserError, match="lacks 1 texts"):
        evaluation.main([*options, "--prediction_file", str(other)])


def test_a_resumed_run_has_the_same_weights(shared_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").symlink_to(shared_folder / "tiny")
    (tmp_path / "emotion_data.jsonl").symlink_to(shared_folder / "emotion_data.jsonl")

    class StopError(Exception):
        pass

    from kore.training import trainer

    with pytest.MonkeyPatch.context() as patch:
        finish = trainer.Trainer._finish_epoch

        def stop(self: Any) -> None:
            finish(self)
            raise StopError

        patch.setattr(trainer.Trainer, "_finish_epoch", stop)
        with pytest.raises(StopError):
            train_emotion.main(flags(tmp_path, run_name="first", save_steps=5))
    train_emotion.main([*flags(tmp_path, run_name="first", save_steps=5), "--resume"])
    both = [
        load_emotions(folder / "models" / "first.pth").model.state_dict()
        for folder in (shared_folder, tmp_path)
    ]
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[0])


def test_several_checkpoints_vote(shared_folder: Path) -> None:
    models = {
        name: load_emotions(shared_folder / "models" / "first.pth") for name in ("a", "b", "c")
    }
    texts = read_judged(shared_folder / "emotion_data.jsonl")[:20]
    for shift, trained in zip((2.5, 2.5, -3.0), models.values(), strict=True):
        last: Any = trained.model.head[-1]
        last.bias.data += shift
    single = [Judge({name: trained}, CPU)(texts) for name, trained in models.items()]
    soft, hard = (Judge(models, CPU, vote)(texts) for vote in ("soft", "hard"))
    mean = np.mean([one.probs for one in single], axis=0)
    assert soft.probs == pytest.approx(mean)
    assert (soft.truths == (mean >= 0.5)).all()
    votes = sum(one.truths.astype(int) for one in single)
    assert (hard.truths == (votes >= 2)).all()
    assert (hard.truths != soft.truths).any()
    last = models["c"]
    reordered = tuple(reversed(last.labels))
    head: Any = last.model.head[-1]
    head.weight.data, head.bias.data = head.weight.data.flip(0), head.bias.data.flip(0)
    last.labels = reordered  # as a training file with another order makes it
    assert Judge(models, CPU)(texts).probs == pytest.approx(mean)
    last.labels = (*reordered[1:], "another")
    with pytest.raises(UserError, match="only models of the same labels can vote"):
        Judge(models, CPU)


def test_folds_judge_every_text_once(
    shared_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_emotion.main(flags(shared_folder, run_name="cv", num_folds=2, num_epochs=1))
    rows = (shared_folder / "outputs" / "cv_oof.jsonl").read_text(encoding="utf-8").splitlines()
    texts = read_judged(shared_folder / "emotion_data.jsonl")
    assert [json.loads(line)["id"] for line in rows] == [text.id for text in texts]
    held = [
        {text.form for text in read_judged(shared_folder / "models" / "cv" / fold / "valid.jsonl")}
        for fold in ("fold1", "fold2")
    ]
    assert not held[0] & held[1]
    printed = capsys.readouterr().out
    assert "--vote soft" in printed
    members = [str(shared_folder / "models" / f"cv-fold{fold}.pth") for fold in (1, 2)]
    voted = predicted(shared_folder, "v.jsonl", "--model_file", *members, "--vote", "hard")
    assert len(voted) == len(texts)


def test_thresholds_are_fitted_on_the_validation_texts(shared_folder: Path) -> None:
    train_emotion.main(flags(shared_folder, run_name="fitted", thresholds="fitted", num_epochs=1))
    fitted = load_emotions(shared_folder / "models" / "fitted.pth")
    assert (fitted.model.thresholds != 0.5).any()
    plain = load_emotions(shared_folder / "models" / "first.pth")
    assert (plain.model.thresholds == 0.5).all()


def test_spellings_of_the_origin_are_taken() -> None:
    options = parse_options(
        TrainEmotionOptions, ["--removing-others", "yes", "--cleansing", "no", "--loss", "asl"]
    )
    assert (options.remove_others, options.cleansing) == (True, False)


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"model_name_or_path": "mini"}, ["--model_name_or_path mini", "kore-mini"]),
        ({"num_folds": 2, "valid_file": "x.jsonl"}, ["leave --valid_file out"]),
        ({"num_folds": 1}, ["--num_folds is 1"]),
        ({"valid_ratio": 0.0001}, ["too few to hold 0% of them out"]),
    ],
)
def test_what_cannot_be_trained_has_one_sentence(
    shared_folder: Path, changed: dict[str, Any], parts: list[str]
) -> None:
    result = command("train_emotion.py", *flags(shared_folder, run_name="bad", **changed))
    assert_one_sentence(result, *parts)


def test_a_checkpoint_of_another_task_is_refused(shared_folder: Path, tmp_path: Path) -> None:
    model = str(shared_folder / "models" / "first.pth")
    data = str(shared_folder / "test_data.csv")
    result = command("inference.py", "--model_file", model, "--test_file", data)
    assert_one_sentence(result, "first.pth")
    result = command("inference_emotion.py", "--model_dir", str(tmp_path), "--test_file", data)
    assert_one_sentence(result, "holds no checkpoint of emotions")


def test_the_target_decides(shared_folder: Path) -> None:
    """Another target in the same sentence gives other probabilities."""
    judge = Judge({"first": load_emotions(shared_folder / "models" / "first.pth")}, CPU)
    form = "나는 비틀즈를 사랑하고 조지를 미워한다."
    targets = (Span(3, 6), Span(13, 15), None)
    probs = judge([JudgedText("a", form, target, None, {}) for target in targets]).probs
    assert len({tuple(row) for row in probs.round(6).tolist()}) == 3


def test_evaluation_mode_gives_logits_whose_softmax_is_the_sigmoid(shared_folder: Path) -> None:
    trained = load_emotions(shared_folder / "models" / "first.pth")
    model: EmotionClassifier = trained.model
    rows = trained.encoder.encode(read_judged(shared_folder / "emotion_data.jsonl")[:3], quiet=True)
    batch = trained.encoder.collate(rows)
    for module in model.modules():
        if hasattr(module, "p"):
            setattr(module, "p", 0.0)  # noqa: B010
    with torch.no_grad():
        plain = model.train()(*batch.inputs)
        both = model.eval()(*batch.inputs)
    expected = torch.sigmoid(plain / model.temperature)
    assert torch.allclose(both.softmax(-1)[..., 1], expected, atol=1e-5)


LOGITS = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 0.0, 4.0]])
TRUTHS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


def loss_of(**changed: Any) -> torch.Tensor:
    options = parse_options(TrainEmotionOptions, as_flags(**changed))
    return make_loss(options)(LOGITS, TRUTHS)


def test_losses_against_their_formulas() -> None:
    expected = functional.binary_cross_entropy_with_logits(LOGITS, TRUTHS, reduction="none")
    assert torch.allclose(loss_of(loss="bce"), expected.mean(dim=1))
    probs = LOGITS.sigmoid()
    error = torch.where(TRUTHS == 1, 1 - probs, probs)
    assert torch.allclose(loss_of(loss="focal", gamma=2.0), (error**2 * expected).mean(dim=1))
    shifted = (probs - 0.05).clamp(min=0)
    asymmetric = torch.where(
        TRUTHS == 1, -(1 - probs) * probs.log(), -(shifted**4) * (1 - shifted).log()
    )
    for name in ("asl", "asl2"):
        assert torch.allclose(loss_of(loss=name), asymmetric.mean(dim=1))


def test_the_two_asymmetric_losses_differ_in_their_gradients() -> None:
    """asl: as if the weights were constants; asl2: by finite differences of the whole."""
    grads: list[torch.Tensor] = []
    for has_gradient in (False, True):
        logits = LOGITS.double().requires_grad_()
        settings: dict[str, Any] = {"gamma_positive": 1.0, "gamma_negative": 4.0, "clip": 0.05}
        asymmetric_loss(logits, TRUTHS, **settings, has_gradient=has_gradient).sum().backward()
        assert logits.grad is not None
        grads.append(logits.grad)
    probs = LOGITS.sigmoid().double()
    shifted = (probs - 0.05).clamp(min=0)
    slope = probs * (1 - probs)
    constant = torch.where(
        TRUTHS == 1, -(1 - probs) * (1 - probs), shifted**4 * slope / (1 - shifted)
    )
    assert torch.allclose(grads[0], (constant / 3), atol=1e-5)
    step = 1e-2
    for place in ((0, 0), (1, 2)):
        moved = [LOGITS.clone(), LOGITS.clone()]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (
            asymmetric_loss(one, TRUTHS, **settings, has_gradient=True).sum() for one in moved
        )
        assert float(grads[1][place]) == pytest.approx(float(up - down) / (2 * step), rel=1e-2)
    assert not torch.allclose(grads[0], grads[1], atol=1e-4)
