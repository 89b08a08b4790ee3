"""A linear model: what a transformer has to beat.

    python benchmarks/bench_linear.py --data_file train.csv --work_dir DIR
    python benchmarks/bench_linear.py --train_file TRAIN.json --valid_file DEV.json --work_dir DIR

With `--data_file` it learns from 80 % of the sentences and is scored on the rest, as the other
benchmarks. Logistic regression on character n-grams of the sentence, of the text between and around
the entities and of the entities themselves, their types and their order. Nothing is drawn at
random, so one run is enough. Ends with a table and writes DIR/linear.csv, which
`src/evaluation.py --compare` takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import _path  # noqa: F401
from kore.common.resources import find_file
from kore.data.label_files import load_label_map
from kore.data.options import SchemaOptions
from kore.data.rows import read_examples
from kore.data.schema import Example
from kore.evaluation.score_table import GoldRows, as_markdown, score_rows
from kore.prediction.predictions import write_submission
from mini_runs import split_by_sentence

AROUND = 10  # characters on both sides of an entity


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    train, valid = (
        read_examples(file, need_labels=True) for file in (args.train_file, args.valid_file)
    )
    labels = load_label_map(SchemaOptions.label2id_path)
    features = Features()
    model = LogisticRegression(C=args.strength, max_iter=200)
    model.fit(features.learn(train), labels.index(str(row.label) for row in train))
    probs = np.zeros((len(valid), len(labels)))
    probs[:, model.classes_] = model.predict_proba(features.of(valid))
    write_submission(args.work_dir / "linear.csv", [row.id for row in valid], probs, labels)
    gold = GoldRows.of(valid, train, labels, args.target_prior)
    print(as_markdown(score_rows(gold, {"logistic regression": [probs]}, resamples=1)))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The flags; where all examples are in one file it is split, and the two parts are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data_file", type=Path, help="all labelled examples, to be split by sentence")
    add("--train_file", type=Path, help="those to learn from, with --valid_file")
    add("--valid_file", type=Path, help="those to score on")
    add("--work_dir", required=True, type=Path, help="folder for the split and the predictions")
    add("--target_prior", type=find_file, help="JSON of class shares to score under as well")
    add("--strength", type=float, default=10.0, help="C of the regression [10]")
    args = parser.parse_args(arguments)
    files = (args.train_file, args.valid_file)
    if (None in files) if args.data_file is None else files != (None, None):
        parser.error("pass either --data_file or both --train_file and --valid_file")
    if args.data_file is not None:
        split_by_sentence(args.data_file, args.work_dir)
        args.train_file, args.valid_file = (
            args.work_dir / f"{part}_data.csv" for part in ("train", "valid")
        )
    return args


class Features:
    """Characters, types and order -> sparse columns; what is counted is learned once."""

    def __init__(self) -> None:
        self.texts = [
            (
                text,
                TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=3, sublinear_tf=True),
            )
            for text in TEXTS
        ]
        self.facts = DictVectorizer()

    def learn(self, rows: Sequence[Example]) -> csr_matrix:
        """(N, features) of the training rows."""
        parts = [counted.fit_transform(map(text, rows)) for text, counted in self.texts]
        return hstack([*parts, self.facts.fit_transform(map(facts, rows))], format="csr")

    def of(self, rows: Sequence[Example]) -> csr_matrix:
        """(N, features) of other rows, in the same columns."""
        parts = [counted.transform(map(text, rows)) for text, counted in self.texts]
        return hstack([*parts, self.facts.transform(map(facts, rows))], format="csr")


def between(row: Example) -> str:
    """From one entity to the other."""
    first, second = sorted((row.subject.span, row.object.span))
    return row.sentence[first.end : second.start]


def around(row: Example) -> str:
    """The characters before and behind both entities, the entities as letters."""
    sides: list[str] = []
    for mark, entity in (("S", row.subject), ("O", row.object)):
        start, end = entity.span
        before = row.sentence[max(0, start - AROUND) : start]
        sides.append(f"{before}{mark}{row.sentence[end : end + AROUND]}")
    return " | ".join(sides)


def facts(row: Example) -> dict[str, float]:
    """Types, their pair and the order."""
    pair = f"{row.subject.type} {row.object.type}"
    order = "subject first" if row.subject.span < row.object.span else "object first"
    names = (f"s {row.subject.type}", f"o {row.object.type}", pair, order, f"{pair} {order}")
    return dict.fromkeys(names, 1.0)


TEXTS: Iterable[Callable[[Example], str]] = (
    lambda row: row.sentence,
    lambda row: row.subject.word,
    lambda row: row.object.word,
    between,
    around,
)


if __name__ == "__main__":
    main()
