"""Thresholds of a student's confidence above which it agrees often enough, with certainty.

At a fixed threshold the rows that a student answers are a sample of all that it will answer,
and those in which it agrees have a binomial distribution, whose exact bound (Clopper and
Pearson, 1934) serves as a test. Several thresholds are tested one after the other, from the
strictest on, each at the full level, up to the first that fails (a fixed sequence, as in Learn
then Test, Angelopoulos et al., 2021): a threshold that agrees too rarely is certified only if
the first such one in the sequence passes its test, whatever the order of the others.

So thresholds must not depend on the rows that are tested. Every tenth row is set apart for
them: they are quantiles of its confidence, and neither ties nor a confidence that means
nothing do any harm.
"""

import numpy as np
from scipy.special import betaincinv, gammaincinv

# Of the rows one in so many chooses thresholds; fewer where these would be more than MOST.
EVERY, MOST = 10, 400
# A sequence ends at a dip of chance, so that its first threshold must bear a disagreement, and
# some more where there are many rows. Where 51 % could be answered, 2,000 rows certified 38 %
# in the mean of 150 simulations, with a tenth of the rows at first 34 %.
STEPS, FIRST_SHARE, BORNE = 20, 0.2, 1


def lower_bounds(n_agreed, n_answered, confidence_level):
    """Return the exact lower confidence bounds of shares, one-sided, 0 for none of none."""
    k = np.maximum(n_agreed, 1)
    bounds = betaincinv(k, n_answered - k + 1, 1.0 - confidence_level)
    return np.where(n_agreed > 0, bounds, 0.0)


def least_rows(agreement, confidence_level):
    """Return how many rows without a disagreement it takes to certify an agreement."""
    return int(np.ceil(np.log1p(-float(confidence_level)) / np.log(float(agreement))))


def thresholds_of(confidence, n_tested, agreement, confidence_level):
    """Return thresholds, the largest first, by the confidence of rows that are not tested.

    The last one is 0, at which all is answered.
    """
    # By Poisson's approximation of the binomial.
    first = gammaincinv(BORNE + 1, confidence_level) / (1.0 - agreement) / n_tested
    shares = np.linspace(min(max(first, FIRST_SHARE), 1.0), 1.0, STEPS)[:-1]
    places = np.ceil(shares * len(confidence)).astype(np.intp) - 1
    chosen = np.sort(confidence)[::-1][places] if len(confidence) else []
    return np.unique(np.append(chosen, 0.0))[::-1]


def certify(confidence, agrees, agreement, confidence_level):
    """Return the curve of thresholds, and the place of the laxest certified one, or None.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        By which rows are answered, those of at least the threshold.
    agrees : ndarray of shape (n_rows,)
        Whether the student agrees.
    agreement, confidence_level : float
        What to certify, and the level of each test.

    Returns
    -------
    curve : dict of ndarray
        See ``DeferringClassifier.curve_``.
    chosen : int or None
    """
    reserved = np.zeros(len(confidence), dtype=bool)
    every = max(EVERY, len(confidence) // MOST)
    reserved[every - 1 :: every] = True
    n_tested = np.count_nonzero(~reserved)
    threshold = thresholds_of(confidence[reserved], n_tested, agreement, confidence_level)
    answered = confidence[~reserved] >= threshold[:, np.newaxis]
    n_answered = answered.sum(axis=1)
    n_agreed = (answered & agrees[~reserved]).sum(axis=1)
    bound = lower_bounds(n_agreed, n_answered, confidence_level)
    failed = np.flatnonzero(bound < agreement)
    n_passed = failed[0] if len(failed) else len(bound)
    curve = {
        "threshold": threshold,
        "n_answered": n_answered,
        "n_agreed": n_agreed,
        "lower_bound": bound,
    }
    return curve, int(n_passed) - 1 if n_passed else None
