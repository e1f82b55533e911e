"""Calibration maps on Dask collections: the plain maps, from sums over partitions."""

from contextlib import contextmanager
from copy import copy
from functools import partial

import numpy as np

from sklkl import calibration
from sklkl._core.classes import check_classes, frame_columns
from sklkl._core.docs import documented_with
from sklkl._core.names import counting_from
from sklkl._core.samples import check_weights, n_rows
from sklkl._core.targets import check_target
from sklkl.calibration._objective import Data, enough_rows
from sklkl.calibration._scaling import normalised, refuse_other_width
from sklkl.dask._blocks import Parts, Shared, gathered, of
from sklkl.dask._collections import is_collection, is_frame
from sklkl.dask._docs import sections_of
from sklkl.dask._predictions import CollectionScore, lazy, local
from sklkl.dask._rows import DaskParts, DaskRows
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.linear_model._parts import Part, merge, summarise
from sklkl.linear_model._summed import add


@contextmanager
def checked_predictions(scaling, X, y, sample_weight):
    """Yield the checked data of predictions and targets; free them at the end.

    Of few rows all are put together here. The map learns the classes, and the columns of X,
    once nothing is refused any more.
    """
    named = copy(scaling)
    summary = partial(summarise, SoftLabelLogisticRegression(classes=scaling.classes))
    with gathered(Part, {"X": X, "y": y, "sample_weight": sample_weight}) as parts:
        whole = merge(summary.args[0], parts.results(summary, parts.first_rows))
        whole.describe(named)
        _name_columns(named, whole, X, y)
        refuse_other_width(whole.n_features, named.classes_)
        check = partial(_data, scaling=named.to_local(), hard=whole.hard, unit=whole.most)
        if parts.n_rows <= enough_rows(len(named.classes_)):
            every = parts.results(check, parts.first_rows)
            z, target, weight = (
                np.asfortranarray(np.concatenate([getattr(own, name) for own in every]))
                for name in ("z", "target", "weight")
            )
            data = Data(z, target, weight, whole.most)
        else:
            parts.results(partial(_refuse, check=check), parts.first_rows)
            data = CollectionData(parts, check, whole)
        vars(scaling).pop("feature_names_in_", None)
        vars(scaling).update(vars(named))
        yield data


def _name_columns(scaling, whole, X, y):
    """Let a map learn the classes, and which columns of X they are, as in memory."""
    classes = whole.classes
    columns = frame_columns(X._meta, classes, name="X") if is_frame(X) else None
    if scaling.classes is not None:
        given = check_classes(scaling.classes)
    elif columns is None:
        given = classes
    else:
        given = columns
        if whole.hard or not (is_frame(y) and frame_columns(y._meta, columns) is not None):
            classes = np.sort(columns) if whole.hard else columns
    scaling.classes_, scaling._columns = classes, given if columns is None else columns


def _data(part, first_row, scaling, hard, unit):
    """Return the ``Data`` of a part, whose weights are in a unit."""
    n_classes = len(scaling.classes_)
    if n_rows(part.X, "X") == 0:
        target = np.zeros(0, dtype=np.intp) if hard else np.zeros((0, n_classes))
        return Data(np.zeros((0, n_classes)), target, np.zeros(0), unit)
    with counting_from(first_row):
        z = scaling._log_proba(scaling._values(part.X))
        target = check_target(
            part.y, classes=scaling.classes_, refuse_integers=True, of_part=True
        )
        weight = check_weights(part.sample_weight, z, zeros=True)
    return Data(z, normalised(target.values), weight / unit, unit)


def _refuse(part, first_row, check):
    """Refuse bad rows of a part."""
    check(part, first_row)


def _data_of_block(parts, first_rows, check):
    """Return the ``Data`` of each part of a block."""
    data = {i: check(part, first_rows[i]) for i, part in parts.items()}
    return Shared(data, sum(own.nbytes() for own in data.values()))


class CollectionData(DaskParts):
    """``Data`` in parts on their workers, of which a sample is here."""

    def __init__(self, parts, check, whole):
        blocks = [
            block._replace(
                parts=parts.place.submit(
                    _data_of_block,
                    block.parts,
                    of(block.numbers, parts.first_rows),
                    check,
                    worker=block.worker,
                )
            )
            for block in parts.blocks
        ]
        super().__init__(parts.place, blocks, len(whole.lengths))
        self.lengths, self.unit = whole.lengths, whole.most
        self.n_classes, self.n_samples = whole.n_features, parts.n_rows
        self.sample = self._drawn(enough_rows(self.n_classes))

    def _drawn(self, enough):
        """Return the rows that ``Data.of`` draws by the weights, in its order."""
        parts = Parts(self.place, self.blocks)
        masses = np.array(parts.results(_mass))
        ends = masses.cumsum()
        at = np.random.RandomState(0).random_sample(enough) * ends[-1]
        part_of = np.searchsorted(ends, at, side="right")
        part_of = np.minimum(part_of, np.flatnonzero(masses)[-1])  # of what was rounded up
        at -= (ends - masses)[part_of]
        drawn = parts.results(_rows_at, [at[part_of == i] for i in range(self.n_parts)])
        order = np.argsort(np.argsort(part_of, kind="stable"))
        z, target = (np.concatenate(own)[order] for own in zip(*drawn, strict=True))
        return Data(np.asfortranarray(z), np.asfortranarray(target), np.ones(enough))

    def mixed(self, smoothing):
        """See ``Data``."""
        mixed = copy(self)
        mixed.blocks = self.blocks_of("mixed", [smoothing] * self.n_parts)
        mixed.sample = self.sample.mixed(smoothing)
        return mixed

    def moments(self, smoothing):
        """See ``Data``."""
        return self.total(add, "moments", smoothing)

    def rows(self, n_logits):
        """See ``Data``."""
        blocks = self.blocks_of("rows", [n_logits] * self.n_parts)
        shape = self.n_classes + 1, n_logits
        return DaskRows(self.place, blocks, self.lengths, shape, np.float64, dense=True)

    def sums(self):
        """See ``Data``."""
        sums = CollectionSums(self.place, self.blocks_of("sums"), self.n_parts)
        sums.n_classes = self.n_classes
        return sums


def _mass(data):
    return data.weight.sum()


def _rows_at(data, at):
    """Return the rows at which the sum of the weights reaches some values."""
    rows = np.searchsorted(data.weight.cumsum(), at, side="right")
    return data.take(np.minimum(rows, max(0, data.n_samples - 1)))


class CollectionSums(DaskParts):
    """``ScalingSums`` of parts on their workers."""

    n_classes = None

    def numbers_of(self, method):
        """See ``DaskParts``."""
        return 3 * self.n_classes**2 if method == "curvature" else 0

    def sum_of_weights(self):
        """See ``ScalingSums``."""
        return self.total(add, "sum_of_weights")

    def of_targets(self):
        """See ``ScalingSums``."""
        return self.total(add, "of_targets")

    def largest_change(self, a, b):
        """See ``ScalingSums``."""
        return float(self.total(np.maximum, "largest_change", a, b))

    def loss(self, a, b):
        """See ``ScalingSums``."""
        return self.total(add, "loss", a, b)

    def curvature(self, a, b, full):
        """See ``ScalingSums``."""
        return self.total(add, "curvature", a, b, full)


def map_documented(plain):
    """Return a decorator that fills the docstring of a map from that of the plain one."""
    return documented_with(
        parameters_and_attributes=sections_of(plain),
        travels="""
            ``fit`` takes Dask arrays, data frames and Series. Rows of up to 200,000
            probabilities, but at least 1000 rows, come to this process; of more rows as many,
            drawn by their weights. The others are held by the workers that compute them while
            the fit lasts, and only sums of them travel. Anything else than collections is
            treated as by the plain class.""",
    )


class CollectionScaling(CollectionScore):
    """A map that is fitted to collections; it predicts them as the plain one would."""

    predict = lazy(calibration.TemperatureScaling, "predict")
    predict_proba = lazy(calibration.TemperatureScaling, "predict_proba")
    predict_log_proba = lazy(calibration.TemperatureScaling, "predict_log_proba")

    @contextmanager
    def _checked(self, X, y, sample_weight):
        collections = any(map(is_collection, (X, y, sample_weight)))
        checked = partial(checked_predictions, self) if collections else super()._checked
        with checked(X, y, sample_weight) as data:
            yield data


@map_documented(calibration.TemperatureScaling)
class TemperatureScaling(CollectionScaling, calibration.TemperatureScaling):
    """Calibrate probabilities by one temperature, on Dask collections.

    The map, and the numbers, of ``sklkl.calibration.TemperatureScaling``, which has the
    formulas.

    %(travels)s

    Parameters
    ----------
    %(parameters_and_attributes)s

    See Also
    --------
    sklkl.calibration.TemperatureScaling : The same in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklkl.dask import TemperatureScaling
    >>> proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=1000)
    >>> y = np.sqrt(proba) / np.sqrt(proba).sum(axis=1, keepdims=True)
    >>> X, y = (da.from_array(a, chunks=500) for a in (proba, y))
    >>> round(TemperatureScaling().fit(X, y).temperature_, 1)
    2.0
    """

    def to_local(self) -> calibration.TemperatureScaling:
        """Return the map in memory, which needs no Dask.

        Returns
        -------
        scaling : sklkl.calibration.TemperatureScaling
            The plain class, fitted as this map is.
        """
        return local(self, calibration.TemperatureScaling)


@map_documented(calibration.VectorScaling)
class VectorScaling(CollectionScaling, calibration.VectorScaling):
    """Calibrate probabilities by two numbers for each class, on Dask collections.

    The map, and the numbers, of ``sklkl.calibration.VectorScaling``, which has the
    formulas.

    %(travels)s

    Parameters
    ----------
    %(parameters_and_attributes)s

    See Also
    --------
    sklkl.calibration.VectorScaling : The same in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklkl.dask import VectorScaling
    >>> proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=1000)
    >>> y = proba * [2, 1, 1]
    >>> y /= y.sum(axis=1, keepdims=True)
    >>> X, y = (da.from_array(a, chunks=500) for a in (proba, y))
    >>> model = VectorScaling(C=100).fit(X, y)
    >>> (model.intercept_ - model.intercept_.min()).round(1)
    array([0.7, 0. , 0. ])
    """

    def to_local(self) -> calibration.VectorScaling:
        """Return the map in memory, which needs no Dask.

        Returns
        -------
        scaling : sklkl.calibration.VectorScaling
            The plain class, fitted as this map is.
        """
        return local(self, calibration.VectorScaling)


@map_documented(calibration.DirichletScaling)
class DirichletScaling(CollectionScaling, calibration.DirichletScaling):
    """Calibrate probabilities by a softmax regression, on Dask collections.

    The map, and the numbers, of ``sklkl.calibration.DirichletScaling``, which has the
    formulas.

    %(travels)s

    Parameters
    ----------
    %(parameters_and_attributes)s

    See Also
    --------
    sklkl.calibration.DirichletScaling : The same in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklkl.dask import DirichletScaling
    >>> proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=1000)
    >>> y = proba * (1 + proba[:, [1, 2, 0]])
    >>> y /= y.sum(axis=1, keepdims=True)
    >>> X, y = (da.from_array(a, chunks=500) for a in (proba, y))
    >>> model = DirichletScaling(C=100).fit(X, y)
    >>> model.coef_.round(1)
    array([[ 0.9,  0.1, -0.1],
           [-0.1,  0.9,  0.1],
           [ 0.1, -0.1,  0.9]])
    """

    def to_local(self) -> calibration.DirichletScaling:
        """Return the map in memory, which needs no Dask.

        Returns
        -------
        scaling : sklkl.calibration.DirichletScaling
            The plain class, fitted as this map is.
        """
        return local(self, calibration.DirichletScaling)
