"""Scores for the class shares a user expects, instead of those of the labelled examples.

A hold-out of KLUE-RE's training examples has 29 % no_relation, KLUE's dev set 60 %: the same model
looks far better on the first. Weighing each example by how much more, or less, of its relation is
expected makes up for that, as long as the examples of a relation are alike in both ("label shift").
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kore.common.arrays import Floats, Ints
from kore.common.errors import UserError
from kore.common.files import read_json
from kore.data.schema import Example, LabelMap

SAME_BALANCE = 0.05  # class shares that lie no farther apart count as the same

_ROUNDING = 1e-6
_SMALLEST_SHARE = 1e-6  # what is expected never is expected almost never, which has a logarithm
_MOST_STEPS = 1_000
_SMALL_CHANGE = 1e-7


def class_shares(gold: Ints, num_labels: int) -> Floats:
    """(C,), the share of each relation among gold labels (N,)."""
    return np.bincount(gold, minlength=num_labels) / len(gold)


def gold_shares(examples: Iterable[Example], labels: LabelMap) -> Floats:
    """(C,), the share of each relation among labelled examples."""
    gold = np.asarray(labels.index(str(example.label) for example in examples))
    return class_shares(gold, len(labels))


def read_prior(path: Path, labels: LabelMap) -> Floats:
    """(C,) expected shares from a JSON file {"relation": share of 1, …}.

    Relations it does not name have equal parts of what is left.

    Raises:
        UserError: it is missing or damaged, names an unknown relation, or its shares do not add up.
    """
    if not path.is_file():
        raise UserError(f"`target_prior` {path}: no such file")
    given = read_json(path)
    if not isinstance(given, dict):
        raise UserError(f'{path}: expected an object such as {{"no_relation": 0.6}}')
    for name, share in given.items():
        if name not in labels.names:
            raise UserError(f"{path}: {name!r} is not one of the {len(labels)} relations")
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise UserError(f"{path}: {name!r} has {share!r}, expected a share between 0 and 1")
    left, others = 1 - sum(given.values()), len(labels) - len(given)
    if left < -_ROUNDING or (not others and left > _ROUNDING):
        raise UserError(f"{path}: the shares sum to {1 - left:.4g}, expected 1")
    equal_part = max(0.0, left) / max(1, others)
    return np.asarray([given.get(name, equal_part) for name in labels.names])


def among_relations(prior: Floats, source: Floats, labels: LabelMap) -> Floats:
    """(C,) shares whose relations are to one another as in `prior`, and no_relation as in `source`.

    Raises:
        UserError: `prior` has nothing but no_relation.
    """
    relations = labels.positive
    shares, rest = source.copy(), prior[relations].sum()
    if not rest:
        raise UserError("`target_prior` leaves nothing to the relations; give them shares")
    shares[relations] = prior[relations] * source[relations].sum() / rest
    return shares


def log_odds(source: Floats, target: Floats) -> Floats:
    """(C,) what logits need for probabilities learned under one set of shares to suit another.

    Saerens et al. 2002: p'(relation) is proportional to p(relation) * target / source.

    Args:
        source: (C,), the shares in training; a relation without an example stays as it is.
        target: (C,), the shares where the model is used.
    """
    odds = np.maximum(target, _SMALLEST_SHARE) / np.where(source > 0, source, 1.0)
    return np.where(source > 0, np.log(odds), 0.0)


def at_prior(probs: Floats, odds: Floats) -> Floats:
    """The probabilities (N, C) with `log_odds` (C,) added to their logits."""
    weighed = probs * np.exp(odds)
    return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))


def estimate_prior(probs: Floats, source: Floats) -> Floats:
    """(C,) shares of the relations in unlabelled examples, from what a model says of them.

    Saerens et al. 2002, "Adjusting the Outputs of a Classifier to New a Priori Probabilities", an
    expectation-maximisation that starts from the shares the model was calibrated on.

    Args:
        probs: (N, C), calibrated probabilities of the unlabelled examples.
        source: (C,), the relations' shares in the examples the model was calibrated on. An
            example whose probabilities are all on relations without a share says nothing of the
            others, and is left out.

    Raises:
        UserError: that leaves no example.
    """
    known = source > 0  # a relation without an example there cannot be weighed
    probs = probs[probs[:, known].sum(axis=1) > 0]
    if not len(probs):
        raise UserError(
            "the shares of the relations cannot be estimated: no prediction gives a probability to "
            "a relation that has a labelled row"
        )
    shares = source.copy()
    for _ in range(_MOST_STEPS):
        odds = np.divide(shares, source, out=np.zeros_like(shares), where=known)
        adjusted = probs * odds
        new = (adjusted / adjusted.sum(axis=1, keepdims=True)).mean(axis=0)
        change = np.abs(new - shares).max()
        shares = new
        if change < _SMALL_CHANGE:
            break
    return shares


def row_weights(gold: Ints, prior: Floats) -> Floats:
    """(N,) weights under which the gold labels (N,) have the shares `prior` (C,), of mean 1.

    What is expected of relations without an example is shared among the others.

    Raises:
        UserError: nothing is expected of the relations that have an example.
    """
    shares = class_shares(gold, len(prior))
    expected = np.where(shares > 0, prior, 0.0)
    if not expected.sum():
        raise UserError(
            "the class shares to expect are 0 for every relation that has a labelled example; "
            "name other shares as `target_prior`, or leave it out"
        )
    weights = (expected / expected.sum() / np.where(shares > 0, shares, 1.0))[gold]
    return np.asarray(weights)


def distance(first: Floats, second: Floats) -> float:
    """Total variation between two distributions (C,): 0 = equal, 1 = nothing in common."""
    return float(np.abs(first - second).sum() / 2)
