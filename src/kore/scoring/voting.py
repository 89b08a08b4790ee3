"""Several models' probabilities -> one: soft and hard votes, and weights fitted on labelled rows.

Pure functions of K files of N rows and C relations. What they give are probabilities again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kore.common.arrays import Floats, Ints

_MOST_STEPS = 10_000
_SMALL_CHANGE = 1e-8


def soft_vote(files: Sequence[Floats], weights: Floats) -> Floats:
    """(N, C), the weighted mean of K arrays (N, C); weights (K,), of sum 1."""
    return np.tensordot(weights, np.stack(files), axes=1)


def hard_vote(files: Sequence[Floats]) -> Floats:
    """(N, C), whose highest is the relation that most files name, ties broken by their mean.

    The votes and the mean, which is less than one vote where there is a rival, are added and
    divided by K + 1: shares that sum to 1 and agree with the decision.
    """
    votes = np.zeros_like(files[0])
    rows = np.arange(len(votes))
    for probs in files:
        votes[rows, probs.argmax(axis=1)] += 1
    return (votes + np.mean(files, axis=0)) / (len(files) + 1)


def fit_weights(files: Sequence[Floats], gold: Ints) -> Floats:
    """(K,) weights of sum 1 under which the soft vote makes the gold relations most probable.

    Expectation-maximisation of a mixture's weights (Dempster et al. 1977); the likelihood has a
    single maximum, and a file that adds nothing comes near 0.

    Args:
        files: K arrays (N, C) for labelled rows that no model was trained on.
        gold: (N,), relation numbers.
    """
    rows = np.arange(len(gold))
    likelihoods = np.stack([probs[rows, gold] for probs in files], axis=1)  # (N, K)
    likelihoods = likelihoods.clip(min=np.finfo(float).tiny)
    weights = np.full(len(files), 1 / len(files))
    for _ in range(_MOST_STEPS):
        shares = likelihoods * weights
        new = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        change = np.abs(new - weights).max()
        weights = new
        if change < _SMALL_CHANGE:
            break
    return weights
