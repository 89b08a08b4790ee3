"""KOTE: 44 emotions of Korean comments, the shipped encoder beside logistic regression.

    python benchmarks/bench_emotion.py --data_file kote_val.jsonl --work_dir runs

The first 4,000 texts are learned from, a tenth of them held out to choose the epoch and to fit a
threshold for each label; the other 1,000 are scored. Logistic regression reads character n-grams
(1 to 4, within words), with the same texts for its thresholds. Both are scored with thresholds of
0.5 and with fitted ones. Ends with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

import _path  # noqa: F401
import train_emotion
from kore.common.flags import AUTO
from kore.data.emotion import JudgedText, labels_of, read_judged, truths_of
from kore.data.splits import held_out
from kore.network.emotion_file import load_emotions
from kore.prediction.api import compute_on
from kore.prediction.judging import Judge
from kore.scoring.labels import DEFAULT_THRESHOLD, Truths, best_thresholds, score_labels

VALID_RATIO = 0.1


def write(path: Path, texts: Sequence[JudgedText]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{json.dumps(text.record, ensure_ascii=False)}\n" for text in texts)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def row_of(gold: Truths, probs: np.ndarray, fitted: np.ndarray, labels: Sequence[str]) -> dict:
    both = {"0.5": np.full(len(labels), DEFAULT_THRESHOLD), "fitted": fitted}
    return {
        f"{name}, thresholds {kind}": value
        for kind, thresholds in both.items()
        for name, value in score_labels(gold, probs >= thresholds, labels).as_dict().items()
    }


def linear(
    learned: Sequence[JudgedText],
    valid: Sequence[JudgedText],
    test: Sequence[JudgedText],
    labels: Sequence[str],
) -> dict:
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), min_df=2, sublinear_tf=True)
    features = vectors.fit_transform([text.form for text in learned])
    model = OneVsRestClassifier(LogisticRegression(C=10, max_iter=500))
    with warnings.catch_warnings(action="ignore"):  # of a label that is never true
        model.fit(features, truths_of(learned, labels))
    probs = [
        model.predict_proba(vectors.transform([text.form for text in part]))
        for part in (valid, test)
    ]
    fitted = best_thresholds(truths_of(valid, labels), probs[0])
    return row_of(truths_of(test, labels), probs[1], fitted, labels)


def encoder(
    train_file: Path,
    test: Sequence[JudgedText],
    labels: Sequence[str],
    work: Path,
    seed: int,
    more: Sequence[str],
) -> dict:
    name = f"kote-{seed}"
    flags = [
        *("--train_file", str(train_file), "--valid_ratio", str(VALID_RATIO)),
        *("--model_dir", str(work / "models"), "--output_dir", str(work), "--run_name", name),
        *("--batch_size", "32", "--num_epochs", "8", "--optimizer", "muon"),
        *("--thresholds", "fitted", "--seed", str(seed), *more),
    ]
    train_emotion.main(flags)
    trained = load_emotions(work / "models" / f"{name}.pth")
    found = Judge({name: trained}, compute_on("cpu", AUTO))(test)
    fitted = trained.model.thresholds.cpu().double().numpy()
    return row_of(truths_of(test, labels), found.probs, fitted, labels)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module; what it does not know are flags of train_emotion.py."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_file", required=True)
    parser.add_argument("--work_dir", required=True)
    parser.add_argument("--num_train", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=3)
    chosen, more = parser.parse_known_args(arguments)
    texts = read_judged(Path(chosen.data_file))
    train, test = texts[: chosen.num_train], texts[chosen.num_train :]
    labels = labels_of(train, chosen.data_file)
    held = held_out([text.form for text in train], VALID_RATIO, chosen.data_file)
    learned, valid = (
        [text for text in train if (text.form in held) is is_held] for is_held in (False, True)
    )
    work = Path(chosen.work_dir)
    train_file = write(work / "kote_train.jsonl", train)
    rows = {"logistic regression": [linear(learned, valid, test, labels)]}
    rows["the encoder"] = [
        encoder(train_file, test, labels, work, seed, more) for seed in range(chosen.seeds)
    ]
    names = list(rows["logistic regression"][0])
    print(f"| model | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for model, runs in rows.items():
        cells = []
        for name in names:
            values = [run[name] for run in runs]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        print(f"| {model} | {' | '.join(cells)} |")
    print(json.dumps(rows, ensure_ascii=False))


if __name__ == "__main__":
    main()
