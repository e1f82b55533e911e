"""Multinomial logistic regression on soft labels."""

import warnings
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.metaestimators import available_if

from sklkl._core.callbacks import FitMonitor
from sklkl._core.classes import check_classes
from sklkl._core.names import shown
from sklkl._core.sklearn import WRAPPERS, CallbackSupportMixin, with_callbacks
from sklkl._core.targets import apply_class_weight
from sklkl._optimize.solve import check_solver, solve
from sklkl.linear_model._data import check_data, check_numbers, unchanged_on_error
from sklkl.linear_model._objective import LossTerm
from sklkl.linear_model._softmax import LinearSoftmaxMixin
from sklkl.linear_model._stream import Posterior, StreamObjective


@dataclass(frozen=True)
class Goal:
    """What to minimise: by default the forward KL divergence; distillation sets others.

    Attributes
    ----------
    divergence : str
    parameter : float
        Of the targets to the model, as ``LossTerm`` has them.
    labels : ndarray of shape (n_samples,) or (n_samples, n_classes), default=None
        Codes or probabilities, whose cross-entropy is added.
    label_weight : ndarray of shape (n_samples,)
        Their weights.
    temperature : float
        By which logits are divided for these.
    """

    divergence: str = "kl"
    parameter: float = 0.5
    labels: np.ndarray | None = None
    label_weight: np.ndarray | None = None
    temperature: float = 1.0

    def stages(self, class_weight, data):
        """Return the sums of terms to minimise one after the other, from the last solution.

        Divergences other than forward KL are not convex; they start where that is least.
        """
        terms = []
        if self.labels is not None:
            labels, weight = self.labels, self.label_weight
            check_consistent_length(data.target, labels)
            if class_weight is not None:
                labels, weight = apply_class_weight(class_weight, data.classes, labels, weight)
            if labels.ndim == 2:
                labels = np.ascontiguousarray(labels, dtype=data.X.dtype)
            terms = [LossTerm(labels, weight, self.temperature)]
        self._refuse_zeros(data)
        first = LossTerm(data.target, data.weight)
        last = replace(first, divergence=self.divergence, parameter=self.parameter)
        stages = [last] if self.divergence == "kl" else [first, last]
        return [[term, *terms] for term in stages]

    def _refuse_zeros(self, data):
        """Refuse probabilities of 0 where they make the divergence infinite for any model."""
        if self.divergence not in ("reverse_kl", "jeffreys") and (
            self.divergence != "alpha" or self.parameter > 0.0
        ):
            return
        zeros = (data.target == 0.0) & (data.weight > 0.0)[:, np.newaxis]
        if zeros.any():
            i, j = np.argwhere(zeros)[0]
            raise ValueError(
                f"The teacher gives class {data.classes.tolist()[j]!r} of sample {i} "
                f"probability 0 (as {data.target.dtype}, times class_weight), where the "
                f"divergence {self.divergence!r} is infinite; set smoothing, e.g. to 1e-3, or "
                "take 'kl', 'jensen_shannon' or an alpha above 0."
            )


def _can_stream(model):
    """Say why an estimator has no partial_fit, if it has none."""
    infinite = isinstance(model.C, Real) and np.isinf(model.C)
    balanced = isinstance(model.class_weight, str) and model.class_weight == "balanced"
    if model.l1_ratio != 0.0 or infinite or balanced:
        raise AttributeError(
            "partial_fit needs l1_ratio=0, a finite C and a class_weight that is not "
            f"'balanced'; got l1_ratio={model.l1_ratio!r}, C={model.C!r}, "
            f"class_weight={model.class_weight!r}."
        )
    return True


class SoftLabelLogisticRegression(CallbackSupportMixin, LinearSoftmaxMixin, BaseEstimator):
    r"""Logistic regression that learns from probabilities.

    Minimises the forward KL divergence of the targets to the model,

    .. math::
        C \sum_i s_i D(y_i \| \mathrm{softmax}(W x_i + b))
        + \frac{1 - \rho}{2} \|W\|_2^2 + \rho \|W\|_1,

    with sample weights s and :math:`\rho` the ``l1_ratio``. On hard labels this is the
    objective of ``sklearn.linear_model.LogisticRegression``. On soft labels the optimum is the
    one that it has on every row repeated once per class with the probabilities as weights,
    without the repetition.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the penalty, positive; ``np.inf`` for none.
    l1_ratio : float, default=0.0
        Share of the L1 norm in the penalty, from 0 to 1. With some, coefficients become
        exactly zero.
    fit_intercept : bool, default=True
        Add an intercept, which is not penalised.
    classes : array-like of shape (n_classes,), default=None
        The classes in the order of the columns of a soft ``y``. It fixes the classes, so
        that labels absent from the data still get a column. By default the sorted labels,
        the columns of a data frame, or 0, ..., n_classes - 1.
    class_weight : dict or "balanced", default=None
        Weights by class, 1 where not given. They multiply the columns of the target;
        "balanced" gives ``n / (n_classes * mass)``, where the mass of a class is the sum of
        its targets over the samples, and n the sum of all, each with its sample weight.
    solver : {"auto", "lbfgs", "proximal"}, default="auto"
        "lbfgs" is for smooth penalties, "proximal" for any; "auto" takes the former if
        ``l1_ratio`` is 0.
    tol : float, default=1e-3
        Stop when a Newton step would change no log-odds of two classes of a sample by more.
        Predicted probabilities p, and 1 - p, are then within about this of the optimum,
        relative to it, whatever the units of the features and the scale of the weights.
    max_iter : int, default=1000
        Bound for the number of iterations.
    warm_start : bool, default=False
        Start from the last solution.
    verbose : int, default=0
        Print progress if positive.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the order of all results: sorted if ``y`` holds labels, otherwise that
        of ``classes``, or of the columns of a data frame. scikit-learn's own scorers of
        probabilities, as "neg_log_loss", take sorted order for granted; those of
        ``sklkl.metrics`` do not.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) if binary
        Coefficients. If binary, those of the logit of ``classes_[1]``.
    intercept_ : ndarray of shape (n_classes,), or (1,) if binary
        Intercepts, zeros without ``fit_intercept``.
    n_iter_ : int
        Number of iterations.
    loss_ : float
        Mean KL divergence of the training targets to the model, nats, with the weights and
        class weights of the fit. It is a difference of cross-entropy and entropy, and so
        known to about 1e-15.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had any.

    See Also
    --------
    sklkl.distillation.DistilledClassifier : Get soft labels from a teacher.
    sklearn.linear_model.LogisticRegression : The same for hard labels.

    Notes
    -----
    Every evaluation of the objective reads X once, in tiles that stay in the cache, in the
    layout and precision that it has. L-BFGS works in the metric of a Kronecker-factored
    Hessian, so that neither the scaling of features nor rare classes matter much; the
    proximal method is its counterpart for the L1 norm.

    References
    ----------
    Papke, L. E. and Wooldridge, J. M. (1996). Econometric Methods for Fractional Response
    Variables. Journal of Applied Econometrics 11(6), 619-632.

    Martens, J. and Grosse, R. (2015). Optimizing Neural Networks with Kronecker-factored
    Approximate Curvature. International Conference on Machine Learning, arXiv:1503.05671.

    Spiegelhalter, D. J. and Lauritzen, S. L. (1990). Sequential Updating of Conditional
    Probabilities on Directed Graphical Structures. Networks 20, 579-605.

    Examples
    --------
    >>> from sklkl.linear_model import SoftLabelLogisticRegression
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> y = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]]
    >>> model = SoftLabelLogisticRegression(C=10, classes=["ham", "spam"]).fit(X, y)
    >>> model.predict_proba([[1.5]]).round(2)
    array([[0.46, 0.54]])
    >>> model.predict([[3.0]])
    array(['spam'], dtype='<U4')
    """

    _goal = Goal()

    def __init__(
        self,
        *,
        C=1.0,
        l1_ratio=0.0,
        fit_intercept=True,
        classes=None,
        class_weight=None,
        solver="auto",
        tol=1e-3,
        max_iter=1000,
        warm_start=False,
        verbose=0,
    ):
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.classes = classes
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Fit the model to labels or soft targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels; or a probability vector per row, whose columns are ``classes``, or the
            columns of a data frame.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative. A weight of 2 is a sample twice.

        Returns
        -------
        self : SoftLabelLogisticRegression
            The fitted model.

        Raises
        ------
        ValueError
            If ``y`` holds a row that is no probability vector (the message names it), an
            unknown label, or a single class; or on any other bad argument.

        Warns
        -----
        ConvergenceWarning
            If the tolerance was not reached.
        """
        self._check_parameters()
        goal = vars(self).pop("_goal", self._goal)
        with unchanged_on_error(self):
            data = check_data(self, X, y, sample_weight)
            monitor = result = None
            for terms in goal.stages(self.class_weight, data):
                objective = data.objective(self.fit_intercept, self.C, self.l1_ratio, terms)
                if monitor is None:
                    start = self._start(objective, data.classes)
                    monitor = FitMonitor(
                        self,
                        {"X": X, "y": y, "sample_weight": sample_weight},
                        start,
                        lambda n, W: self._attributes(data, n, W),
                    )
                result = solve(
                    objective,
                    start if result is None else result.W,
                    X=data.X,
                    solver=self.solver,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    done=0 if result is None else result.n_iter,
                    callback=monitor,
                    stacklevel=3 + WRAPPERS,
                )
                if not result.converged:
                    break
            monitor.end(result.n_iter, result.W)
        vars(self).update(self._attributes(data, result.n_iter, result.W))
        self.loss_ = objective.loss_at(result.W, result.value)
        self._posterior = None
        return self

    @available_if(_can_stream)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Learn from one more batch of a stream.

        The first batch is fitted as by ``fit``. What it has taught is then kept as a Gaussian
        distribution of the coefficients, the Laplace approximation, and takes the place of
        the penalty for the next batch (Spiegelhalter and Lauritzen, 1990). There is no
        learning rate. The method is there with ``l1_ratio=0``, a finite ``C`` and a
        ``class_weight`` that is not "balanced".

        Batches should be mixed: one of a single class is fitted so well that it leaves hardly
        a trace. Where classes come otherwise than their shares so far let expect, earlier rows
        are made to count more. If they left hardly a trace, there is a warning, too: streams
        sorted by class come near the accuracy of ``fit`` if batches have five rows or more,
        and are lost otherwise.

        With n_features up to about a thousand the distribution has a matrix per class; beyond,
        and for sparse ``X``, the diagonal of one, which makes larger batches worthwhile. After
        ``fit``, which keeps no such record, the penalty draws the coefficients to those of
        ``fit``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels, or a probability vector per row.
        classes : array-like of shape (n_classes,), default=None
            All classes, needed in the first call if ``y`` holds labels and the parameter
            ``classes`` is not set.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative.

        Returns
        -------
        self : SoftLabelLogisticRegression
            The model after this batch; ``loss_`` and ``n_iter_`` are of this batch alone.

        Raises
        ------
        ValueError
            On bad data, as ``fit``; if ``C``, ``fit_intercept``, the classes or their order
            differ from the first call.

        Warns
        -----
        UserWarning
            If batches were not mixed, and earlier ones are all but forgotten.
        ConvergenceWarning
            If the tolerance was not reached.

        Examples
        --------
        >>> import numpy as np
        >>> from sklkl.linear_model import SoftLabelLogisticRegression
        >>> rng = np.random.default_rng(0)
        >>> model = SoftLabelLogisticRegression()
        >>> for _ in range(10):
        ...     X = rng.normal(size=(20, 1))
        ...     p = 1 / (1 + np.exp(-2 * X[:, 0]))
        ...     model = model.partial_fit(X, np.column_stack([1 - p, p]))
        >>> model.coef_.round(1)
        array([[1.8]])
        """
        self._check_parameters()
        classes = None if classes is None else check_classes(classes)
        posterior = getattr(self, "_posterior", None)
        with unchanged_on_error(self):
            first = not hasattr(self, "coef_")
            classes = self._stream_classes(y, classes)
            data = check_data(self, X, y, sample_weight, reset=first, classes=classes)
            batch = data.objective(self.fit_intercept, np.inf, 0.0)
            if posterior is None:
                posterior = Posterior.prior(
                    np.zeros(batch.shape) if first else self._wide_coefficients(),
                    batch.n_features,
                    float(self.C),
                    full=not issparse(data.X),
                )
            elif posterior.mean.shape != batch.shape or posterior.C != self.C:
                raise ValueError(
                    f"fit_intercept={self.fit_intercept}, C={self.C}: one of them differs "
                    "from the first call of partial_fit, and what was learned depends on it. "
                    "Clone the estimator to begin anew."
                )
            before, posterior = posterior, posterior.with_counts(data, self.class_weight)
            forgetful = posterior.forgetful and not before.forgetful
            objective = StreamObjective(batch, data, posterior)
            result = solve(
                objective,
                posterior.mean,
                X=data.X,
                solver="lbfgs",
                tol=self.tol,
                max_iter=self.max_iter,
            )
            posterior = objective.posterior_at(result.W)
        if forgetful:
            k = int(posterior.surprises.argmax())
            warnings.warn(
                f"Class {data.classes.tolist()[k]!r} came {posterior.surplus[k]:.0f} times "
                "more than batches before let expect, and what these taught is kept badly "
                "where they had few classes each. Mix the classes in every batch, or fit all "
                "rows at once.",
                UserWarning,
                stacklevel=2,
            )
        vars(self).update(self._attributes(data, result.n_iter, posterior.mean))
        self.loss_ = batch.loss_at(posterior.mean, batch(posterior.mean)[0])
        self._posterior = posterior
        return self

    def _stream_classes(self, y, classes):
        """Return the classes of a stream, None if a soft y names them."""
        labels = not (np.ndim(y) == 2 and np.shape(y)[1] > 1)
        known = {
            "those of the first call": getattr(self, "classes_", None),
            "the parameter classes": self.classes,
        }
        found = None
        for what, others in {"classes": classes, **known}.items():
            if others is None:
                continue
            if labels:
                others = np.sort(others)  # of which no column depends on the order
            if found is None:
                found = others
            elif not np.array_equal(np.sort(found) if labels else found, others):
                raise ValueError(
                    f"classes={shown(found)} are not {what}, {shown(others)}; their order "
                    "matters, too, if y holds probabilities."
                )
        if hasattr(self, "classes_"):
            return self.classes_
        if found is None and labels:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: a batch of labels "
                "may lack some."
            )
        return found

    def _attributes(self, data, n_iter, W):
        """Return what makes the estimator predict with the coefficients W."""
        n_features = data.X.shape[1]
        dtype = data.X.dtype
        intercept = W[-1].copy() if self.fit_intercept else np.zeros(W.shape[1])
        return {
            "classes_": data.classes,
            "coef_": np.array(W[:n_features].T, dtype=dtype, order="C"),  # never a view of W
            "intercept_": intercept.astype(dtype),
            "n_iter_": n_iter,
        }

    def _check_parameters(self):
        check_numbers(
            self, "C", "l1_ratio", "fit_intercept", "tol", "max_iter", "warm_start", "verbose"
        )
        check_solver(self.solver, self.l1_ratio)
        if self.classes is not None:
            check_classes(self.classes)

    def _start(self, objective, classes):
        if not (self.warm_start and hasattr(self, "coef_")):
            return np.zeros(objective.shape)
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start: the last fit had the classes {self.classes_.tolist()}, now "
                f"they are {classes.tolist()}. Set classes=, or warm_start=False."
            )
        if self.coef_.shape[1] != objective.n_features:
            raise ValueError(
                f"warm_start: the last fit had {self.coef_.shape[1]} features, now there "
                f"are {objective.n_features}. Set warm_start=False."
            )
        return self._wide_coefficients()

    def _wide_coefficients(self):
        return self._coefficients().astype(np.float64, order="C")

    def _sklearn_parameters(self):
        elastic = {"l1_ratio": self.l1_ratio, "solver": "saga"} if self.l1_ratio else {}
        return {
            "C": self.C,
            "fit_intercept": self.fit_intercept,
            "class_weight": self.class_weight,
            **elastic,
        }
