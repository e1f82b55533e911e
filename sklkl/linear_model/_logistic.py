"""Multinomial logistic regression on soft labels."""

import warnings
from contextlib import contextmanager
from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from sklkl._core.callbacks import FitMonitor
from sklkl._core.classes import check_classes, in_order
from sklkl._core.devices import on_host
from sklkl._core.docs import documented
from sklkl._core.names import shown
from sklkl._core.parameters import same
from sklkl._core.samples import holds_labels
from sklkl._core.sklearn import (
    ARRAY_API,
    WRAPPERS,
    CallbackSupportMixin,
    feature_names,
    with_callbacks,
)
from sklkl._core.targets import is_sparse
from sklkl._core.topk import refuse_bucket
from sklkl._core.typing import (
    ClassWeight,
    DivergenceName,
    DivergenceParams,
    Samples,
    Solver,
    keeps_type,
)
from sklkl._optimize.solve import check_solver, solve, solve_stages
from sklkl.batches import Batches
from sklkl.linear_model._batched import check_batches
from sklkl.linear_model._data import check_data, check_numbers, unchanged_on_error
from sklkl.linear_model._loss import KL_SPELLINGS, resolve_divergence
from sklkl.linear_model._objective import kl_objective, objectives_of, step_tolerance
from sklkl.linear_model._softmax import LinearSoftmaxMixin
from sklkl.linear_model._stream import Posterior


def _can_stream(model):
    """Return True; raise an AttributeError with the reason why there is no partial_fit."""
    infinite = isinstance(model.C, Real) and np.isinf(model.C)
    balanced = isinstance(model.class_weight, str) and model.class_weight == "balanced"
    # Parameters are not checked yet: to compare a broken sparse matrix may end the process.
    if not same(model.l1_ratio, 0.0) or infinite or balanced:
        raise AttributeError(
            "partial_fit needs l1_ratio=0, a finite C and a class_weight that is not "
            f"'balanced'; got l1_ratio={model.l1_ratio!r}, C={model.C!r}, "
            f"class_weight={model.class_weight!r}."
        )
    kl = isinstance(model.divergence, str) and model.divergence in KL_SPELLINGS
    if not kl or not same(model.temperature, 1.0):
        raise AttributeError(
            "partial_fit needs divergence='kl' and temperature=1: it keeps a Gaussian "
            "approximation of a likelihood, which other divergences have not, nor targets at "
            f"another temperature; got divergence={model.divergence!r}, "
            f"temperature={model.temperature!r}."
        )
    return True


class SoftLabelLogisticRegression(CallbackSupportMixin, LinearSoftmaxMixin, BaseEstimator):
    r"""Logistic regression that learns from probabilities.

    Minimises the divergence of the targets to the model, by default forward KL,

    .. math::
        C \sum_i s_i D(y_i \| \mathrm{softmax}(z_i))
        + \frac{1 - \rho}{2} \|W\|_2^2 + \rho \|W\|_1, \quad z_i = W x_i + b,

    with sample weights s and :math:`\rho` the ``l1_ratio``; an ``offset`` of ``fit`` is added
    to the z. On hard labels this is the
    objective of ``sklearn.linear_model.LogisticRegression``. On soft labels the optimum is the
    one that it has on every row repeated once per class with the probabilities as weights,
    without the repetition.

    For distillation (Hinton et al., 2015) the targets may be probabilities at another
    temperature T, and labels h may be learned besides, with weights l. The first sum is then

    .. math::
        C \sum_i \left[ s_i T^2 D(y_i \| \mathrm{softmax}(z_i / T))
        + l_i H(h_i, \mathrm{softmax}(z_i)) \right],

    where H is the cross-entropy. Targets y are taken as
    they are given: at temperature T, a teacher's probabilities p are the
    :math:`p^{1/T}`, divided by their sum.

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
    divergence : {"kl", "reverse_kl", "jeffreys", "jensen_shannon", "alpha"}, default="kl"
        The divergence D of the targets p to the predictions q, nats. Where the model cannot
        follow, "kl", KL(p, q), makes it cover all that has a probability; "reverse_kl",
        KL(q, p), makes it commit to a part; the others lie between: "jeffreys" is the sum of
        both. All but "kl" are not convex: the fit starts from the solution of that, and ends
        in a local minimum. A target of probability 0 makes "reverse_kl", "jeffreys" and an
        alpha up to 0 infinite, and is refused, so these are not for labels.
    divergence_params : dict, default=None
        Of "jensen_shannon" ``{"weight": w}``, from 0 to 1, by default 1/2: the weight of the
        target in the mixture m of both, in (KL(p, m) / (1 - w) + KL(q, m) / w). This is "kl"
        at 0 and "reverse_kl" at 1, without a jump, and 4 times the Jensen-Shannon divergence
        at 1/2. Of "alpha" ``{"alpha": a}``, as in ``sklkl.divergences.alpha_divergence``:
        "kl" at 1, "reverse_kl" at 0.
    temperature : float, default=1.0
        The temperature T of the targets, from 1e-6 to 1e6. ``predict_proba`` predicts at it,
        too, so that scores compare like with like, in searches as well; to predict at
        temperature 1 after the fit, call ``set_params(temperature=1)``. ``coef_`` and
        ``decision_function`` belong to z, at temperature 1.
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
        The classes, in the order of all results: sorted if ``y`` holds labels, otherwise the
        order of ``classes``, or of the columns of a data frame. scikit-learn's own scorers of
        probabilities, as "neg_log_loss", take sorted order for granted; the scorers of
        ``sklkl.metrics`` do not.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) if binary
        Coefficients. If binary, the coefficients of the logit of ``classes_[1]``.
    intercept_ : ndarray of shape (n_classes,), or (1,) if binary
        Intercepts, zeros without ``fit_intercept``.
    n_iter_ : int
        Number of iterations.
    loss_ : float
        Mean divergence of the training targets to the model at their temperature, nats, with
        the weights and class weights of the fit, and with the KL divergence of labels, if
        there are any, divided by temperature². KL is a difference of cross-entropy and
        entropy, and so known to about 1e-15. Labels beside another divergence than "kl" count
        with their cross-entropy.
    needs_offset_ : bool
        Whether the fit had an ``offset``, without which there are no predictions.
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
    proximal method is its counterpart for the L1 norm. Fits of many rows go to the optimum of
    a sample of them first, whose Hessian is then the metric of all rows (Shamir et al., 2014).
    Small ones evaluate the Hessian in every iteration, which makes steps of Newton of them.

    With scikit-learn's ``array_api_dispatch`` an X of PyTorch or CuPy stays on its device, and
    so do predictions, ``coef_`` and ``intercept_``; of the divergences there is "kl" only.

    References
    ----------
    Papke, L. E. and Wooldridge, J. M. (1996). Econometric Methods for Fractional Response
    Variables. Journal of Applied Econometrics 11(6), 619-632.

    Martens, J. and Grosse, R. (2015). Optimizing Neural Networks with Kronecker-factored
    Approximate Curvature. International Conference on Machine Learning, arXiv:1503.05671.

    Hinton, G., Vinyals, O. and Dean, J. (2015). Distilling the Knowledge in a Neural
    Network. arXiv:1503.02531.

    Shamir, O., Srebro, N. and Zhang, T. (2014). Communication-Efficient Distributed
    Optimization using an Approximate Newton-type Method. International Conference on Machine
    Learning, arXiv:1312.7853.

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

    def __init__(
        self,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        classes: ArrayLike | None = None,
        class_weight: ClassWeight = None,
        divergence: DivergenceName = "kl",
        divergence_params: DivergenceParams | None = None,
        temperature: float = 1.0,
        solver: Solver = "auto",
        tol: float = 1e-3,
        max_iter: int = 1000,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.classes = classes
        self.class_weight = class_weight
        self.divergence = divergence
        self.divergence_params = divergence_params
        self.temperature = temperature
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    @keeps_type(with_callbacks)
    @documented
    def fit(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        label_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Fit the model to labels or soft targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or Batches
            Samples; or ``sklkl.batches.Batches``, which hold targets and weights as well.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels; or a probability vector per row, whose columns are ``classes``, or the
            columns of a data frame. Of many classes a ``TopK``, or a sparse matrix. None if
            ``X`` is ``Batches``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative. A weight of 2 is a sample twice.
        labels : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame, \
                default=None
            Labels of the same classes, or a probability vector per row, to learn besides at
            temperature 1. The columns of a data frame are matched to the classes by name; the
            columns of an array have the order of the columns of ``y``.
        label_weight : array-like of shape (n_samples,), default=None
            Weights of the labels beside ``sample_weight``, non-negative, by default ones; 0
            where a sample has no label, whatever then stands in ``labels``.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Log-odds that are known of each sample and added to its linear scores, finite, with
            a column for each class, in the order of ``classes_``; the columns of a data frame
            are matched by name. Only differences of a row matter: logarithms of probabilities
            will do. If binary also those of ``classes_[1]`` alone. A coefficient of 1 is so
            given them; the penalty is for what the model adds. Predictions then need an
            offset, too. For rows in memory, not for ``Batches`` or arrays on a device.

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
        SeparationWarning
            If classes are separable, and C is infinite or 1e6 and more: coefficients then have
            no optimum, or one that the penalty alone determines.
        """
        divergence = self._check_parameters()
        arguments = {
            "X": X,
            "y": y,
            "sample_weight": sample_weight,
            "labels": labels,
            "label_weight": label_weight,
            "offset": offset,
        }
        with unchanged_on_error(self), self._checked(arguments) as data:
            self._fit(data, divergence, arguments)
        return self

    @contextmanager
    def _checked(self, arguments):
        """Yield the checked data of the arguments of ``fit``, wherever its rows are."""
        if isinstance(arguments["X"], Batches):
            yield check_batches(self, **arguments)
        else:
            yield check_data(self, **arguments, sparse=True)

    def _fit(self, data, divergence, arguments):
        """Fit to checked data, wherever its rows are, and set the attributes of the model.

        ``arguments`` are those of ``fit``, for callbacks.
        """
        objectives = objectives_of(
            data,
            divergence,
            temperature=self.temperature,
            fit_intercept=self.fit_intercept,
            C=self.C,
            l1_ratio=self.l1_ratio,
            feature_names=lambda: feature_names(self),
        )
        start = self._start(objectives[0], data.classes)
        monitor = FitMonitor(self, arguments, start, lambda n, W: self._attributes(data, n, W))
        objective, result = solve_stages(
            objectives,
            start,
            solver=self.solver,
            tol=step_tolerance(self.tol, data, self.temperature),
            max_iter=self.max_iter,
            callback=monitor if monitor.tells else None,
            stacklevel=4 + WRAPPERS,
        )
        monitor.end(result.n_iter, result.W)
        vars(self).update(self._attributes(data, result.n_iter, result.W))
        self.loss_ = objective.loss_at(result.W, result.value)
        self._posterior = None

    @keeps_type(available_if(_can_stream))
    @documented
    def partial_fit(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Learn from one more batch of a stream.

        The first batch is fitted as by ``fit``. What was learned is then kept as a Gaussian
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
        ``fit``, which keeps no such record, the penalty draws the coefficients to the ones
        that ``fit`` found.

        Parameters
        ----------
        %(X)s
        %(y)s
        classes : array-like of shape (n_classes,), default=None
            All classes, needed in the first call if ``y`` holds labels and the parameter
            ``classes`` is not set.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Log-odds that are added to the linear scores, as in ``fit``: for all batches, or
            none.

        Returns
        -------
        self : SoftLabelLogisticRegression
            The model after this batch; ``loss_`` and ``n_iter_`` are of this batch alone.

        Raises
        ------
        ValueError
            On bad data, as ``fit``; if ``C``, ``fit_intercept``, the classes or their order
            differ from the first call, or only some calls pass an offset.

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
            options = {"reset": first, "classes": classes, "sparse": True}
            data = check_data(self, X, y, sample_weight, offset=offset, **options)
            if not first and getattr(self, "needs_offset_", False) != (offset is not None):
                raise ValueError(
                    "offset was passed in some calls only; pass it in all, zeros for rows "
                    "without one, or clone the estimator to begin anew."
                )
            if is_sparse(data.target):
                refuse_bucket(data.target, "partial_fit")
            batch = kl_objective(data, self.fit_intercept)
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
            result = solve(
                posterior.objective(batch),
                posterior.mean,
                solver="lbfgs",
                tol=self.tol,
                max_iter=self.max_iter,
            )
            posterior = posterior.after(batch, result.W)
        if forgetful:
            k = int(posterior.surprises.argmax())
            warnings.warn(
                f"Class {data.classes.tolist()[k]!r} came {posterior.surplus[k]:.0f} times "
                "more than batches before let expect, and what was learned from these is kept "
                "badly where they had few classes each. Mix the classes in every batch, or "
                "fit all rows at once.",
                UserWarning,
                stacklevel=2,
            )
        vars(self).update(self._attributes(data, result.n_iter, posterior.mean))
        self.loss_ = batch.loss_at(posterior.mean, batch(posterior.mean)[0])
        self._posterior = posterior
        return self

    def _stream_classes(self, y, classes):
        """Return the classes of a stream, None if a soft y names them."""
        labels = holds_labels(y)
        known = {
            "the classes of the first call": getattr(self, "classes_", None),
            "the parameter classes": on_host(self.classes, "classes"),
        }
        found = None
        for what, others in {"classes": classes, **known}.items():
            if others is None:
                continue
            if labels:
                others = in_order(others, what)  # of which no column depends on the order
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
        """Return what makes the estimator predict with W, a minimiser of ``objectives_of``."""
        n_features, T = data.n_features, float(self.temperature)
        narrow = "float32" in str(data.dtype)  # of NumPy, or of another library
        dtype = np.float32 if narrow else np.float64
        put = np.asarray if data.place is None else data.place.put
        intercept = W[-1] if self.fit_intercept else np.zeros(W.shape[1])
        coef = T * W[:n_features].T.astype(dtype)
        return {
            "classes_": data.classes,
            "coef_": put(np.ascontiguousarray(coef)),
            "intercept_": put(T * intercept.astype(dtype)),
            "n_iter_": n_iter,
            "needs_offset_": data.offset is not None,
        }

    def _check_parameters(self):
        """Return the divergence; refuse parameters that are bad."""
        check_numbers(
            self,
            *("C", "l1_ratio", "fit_intercept", "temperature"),
            *("tol", "max_iter", "warm_start", "verbose"),
        )
        check_solver(self.solver, self.l1_ratio)
        if self.classes is not None:
            check_classes(self.classes)
        return resolve_divergence(self.divergence, self.divergence_params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        kl = isinstance(self.divergence, str) and self.divergence in KL_SPELLINGS
        tags.array_api_support = ARRAY_API and kl
        return tags

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
        return self._wide_coefficients() / self.temperature

    def _wide_coefficients(self):
        return self._coefficients().astype(np.float64, order="C")

    def _penalty(self):
        return self.C, self.l1_ratio
