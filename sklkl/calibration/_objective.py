"""What calibration maps minimise: their data, what these leave in doubt, the objectives.

With few parameters and many rows, most of the work can be done on some of the rows. So every
fit begins with a sample: its minimiser is within a standard error of the sample of the other,
and its Hessian there is a metric in which all rows need a handful of evaluations more. The
stopping rule, and the gradients it looks at, are of all rows.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from sklkl._core.devices import namespace
from sklkl._core.targets import class_mass
from sklkl._optimize.cholesky import solver
from sklkl._optimize.descent import AT_ONCE
from sklkl._optimize.objective import DIAGONAL, EXACT, FULL, Objective
from sklkl._optimize.solve import solve_stages
from sklkl.linear_model import _rows
from sklkl.linear_model._loss import LossTerm
from sklkl.linear_model._objective import KLObjective

ENOUGH = 200_000  # numbers of a sample, not rows
PER_PARAMETER = 10  # rows of a sample whose Hessian is to be a metric
PART = 0.2  # of a row, and of a standard error
CACHED = 1 << 15  # numbers at a time: temporaries stay in the cache, calls are few
MOST_PARAMETERS = 2000  # of a full metric
FUSED = 32  # classes up to which a product with a matrix is less work than temporaries
RESERVE = 10.0  # iterations after which a rough metric is given up


@dataclass(frozen=True)
class Data:
    """Log-probabilities and the targets that they are to predict.

    Matrices are best stored column after column, so that sums over classes are sums of
    vectors: with 8 classes they take a quarter of the time.
    """

    z: np.ndarray  # (n_samples, n_classes), float64
    target: np.ndarray  # codes, or probabilities
    weight: np.ndarray  # (n_samples,), in units of the largest
    unit: float = 1.0  # the largest weight
    sample: Self | None = None  # some of the rows, unless there are few

    @classmethod
    def of(cls, z, target, weight):
        """Return the data, with a sample drawn by the weights, which then count no more."""
        unit, enough = float(weight.max()), enough_rows(z.shape[1])
        data = cls(z, target, weight / unit, unit)
        if len(weight) <= enough:
            return data
        rows = np.random.RandomState(0).choice(len(weight), enough, p=weight / weight.sum())
        return replace(data, sample=cls(*data.take(rows), np.ones(enough)))

    @property
    def n_classes(self):
        """The number of classes."""
        return self.z.shape[1]

    @property
    def n_samples(self):
        """The number of rows."""
        return len(self.weight)

    def take(self, rows):
        """Return the log-probabilities and the targets of some rows."""
        return self.z.T[:, rows].T, self.target.T[..., rows].T

    def mixed(self, smoothing):
        """Return the data with this share of the uniform distribution in what predicts."""
        sample = self.sample and self.sample.mixed(smoothing)
        return replace(self, z=smoothed(self.z, smoothing), sample=sample)

    def moments(self, smoothing):
        """Return the ``Moments`` of the predictions, mixed so, and the targets."""
        n_classes, target, weight = self.n_classes, self.target, self.weight
        mean = squares = class_mass(target, weight, n_classes)
        if target.ndim == 2:
            squares = class_mass(target**2, weight, n_classes)
        proba = np.exp(smoothed(self.z, smoothing))
        return Moments(
            n_counted=np.count_nonzero(weight),
            weight=float(weight.sum()),
            mean=mean,
            squares=squares,
            predicted=class_mass(proba, weight, n_classes),
        )

    def nbytes(self):
        """Return the bytes of all arrays."""
        return self.z.nbytes + self.target.nbytes + self.weight.nbytes

    def rows(self, n_logits):
        """Return the ``Rows`` of a softmax regression on the log-probabilities."""
        terms = [LossTerm(self.target, self.weight)]
        return _rows.rows_of(self.z, n_logits, True, terms, unit=1.0)

    def sums(self):
        """Return the ``ScalingSums``."""
        return ScalingSums(self)


def enough_rows(n_classes):
    """Return how many rows a sample has."""
    return max(1000, ENOUGH // n_classes)


@dataclass(frozen=True)
class Moments:
    """What rows tell before a fit: weighted sums."""

    n_counted: int  # rows of positive weight
    weight: float
    mean: np.ndarray  # (n_classes,), of the targets
    squares: np.ndarray  # (n_classes,), of the squares of the targets
    predicted: np.ndarray  # (n_classes,), of the predictions

    def __add__(self, other):
        """Return the sums over these rows and others."""
        own, others = vars(self), vars(other)
        return Moments(**{name: own[name] + others[name] for name in own})


def smoothed(log_proba, smoothing):
    """Return the logarithms of probabilities mixed with the uniform distribution."""
    if smoothing == 0.0:
        return log_proba
    xp, n_classes = namespace(log_proba), log_proba.shape[1]
    return xp.log((1.0 - smoothing) * xp.exp(log_proba) + smoothing / n_classes)


@dataclass(frozen=True)
class Doubt:
    """What the rows at hand cannot exclude, so that no map takes it for settled."""

    share: float = 0.0  # of the uniform distribution, with which targets are mixed
    # How strongly the intercepts are pulled to 0, and by how much at most: so much may mean
    # predictions differ from mean targets. Floats, or arrays (n_classes,).
    information: float | np.ndarray = 1.0
    most: float | np.ndarray = 0.0

    @classmethod
    def of(cls, moments, unit=1.0):
        """Return the doubt that rows leave, whose largest weight is the unit.

        A row of weight 2 is two rows. Where all weights are small they are taken for
        relative, and rows are counted. Where mean predictions are many standard errors off,
        there is little doubt that intercepts are needed (as in the adaptive lasso of Zou,
        2006): the errors of an ensemble of maps would add up.
        """
        weight, n = moments.weight, max(unit * moments.weight, moments.n_counted)
        mean, share = moments.mean / weight, PART / n
        variance = np.maximum(moments.squares / weight - mean**2, share / len(mean))
        error = np.maximum(np.sqrt(variance / n), np.finfo(np.float64).tiny)
        off = np.abs(moments.predicted / weight - mean)
        return cls(share, variance, PART * error * (error / np.maximum(error, off)))

    def pull(self, intercepts):
        """Return value, gradient and curvature of Huber's penalty.

        Of intercepts that were ``shifted``: predictions do not depend on what all have in
        common, and along it the penalty has kinks. With them fits took three times as many
        iterations.
        """
        intercepts = self.shifted(intercepts)
        gradient = np.clip(self.information * intercepts, -self.most, self.most)
        value = np.sum(gradient * (intercepts - 0.5 * gradient / self.information))
        # Beyond the bound, of the parabola of the same slope, which lies above the penalty:
        # a curvature of 0 sees no kink ahead, and every step is too long.
        at_zero = intercepts == 0.0
        curvature = gradient / np.where(at_zero, 1.0, intercepts)
        return float(value), gradient, np.where(at_zero, self.information, curvature)

    def shifted(self, intercepts):
        """Return intercepts plus the number with which the penalty is least."""
        if len(intercepts) < 2 or not np.any(self.most):
            return intercepts
        # The slope of the penalty rises in pieces from -sum(most) to sum(most): it is 0 at
        width = self.most / self.information
        ends = np.append(-intercepts - width, -intercepts + width)
        order = np.argsort(ends)
        rise = np.append(self.information, -self.information)[order].cumsum()
        slope = np.append(0.0, (rise[:-1] * np.diff(ends[order])).cumsum()) - self.most.sum()
        return intercepts + np.interp(0.0, slope, ends[order])

    def of_difference(self):
        """Return the doubt on the difference of two intercepts."""
        return Doubt(self.share, 0.5 * np.min(self.information), np.min(self.most))


def solved(make, data, start, **options):
    """Return the ``Result`` of minimising ``make(data, rough=...)``, first on a sample.

    ``make`` returns an objective; ``rough``, if any, is one of the sample, whose metric may
    serve in the place of its own.
    """
    sample, stages = data.sample, []
    if sample is not None:
        stages = [make(sample)]
        if PER_PARAMETER * start.size > sample.n_samples:
            make = partial(make, rough=None)
        else:
            make = partial(make, rough=stages[0])
    _, result = solve_stages([*stages, make(data)], start, **options)
    return result


class ScalingSums:
    """Sums over rows, with their weights, for logits ``a * z + b``.

    ``a`` has one number for each class, or one for all; ``b`` one for each class, or none.
    """

    def __init__(self, data):
        # Classes first: (n_classes, n_samples)
        self.z = np.ascontiguousarray(data.z.T)
        self.target = np.ascontiguousarray(data.target.T)
        self.weight = data.weight
        self.rows = data.rows(data.n_classes) if data.n_classes <= FUSED else None

    def sum_of_weights(self):
        """Return it."""
        return float(self.weight.sum())

    def of_targets(self):
        """Return how much more of z, and of 1, uniform targets have than these, by class."""
        y, weight = self.target, self.weight
        n_classes = len(self.z)
        if y.ndim == 1:
            of_truth = weight * self.z[y, np.arange(len(y))]
            of_z, of_1 = (np.bincount(y, w, n_classes) for w in (of_truth, weight))
        else:
            of_z = np.einsum("ki,ki,i->k", y, self.z, weight)
            of_1 = np.einsum("ki,i->k", y, weight)
        mean = np.einsum("ki,i->k", self.z, weight) / n_classes
        return mean - of_z, weight.sum() / n_classes - of_1

    def largest_change(self, a, b):
        """Return by how much a step changes the log-odds of two classes of a row at most."""
        largest = 0.0
        for rows in self._tiles():
            change = np.ptp(self._logits(a, b, rows), axis=0)
            counted = self.weight[rows] > 0.0
            largest = np.maximum(largest, change.max(initial=0.0, where=counted))
        return float(largest)

    def _tiles(self):
        """Yield slices of so many rows that temporaries stay in the cache."""
        n_classes, n_samples = self.z.shape
        step = max(1, CACHED // n_classes)
        for start in range(0, n_samples, step):
            yield slice(start, start + step)

    def _logits(self, a, b, rows):
        logits = self.z[:, rows] * a[:, np.newaxis]
        if len(b):
            logits += b[:, np.newaxis]
        return logits

    def _softmax(self, a, b, rows):
        """Return logits less the largest, their exponentials, and the sums of these."""
        logits = self._logits(a, b, rows)
        logits -= logits.max(axis=0)
        proba = np.exp(logits)
        return logits, proba, proba.sum(axis=0)

    def loss(self, a, b):
        """Return the cross-entropy and its gradient by a slope and intercept of each class."""
        if self.rows is None:
            return self._tiled(a, b)
        W = np.zeros((len(self.z) + 1, len(self.z)))
        np.fill_diagonal(W, a)
        W[-1, : len(b)] = b
        value, gradient = self.rows.objective(W)
        return value, np.diag(gradient), gradient[-1]

    def _tiled(self, a, b):
        """As ``loss``, by NumPy."""
        value, of_a, of_b = 0.0, *np.zeros((2, len(self.z)))
        for rows in self._tiles():
            logits, residual, mass = self._softmax(a, b, rows)
            y, weight = self.target[..., rows], self.weight[rows]
            residual /= mass
            if y.ndim == 1:
                at = y, np.arange(len(y))
                of_truth = logits[at]
                residual[at] -= 1.0
            else:
                of_truth = np.einsum("ki,ki->i", y, logits)
                residual -= y
            residual *= weight
            value += float(weight @ (np.log(mass) - of_truth))
            of_a += np.einsum("ki,ki->k", residual, self.z[:, rows])
            of_b += residual.sum(axis=1)
        return value, of_a, of_b

    def curvature(self, a, b, full):
        """Return what the Hessian consists of, p being the probabilities.

        Returns
        -------
        squares, slopes, masses : ndarray of shape (n_classes,)
            Sums of ``p z²``, of ``p z`` and of ``p``.
        aa, ab, bb : ndarray
            Sums of the products of ``p z`` with ``p z``, of ``p z`` with ``p``, and of ``p``
            with ``p``: matrices, or their diagonals unless ``full``. ``p z`` is summed over
            classes if they have one slope.
        """
        n_classes = len(self.z)
        common = len(a) < n_classes
        squares, slopes, masses = np.zeros((3, n_classes))
        aa = ab = bb = 0.0

        def products(u, v):
            return u @ v.T if full else np.sum(u * v, axis=1)

        for rows in self._tiles():
            z = self.z[:, rows]
            _, p, mass = self._softmax(a, b, rows)
            p /= mass
            of_p, mean = p * self.weight[rows], p * z
            of_z = of_p * z
            squares += np.einsum("ki,ki->k", of_z, z)
            slopes += of_z.sum(axis=1)
            masses += of_p.sum(axis=1)
            if common:
                of_z, mean = of_z.sum(axis=0, keepdims=True), mean.sum(axis=0, keepdims=True)
            aa += products(of_z, mean)
            if len(b):
                ab += products(of_z, p)
                bb += products(of_p, p)
        return squares, slopes, masses, aa, ab, bb


class ScalingObjective(Objective):
    r"""Mean cross-entropy of the targets and ``softmax(a * z + b)``, penalised.

    The parameters :math:`\theta` are of shape (2, n_classes), rows a and b; or (1, 1), a
    alone, the same for all classes; or (1, 1 + n_classes), this a and then b. The penalty is
    :math:`\frac{\lambda}{2} \|a - a_0\|^2`, and the doubt's on intercepts.

    Parameters
    ----------
    data : Data
    doubt : Doubt
    slopes : float or ndarray of shape (n_classes,), default=0.0
        :math:`a_0`.
    penalty : float, default=0.0
        :math:`\lambda`.
    rough : ScalingObjective, default=None
        Whose metric serves instead.
    """

    # Predictions that are always right have no best temperature: the colder, the better.
    settled = np.finfo(np.float64).eps

    def __init__(self, data, doubt, slopes=0.0, penalty=0.0, *, rough=None):
        self.sums, n_classes = data.sums(), data.n_classes
        self.total = self.sums.sum_of_weights()
        self.doubt, self.slopes, self.penalty, self.rough = doubt, slopes, penalty, rough
        # What mixed targets have more of z and of 1, for each class.
        self.added = np.zeros((2, n_classes))
        if doubt.share:
            self.added += doubt.share / self.total * np.array(self.sums.of_targets())
        cost = 1.0 + n_classes / 50.0 if 2 * n_classes <= MOST_PARAMETERS else np.inf
        # Beside a rough metric the Hessian is for when that turns out too rough.
        self.full_cost, self.exact_cost = (cost, np.inf) if rough is None else (0.0, RESERVE)

    def leave(self, theta):
        """See ``Objective``: intercepts whose pull is least."""
        a, b = self._parts(theta)
        return np.append(a, self.doubt.shifted(b)).reshape(theta.shape)

    def largest_change(self, direction):
        """Return by how much a step changes the log-odds of two classes of a row at most."""
        return self.sums.largest_change(*self._parts(direction))

    @staticmethod
    def _parts(theta):
        """Return the slopes and the intercepts."""
        return (theta[0], theta[1]) if len(theta) == 2 else (theta[0, :1], theta[0, 1:])

    def __call__(self, theta):
        """Return ``(value, gradient)`` at theta."""
        a, b = self._parts(theta)
        shift = a - self.slopes
        pull, of_pull, _ = self.doubt.pull(b) if len(b) else (0.0, b, None)
        value, of_a, of_b = (part / self.total for part in self.sums.loss(a, b))
        # Mixed with the uniform distribution, targets have so much more of z.
        value -= float(np.sum(self.added[0] * a) + np.sum(self.added[1][: len(b)] * b))
        of_a, of_b = of_a - self.added[0], of_b - self.added[1]
        if len(a) == 1:
            of_a = of_a.sum(keepdims=True)
        value += 0.5 * self.penalty * float(shift @ shift) + pull
        of_b = of_b[: len(b)] + of_pull
        return value, np.append(of_a + self.penalty * shift, of_b).reshape(theta.shape)

    def metric(self, theta, level):
        """Return a function that divides by the curvature at theta.

        By the Hessian; at the level DIAGONAL by the blocks of a slope and its intercepts, two
        numbers that change the same logits where logarithms are far from 0.
        """
        if self.rough is not None and level < EXACT:
            return self.rough.metric(theta, FULL)
        aa, ab, bb = self._curvature(theta, level > DIAGONAL)
        if level > DIAGONAL:
            solve = solver(np.block([[aa, ab], [ab.T, bb]]))
            return lambda gradient: solve(gradient.ravel()).reshape(gradient.shape)

        def divide(gradient):
            of_a, of_b = self._parts(gradient)
            if len(of_b) == 0:
                return gradient / aa
            pull, share = ab * of_b / bb, ab**2 / bb
            if len(aa) < len(bb):  # one slope for all
                pull, share = pull.sum(), share.sum()
            a = (of_a - pull) / (aa - share)
            return np.append(a, (of_b - ab * a) / bb).reshape(gradient.shape)

        return divide

    def _curvature(self, theta, full):
        """Return the parts of the Hessian: of slopes, of slopes and intercepts, of these.

        Matrices, or their diagonals unless ``full``.
        """
        a, b = self._parts(theta)
        sums = self.sums.curvature(a, b, full)
        squares, of_slopes, masses, aa, ab, bb = (part / self.total for part in sums)
        n_classes = len(masses)
        common = len(a) < n_classes
        if common:
            squares = squares.sum(keepdims=True)
        of_a, of_b = (positive(d) for d in (squares + self.penalty, masses))
        if not full:
            bb = of_b + self.doubt.pull(b)[2] - bb if len(b) else b
            return of_a - aa, of_slopes - ab, bb
        aa = np.diag(of_a) - aa
        if len(b) == 0:
            return aa, np.zeros((1, 0)), np.zeros((0, 0))
        ab = (of_slopes[np.newaxis] if common else np.diag(of_slopes)) - ab
        pull = self.doubt.pull(b)[2]
        # All intercepts may be shifted; make that direction harmless.
        bb = np.diag(of_b) - bb + masses.sum() / n_classes**2 + pull_matrix(pull)
        return aa, ab, bb


def pull_matrix(pull):
    """Return the curvature of the penalty on intercepts that are shifted as is best."""
    return np.diag(pull) - np.outer(pull, pull / (pull.sum() or 1.0))


def positive(diagonal):
    """Return a diagonal so that no rounding makes its matrix singular, where it is 0 by 1."""
    return (1.0 + 1e-10) * np.where(diagonal == 0.0, 1.0, diagonal)


class DirichletObjective(Objective):
    r"""Mean cross-entropy of the targets and ``softmax(W z + b)``, penalised.

    The parameters are of shape (n_classes + 1, n_logits), the intercepts in the last row. The
    penalty is :math:`\frac{\lambda}{2} \|W - W_0\|^2`, and the doubt's on intercepts.

    It is the student's objective with two linear functions added: targets that are mixed with
    the uniform distribution have as many more of :math:`z` as the gradient at 0 lacks, and
    the penalty moves from 0 to :math:`W_0` by :math:`-\lambda \langle W, W_0 \rangle`.

    Parameters
    ----------
    data : Data
    doubt : Doubt
    center : ndarray of shape (n_classes, n_logits)
        :math:`W_0`.
    penalty : float
        :math:`\lambda`.
    rough : DirichletObjective, default=None
        Whose Hessian serves instead, unless its rows are too many for that.
    """

    def __init__(self, data, doubt, center, penalty, *, rough=None):
        rows = data.rows(1 if data.n_classes == 2 else data.n_classes)
        self.student = KLObjective(rows, C=np.inf)
        if penalty:
            self.student.set_penalty(1.0 / (penalty * self.student.sum_of_weights), 0.0)
        self.doubt, self.n_samples = doubt, data.n_samples
        dear = rough is None or rough.exact_cost * rough.n_samples > AT_ONCE * self.n_samples
        self.rough = None if dear else rough
        _, at_zero = self.student(np.zeros(self.student.shape))
        self.linear = doubt.share * at_zero
        self.linear[:-1] += penalty * center
        self.constant = 0.5 * penalty * float(np.vdot(center, center))
        self.full_cost, self.exact_cost = self.student.full_cost, self.student.exact_cost
        self.largest_change = self.student.rows.largest_change
        if doubt.share == 0.0:
            self.absent = self.student.absent
            self.largest_change = self.student.largest_change
        self.why_not_finite = self.student.why_not_finite

    def __call__(self, W):
        """Return ``(value, gradient)`` at W."""
        value, gradient = self.student(W)
        more, pull, _ = self.doubt.pull(W[-1])
        gradient -= self.linear
        gradient[-1] += pull
        return value - float(np.vdot(self.linear, W)) + self.constant + more, gradient

    def leave(self, W):
        """See ``Objective``: intercepts whose pull is least."""
        return np.vstack([W[:-1], self.doubt.shifted(W[-1])])

    def metric(self, W, level):
        """Return a function that divides by the student's curvature, or by the Hessian."""
        if self.rough is not None and level < EXACT:
            return self.rough.metric(W, EXACT)
        _, _, pull = self.doubt.pull(W[-1])
        if level < EXACT or W.shape[1] == 1:
            A, M = self.student.curvature(W, self.full_cost < np.inf)
            A[..., -1, -1] += pull.mean() / np.diag(M).mean()
            return self.student.metric_of(A, M)
        size, n_logits = W.shape
        hessian = self.student.rows.hessian(W) / self.student.total_weight
        blocks = hessian.reshape(n_logits, size, n_logits, size)
        # All logits may be shifted; make that direction harmless.
        np.einsum("kflf->klf", blocks)[:] += np.einsum("kfkf->f", blocks) / n_logits**2
        np.einsum("kfkf->kf", blocks)[:, :-1] += self.student.penalty
        blocks[:, -1, :, -1] += pull_matrix(pull)
        diagonal = np.einsum("ii->i", hessian)
        diagonal[:] = positive(diagonal)
        solve = solver(hessian)
        return lambda G: solve(G.T.ravel()).reshape(G.T.shape).T
