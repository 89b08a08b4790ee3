"""Several models' probabilities -> one: soft and hard votes, and weights that are fitted.

Pure functions of K models' probabilities for N examples and C relations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kore.common.arrays import Floats, Ints

_MOST_STEPS = 10_000
_SMALL_CHANGE = 1e-8


def soft_vote(probs_per_model: Sequence[Floats], weights: Floats) -> Floats:
    """(N, C), the weighted mean of K arrays (N, C); weights (K,), of sum 1."""
    return np.tensordot(weights, np.stack(probs_per_model), axes=1)


def hard_vote(probs_per_model: Sequence[Floats]) -> Floats:
    """(N, C), whose highest is the relation that most models predict, ties broken by their mean.

    The votes and the mean, which is less than one vote where there is a rival, are added and
    divided by K + 1: shares that sum to 1 and agree with the decision.
    """
    votes = np.zeros_like(probs_per_model[0])
    rows = np.arange(len(votes))
    for probs in probs_per_model:
        votes[rows, probs.argmax(axis=1)] += 1
    return (votes + np.mean(probs_per_model, axis=0)) / (len(probs_per_model) + 1)


def fit_weights(probs_per_model: Sequence[Floats], gold: Ints) -> Floats:
    """(K,) weights of sum 1 under which the soft vote makes the gold relations most probable.

    Expectation-maximisation of a mixture's weights (Dempster et al. 1977); the likelihood has a
    single maximum, and a model that adds nothing comes near 0.

    Args:
        probs_per_model: K arrays (N, C) for labelled examples that no model was trained on.
        gold: (N,), relation numbers.
    """
    rows = np.arange(len(gold))
    likelihoods = np.stack([probs[rows, gold] for probs in probs_per_model], axis=1)  # (N, K)
    likelihoods = likelihoods.clip(min=np.finfo(float).tiny)
    weights = np.full(len(probs_per_model), 1 / len(probs_per_model))
    for _ in range(_MOST_STEPS):
        shares = likelihoods * weights
        new = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        change = np.abs(new - weights).max()
        weights = new
        if change < _SMALL_CHANGE:
            break
    return weights
