"""Expected class shares at several strengths, by predictions of models that were trained without.

    python benchmarks/bench_prior.py --prediction_files outputs/seed_0.csv outputs/seed_1.csv \
        --gold_file klue-re-v1.1_dev_half.json --train_file data/train_data.csv

What `train.py --target_prior` puts into a model is added to its logits when it predicts, so that
predictions without it tell what each --target_prior_scope and --target_prior_strength would give.
Prints a table of both, each score the mean over the files and its standard deviation.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import _path  # noqa: F401
from kore.common.resources import find_file
from kore.data.label_files import load_label_map
from kore.data.options import SchemaOptions
from kore.data.rows import read_examples
from kore.evaluation.score_table import GoldRows, as_markdown, score_rows
from kore.prediction.predictions import read_submission
from kore.scoring.label_shift import among_relations, at_prior, gold_shares, log_odds, read_prior
from kore.training.options import EVERYTHING, RELATIONS

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
RESAMPLES = 500


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prediction_files", required=True, nargs="+", type=Path)
    parser.add_argument("--gold_file", required=True, type=Path)
    parser.add_argument("--train_file", required=True, type=Path)
    parser.add_argument("--target_prior", type=find_file, default=find_file("klue_dev_shares.json"))
    args = parser.parse_args(arguments)
    labels = load_label_map(SchemaOptions.label2id_path)
    gold, train = (
        read_examples(file, need_labels=True) for file in (args.gold_file, args.train_file)
    )
    ids = [row.id for row in gold]
    probs = []
    for path in args.prediction_files:
        given = read_submission(path, labels)
        if given.ids != ids:
            parser.error(f"{path} has other examples than {args.gold_file}, or another order")
        probs.append(given.probs)
    source, prior = gold_shares(train, labels), read_prior(args.target_prior, labels)
    targets = {EVERYTHING: prior, RELATIONS: among_relations(prior, source, labels)}
    rows = {"none": probs}
    for scope, strength in itertools.product(targets, STRENGTHS):
        odds = strength * log_odds(source, targets[scope])
        rows[f"{scope}, {strength}"] = [at_prior(own, odds) for own in probs]
    table = score_rows(GoldRows.of(gold, train, labels, None), rows, resamples=RESAMPLES)
    print(as_markdown(table))


if __name__ == "__main__":
    main()
