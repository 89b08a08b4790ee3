"""An assessment in words: what the command prints, and the sentences of the HTML report."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kore.evaluation.assessment import Assessment
from kore.evaluation.error_analysis import BY_PAIR
from kore.scoring.label_shift import SAME_BALANCE, class_shares, distance
from kore.scoring.metrics import TITLES


def full_text(result: Assessment) -> str:
    """Everything but the slices, for a terminal."""
    lines = [headline(result), errors_line(result), *pair_lines(result)]
    lines += [*adjusted_lines(result), *comparison_lines(result)]
    with pd.option_context("display.unicode.east_asian_width", True):
        relations = result.relations().to_string(index=False, float_format="%.1f")
    return "\n".join([*lines, "", relations])


def headline(result: Assessment) -> str:
    """Examples and scores, the 95 % intervals in brackets."""
    shown = []
    for name, title in TITLES.items():
        bounds = result.intervals.get(name)
        inside = f" [{bounds.low:.2f}, {bounds.high:.2f}]" if bounds else ""
        shown.append(f"{title} {getattr(result.scores, name):.2f}{inside}")
    return (
        f"{result.scores.rows} examples   {'   '.join(shown)}   accuracy "
        f"{result.scores.accuracy:.2f}   calibration error {result.scores.ece:.2f}"
    )


def errors_line(result: Assessment) -> str:
    """How many examples were predicted wrongly, by kind of error."""
    kinds = result.kinds
    return (
        f"{sum(kinds) - kinds.right} errors: {kinds.false_relations} false relations, "
        f"{kinds.missed_relations} missed relations, {kinds.mix_ups} mix-ups"
    )


def pair_lines(result: Assessment) -> list[str]:
    """Scores of entity pairs that training has seen and of new ones, where that is known."""
    table = result.slices[result.slices["by"] == BY_PAIR]
    shown = [
        f"{line.rows} examples whose entity pair {line.value}: micro-F1 {line.micro_f1:.2f}"
        for line in table.itertuples()
    ]
    return ["; ".join(shown)] if shown else []


def adjusted_lines(result: Assessment) -> list[str]:
    """The scores under other class shares, and why they differ."""
    if result.adjusted is None:
        return []
    scores, adjusted, prior = result.scores, result.adjusted.scores, result.adjusted.prior
    shares = class_shares(result.gold, len(result.labels))
    moved = np.abs(prior - shares).argmax()
    apart = distance(prior, shares)
    reason = (
        f"{result.labels.names[moved]} is expected to be {100 * prior[moved]:.1f} % of the "
        f"examples and is {100 * shares[moved]:.1f} % here; {100 * apart:.0f} % of them would have "
        "to be of another relation"
        if apart > SAME_BALANCE
        else "the examples have nearly the expected shares"
    )
    missing = prior[shares == 0].sum()
    if missing > 0:
        reason += (
            f"; relations without an example here, {100 * missing:.1f} % of those expected, are "
            "left out"
        )
    return [
        f"With the expected class shares: micro-F1 {adjusted.micro_f1:.2f} instead of "
        f"{scores.micro_f1:.2f}, AUPRC {adjusted.auprc:.2f} instead of {scores.auprc:.2f} "
        f"({reason})"
    ]


def comparison_lines(result: Assessment) -> list[str]:
    """A line for each score compared with the other file's, and one for the examples."""
    comparison = result.comparison
    if comparison is None:
        return []
    lines = []
    for name, title in TITLES.items():
        found = comparison.differences.get(name)
        first, second = getattr(result.scores, name), getattr(comparison.scores, name)
        line = f"Compared with the other file: {title} {first:.2f} - {second:.2f}"
        line += f" = {first - second:+.2f}"
        if found is not None:
            low, high = found.interval
            line += f" [{low:+.2f}, {high:+.2f}], p {found.p:.3f}"
        lines.append(line)
    counts = comparison.mcnemar
    lines.append(
        f"Examples that only this file has right: {counts.only_first}, only the other: "
        f"{counts.only_second} (McNemar's p {counts.p:.3f})"
    )
    return lines
