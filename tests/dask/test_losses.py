"""Losses of collections: those of all rows in memory."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import sklkl.dask
from sklkl import metrics
from tests.dask.test_logistic import FRAME, NAMES, WEIGHT, N, P, array, frame

rng = np.random.default_rng(1)
Q = rng.dirichlet(np.ones(3), N)
Q_FRAME = pd.DataFrame(Q, columns=["spam", "eggs", "ham"])
LOSSES = [name for name in sklkl.dask.__all__ if name.endswith(("_loss", "_score"))]
TARGETS = {
    "labels": (NAMES, Q),
    "labels and a frame": (pd.Series(NAMES), Q_FRAME),
    "soft": (P, Q),
    "frames": (FRAME, Q_FRAME),
    "binary": (NAMES == "ham", Q[:, 0]),
}


def collection(x):
    return frame(x) if hasattr(x, "iloc") else array(x)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    loss, plain = (getattr(module, name) for module in (sklkl.dask, metrics))
    params = {"on_zero": "inf"} if name == "d2_kl_score" else {"base": 2}
    for case, (y_true, y_proba) in TARGETS.items():
        expected = plain(y_true, y_proba, sample_weight=WEIGHT, **params)
        found = loss(
            collection(y_true), collection(y_proba), sample_weight=array(WEIGHT), **params
        )
        assert_allclose(found, expected, rtol=1e-12, err_msg=case)
        assert loss(y_true, y_proba, sample_weight=WEIGHT, **params) == expected


def test_labels_that_no_part_holds(client):
    y, labels = NAMES, ["eggs", "ham", "none", "spam"]
    q = np.random.default_rng(0).dirichlet(np.ones(4), N)
    found = sklkl.dask.kl_loss(array(y), array(q), labels=labels)
    assert_allclose(found, metrics.kl_loss(y, q, labels=labels), rtol=1e-12)
    with pytest.raises(ValueError, match="are not sorted"):
        sklkl.dask.kl_loss(array(y), array(q), labels=labels[::-1])


def test_divergence_by_name():
    loss = partial(
        sklkl.dask.divergence_loss, divergence="renyi", divergence_params={"order": 2}
    )
    assert_allclose(loss(array(P), array(Q)), loss(P, Q), rtol=1e-12)


def test_bad_row_has_its_number():
    bad = Q.copy()
    bad[123] = 0.5
    with pytest.raises(ValueError, match=r"y_proba\[123\]"):
        sklkl.dask.kl_loss(array(P), array(bad))
    with pytest.raises(ValueError, match="is zero for every sample"):
        sklkl.dask.kl_loss(array(P), array(Q), sample_weight=array(np.zeros(N)))


def test_d2_of_equal_targets():
    y = np.tile([0.2, 0.3, 0.5], (N, 1))
    assert sklkl.dask.d2_kl_score(array(y), array(y)) == 1.0
    assert sklkl.dask.d2_kl_score(array(y), array(Q)) == 0.0
