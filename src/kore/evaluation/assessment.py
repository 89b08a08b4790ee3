"""All that can be said of predictions whose gold labels are known, as numbers and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from kore.common.arrays import Floats, Ints
from kore.common.resources import find_file
from kore.data.schema import Example, LabelMap
from kore.evaluation.error_analysis import BY_PAIR, ErrorKinds, error_kinds, slices
from kore.evaluation.options import EvaluationOptions
from kore.scoring.bootstrap import (
    Difference,
    Interval,
    McNemar,
    difference,
    interval,
    mcnemar,
    resampled_scores,
)
from kore.scoring.label_shift import (
    SAME_BALANCE,
    class_shares,
    distance,
    estimate_prior,
    read_prior,
    row_weights,
)
from kore.scoring.metrics import TITLES, Scores, score


@dataclass(frozen=True)
class Adjusted:
    """Scores with every row weighed so that the relations have the shares `prior` (C,)."""

    prior: Floats
    scores: Scores
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """The file beside another one of the same rows: first minus second."""

    scores: Scores  # of the other
    differences: dict[str, Difference]  # of micro_f1 and auprc; empty without resamples
    mcnemar: McNemar


@dataclass(frozen=True)
class Assessment:
    """gold (N,), probs (N, C) in the order of the examples; other (N, C) of the compared file."""

    examples: Sequence[Example]
    gold: Ints
    probs: Floats
    labels: LabelMap
    scores: Scores
    kinds: ErrorKinds
    slices: pd.DataFrame
    intervals: dict[str, Interval]  # of micro_f1 and auprc; empty without resamples
    adjusted: Adjusted | None
    other: Floats | None
    comparison: Comparison | None

    @cached_property
    def predicted(self) -> Ints:
        return self.probs.argmax(axis=1)

    def as_dict(self) -> dict[str, Any]:
        """What scores.json holds."""
        found: dict[str, Any] = self.scores.as_dict()
        found["errors"] = self.kinds._asdict()
        found["intervals"] = {name: list(bounds) for name, bounds in self.intervals.items()}
        if self.adjusted is not None:
            found["adjusted"] = {
                "micro_f1": self.adjusted.scores.micro_f1,
                "auprc": self.adjusted.scores.auprc,
                "accuracy": self.adjusted.scores.accuracy,
                "prior": dict(zip(self.labels.names, self.adjusted.prior.tolist(), strict=True)),
            }
        if self.comparison is not None:
            found["comparison"] = _comparison_dict(self.comparison)
        return found

    def text(self) -> str:
        """The same for a terminal, without the slices."""
        parts = [self.headline(), self.errors_line(), *self.pairs_line()]
        if self.adjusted is not None:
            parts.append(self.adjusted.sentence)
        if self.comparison is not None:
            parts += comparison_lines(self.scores, self.comparison)
        with pd.option_context("display.unicode.east_asian_width", True):
            rows = self.relations().to_string(index=False, float_format="%.1f")
        return "\n".join([*parts, "", rows])

    def headline(self) -> str:
        """Rows and scores, the intervals in brackets."""
        shown = []
        for name, title in TITLES.items():
            bounds = self.intervals.get(name)
            inside = f" [{bounds.low:.2f}, {bounds.high:.2f}]" if bounds else ""
            shown.append(f"{title} {getattr(self.scores, name):.2f}{inside}")
        return (
            f"{self.scores.rows} rows   {'   '.join(shown)}   accuracy "
            f"{self.scores.accuracy:.2f}   calibration error {self.scores.ece:.2f}"
        )

    def errors_line(self) -> str:
        """How many rows went wrong, by kind."""
        kinds = self.kinds
        return (
            f"{sum(kinds) - kinds.right} errors: {kinds.false_relations} false relations, "
            f"{kinds.missed_relations} missed relations, {kinds.mix_ups} mix-ups"
        )

    def pairs_line(self) -> list[str]:
        """What the score owes to pairs of entities learned by heart, where that is known."""
        table = self.slices[self.slices["by"] == BY_PAIR]
        if table.empty:
            return []
        shown = [
            f"{line.rows} rows whose pair of entities {line.value}: micro-F1 {line.micro_f1:.2f}"
            for line in table.itertuples()
        ]
        return ["; ".join(shown)]

    def relations(self) -> pd.DataFrame:
        """A line for each relation that occurs, the one with most gold rows first."""
        table = pd.DataFrame([vars(row) for row in self.scores.relations])
        table = table[(table["support"] > 0) | (table["predicted"] > 0)]
        return table.sort_values("support", ascending=False, kind="stable")


def assess(
    options: EvaluationOptions,
    examples: Sequence[Example],
    probs: Floats,
    labels: LabelMap,
    other: Floats | None = None,
    unlabelled: Floats | None = None,
    train_examples: Sequence[Example] = (),
) -> Assessment:
    """Everything about one file, and what `--compare` and `--target_prior` ask for.

    Args:
        examples: N rows with gold labels.
        probs: (N, C) of those rows.
        other: (N, C) of the file to compare with.
        unlabelled: (M, C) of the rows whose class shares are to be estimated.
        train_examples: the rows that were learned from, where they are known.

    Raises:
        UserError: the file of `--target_prior` is faulty.
    """
    gold = np.asarray(labels.index(str(example.label) for example in examples))
    scores = score(gold, probs, labels)
    files = [probs] if other is None else [probs, other]
    resampled: dict[str, Floats] = {}
    if options.resamples:
        resampled = resampled_scores(gold, files, labels, options.resamples, options.seed)
    adjusted = None
    if options.target_prior:
        prior = (
            read_prior(find_file(options.target_prior), labels)
            if unlabelled is None
            else estimate_prior(unlabelled, class_shares(gold, len(labels)))
        )
        adjusted = adjust(gold, probs, labels, scores, prior)
    return Assessment(
        examples=examples,
        gold=gold,
        probs=probs,
        labels=labels,
        scores=scores,
        kinds=error_kinds(gold, probs.argmax(axis=1), labels),
        slices=slices(examples, gold, probs.argmax(axis=1), labels, train_examples),
        intervals={name: interval(values[0]) for name, values in resampled.items()},
        adjusted=adjusted,
        other=other,
        comparison=None if other is None else _compared(gold, probs, other, labels, resampled),
    )


def adjust(gold: Ints, probs: Floats, labels: LabelMap, scores: Scores, prior: Floats) -> Adjusted:
    """Scores under the class shares `prior` (C,), and a sentence on why they differ."""
    adjusted = score(gold, probs, labels, row_weights(gold, prior))
    shares = class_shares(gold, len(labels))
    moved = np.abs(prior - shares).argmax()
    apart = distance(prior, shares)
    reason = (
        f"{labels.names[moved]} is {100 * prior[moved]:.1f} % of the rows expected and "
        f"{100 * shares[moved]:.1f} % of these, and {100 * apart:.0f} % of the rows would have to "
        "be of another relation"
        if apart > SAME_BALANCE
        else "these rows have nearly the shares that are expected"
    )
    missing = prior[shares == 0].sum()
    if missing > 0:
        reason += f"; {100 * missing:.1f} % are of relations without a row here and left out"
    sentence = (
        f"Under the class shares expected: micro-F1 {adjusted.micro_f1:.2f} instead of "
        f"{scores.micro_f1:.2f}, AUPRC {adjusted.auprc:.2f} instead of {scores.auprc:.2f} "
        f"({reason})"
    )
    return Adjusted(prior, adjusted, sentence)


def comparison_lines(scores: Scores, comparison: Comparison) -> list[str]:
    """A line for each score, and one for the rows."""
    lines = []
    for name, title in TITLES.items():
        found = comparison.differences.get(name)
        first, second = getattr(scores, name), getattr(comparison.scores, name)
        line = f"against the other file: {title} {first:.2f} - {second:.2f} = {first - second:+.2f}"
        if found is not None:
            low, high = found.interval
            line += f" [{low:+.2f}, {high:+.2f}], p {found.p:.3f}"
        lines.append(line)
    counts = comparison.mcnemar
    lines.append(
        f"rows that only this file has right: {counts.only_first}, only the other: "
        f"{counts.only_second}, McNemar's p {counts.p:.3f}"
    )
    return lines


def _compared(
    gold: Ints, probs: Floats, other: Floats, labels: LabelMap, resampled: dict[str, Floats]
) -> Comparison:
    first, second = score(gold, probs, labels), score(gold, other, labels)
    differences = {
        name: difference(getattr(first, name) - getattr(second, name), *values)
        for name, values in resampled.items()
    }
    tested = mcnemar(gold, probs.argmax(axis=1), other.argmax(axis=1))
    return Comparison(second, differences, tested)


def _comparison_dict(comparison: Comparison) -> dict[str, Any]:
    found: dict[str, Any] = {"mcnemar": comparison.mcnemar._asdict()}
    for name in TITLES:
        tested = comparison.differences.get(name)
        found[name] = {
            "other": getattr(comparison.scores, name),
            **({} if tested is None else tested._asdict()),
        }
    return found
