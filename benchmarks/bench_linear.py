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
from kore.common.arrays import Floats
from kore.common.resources import find_file
from kore.data.dataset import EncodedExample, padded_ngrams
from kore.data.label_files import load_label_map
from kore.data.ngrams import ngrams_of
from kore.data.options import SchemaOptions
from kore.data.rows import read_examples
from kore.data.schema import Example, Span
from kore.evaluation.score_table import GoldRows, as_markdown, score_rows
from kore.network.ngrams import NgramHead
from kore.prediction.predictions import write_submission
from kore.training.ngram_fit import fit_ngrams
from mini_runs import split_by_sentence

AROUND = 10  # characters on both sides of an entity
AT_ONCE = 256


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    train, valid = (
        read_examples(file, need_labels=True) for file in (args.train_file, args.valid_file)
    )
    labels = load_label_map(SchemaOptions.label2id_path)
    gold_numbers = labels.index(str(row.label) for row in train)
    if args.ngram_buckets:
        probs = hashed_probs(train, gold_numbers, valid, args.ngram_buckets, len(labels))
    else:
        features = Features()
        model = LogisticRegression(C=args.strength, max_iter=200)
        model.fit(features.learn(train), gold_numbers)
        probs = np.zeros((len(valid), len(labels)))
        probs[:, model.classes_] = model.predict_proba(features.of(valid))
    write_submission(args.work_dir / "linear.csv", [row.id for row in valid], probs, labels)
    gold = GoldRows.of(valid, train, labels, args.target_prior)
    print(as_markdown(score_rows(gold, {"logistic regression": [probs]}, resamples=1)))


def hashed_probs(
    train: Sequence[Example], gold: Sequence[int], valid: Sequence[Example], buckets: int, size: int
) -> Floats:
    """(N, C) of the linear part of a model that is trained with --ngram_buckets, by itself."""

    def rows_of(examples: Sequence[Example]) -> list[EncodedExample]:
        nowhere = Span(0, 0)
        return [
            EncodedExample([], nowhere, nowhere, False, ngrams=ngrams_of(row, buckets))
            for row in examples
        ]

    head = NgramHead(buckets, size)
    fit_ngrams(head, rows_of(train), gold, seed=0)
    rows = rows_of(valid)
    parts = []
    for start in range(0, len(rows), AT_ONCE):
        ngrams = padded_ngrams(rows[start : start + AT_ONCE])
        assert ngrams is not None
        parts.append(head(ngrams).double().softmax(dim=-1).numpy())
    return np.concatenate(parts)


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
    add(
        "--ngram_buckets",
        type=int,
        default=0,
        help="the linear part of a model trained with this flag, in place of scikit-learn's [0]",
    )
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
