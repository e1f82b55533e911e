"""A student classifier that is fitted to the probabilities of a teacher."""

import warnings
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklkl._core.classes import in_order, spread
from sklkl._core.docs import documented
from sklkl._core.meta import MetaClassifierMixin, refuse_metadata
from sklkl._core.models import check_has_proba, compares_pairs, is_frozen
from sklkl._core.names import shown
from sklkl._core.parameters import NON_NEGATIVE, Rule, check_parameters, integer
from sklkl._core.samples import check_same_rows, is_unlabeled, take
from sklkl._core.sklearn import num_samples, params_of_rows, side_by_side
from sklkl._core.targets import Target, is_sparse, of_classes, one_hot
from sklkl._core.typing import (
    DivergenceName,
    DivergenceParams,
    Estimator,
    Floats,
    Folds,
    RandomState,
    Samples,
    keeps_type,
)
from sklkl.distillation import _tuning
from sklkl.distillation._composition import SampleTargets, compose
from sklkl.distillation._munge import SEED, followed_by
from sklkl.distillation._plan import as_student, as_teacher, resolve
from sklkl.distillation._student import (
    fit_student,
    learns_from_probabilities,
    predict_proba_at_1,
    to_sklearn,
)
from sklkl.distillation._teacher import MEMORY, kept, predict, timed
from sklkl.linear_model._loss import resolve_divergence
from sklkl.metrics import kl_loss
from sklkl.metrics._classifier import SoftLabelClassifierMixin

PREDICTIONS = "predict", "predict_proba", "predict_log_proba", "decision_function"


def _is_single(value):
    return not isinstance(value, list | tuple | dict | set) and np.ndim(value) == 0


RULES = {
    **_tuning.RULES,
    "tune": _tuning.TUNE,
    "unlabeled": Rule("a single value that marks samples, or None", good=_is_single),
    "n_synthetic": NON_NEGATIVE,
    "random_state": SEED,
    "verbose": integer(0).or_(True, False),
}
# Mean log losses, in nats, at which probabilities are as good as the labels, and at which a
# teacher that is fitted already probably knows them.
LABELS, KNOWN = 1e-3, 1e-2


def _student_has(method):
    def check(self):
        student = getattr(self, "student_", None) or as_student(self.student)
        getattr(student, method)  # its AttributeError names what is missing
        return True

    return check


def _names_of(params, inner):
    return [name for name in params if name.startswith(f"{inner}__")]


class DistilledClassifier(MetaClassifierMixin, SoftLabelClassifierMixin, BaseEstimator):
    r"""Student classifier fitted to the probabilities of a teacher.

    The teacher is fitted to the labelled samples and predicts probabilities p for all
    samples, labelled or not; the student q, with logits z, learns these, and the labels y as
    far as they are known:

    .. math::
        \sum_i s_i \left[ (1 - w) \, T^2 D(p_i^{(T)} \| \mathrm{softmax}(z_i / T))
        + w \, H(y_i, \mathrm{softmax}(z_i)) \right], \quad p^{(T)} \propto p^{1/T},

    with sample weights s, the ``temperature`` T, the ``hard_label_weight`` w, and a
    ``divergence`` D, forward KL by default (Hinton et al., 2015). The student predicts at
    temperature 1.

    Parameters
    ----------
    teacher : estimator, list, dict or None
        Classifier with ``predict_proba``. It is cloned and fitted, unless it is wrapped in
        ``sklearn.frozen.FrozenEstimator``. Several are averaged, as by ``PooledClassifier``,
        which can learn their weights, too, and whose estimators can be searched over. None
        if ``fit`` gets ``teacher_proba``.
    student : estimator, default=None
        Classifier to fit, by default ``SoftLabelLogisticRegression()``. That one and
        ``SoftLabelLogisticRegressionCV``, also as the last step of a pipeline or inside a
        search, learn from the probabilities themselves. Any other classifier gets every
        sample once per class with the probabilities as ``sample_weight``, which it must
        support, and request if it is a pipeline and metadata routing is enabled. Beware of
        one that splits its data, as for early stopping: it splits these rows. But
        ``LGBMClassifier`` and ``XGBClassifier``, alone or as the last step of a pipeline, get
        every sample once and the derivatives of the loss, unless other options of theirs
        or metadata change the loss.
    temperature : float, default=1.0
        The probabilities of the teacher become proportional to p^(1/temperature), and the
        student learns them at the same temperature, from 1e-6 to 1e6; it predicts at
        temperature 1. Values above 1 stress how the teacher ranks improbable classes; zeros
        stay zeros. The divergence counts temperature² times, so that ``C`` of the default
        student keeps its meaning (an L1 norm counts temperature times).
    calibrate : bool, default=False
        Whether to calibrate the teacher first, for one whose probabilities are too near to
        1/2, as a forest predicts them, or too near to 0 and 1, as a network does. The
        probabilities become proportional to p^(1/t), where t minimises their log loss on the
        labelled samples, predicted by teachers that were not fitted to them (see
        ``cross_fit``). The predictions for samples that the teacher was fitted to are changed
        in the same way, which does not mend a teacher that memorises; ``cross_fit`` does.
    hard_label_weight : float, default=0.0
        Share w of the labels in the loss of a labelled sample, from 0 to 1. At 1 the teacher
        is ignored, and the student is fitted to the labels only.
    divergence : str, default="kl"
        Divergence of the student from the teacher: "kl", "reverse_kl", "jeffreys",
        "jensen_shannon" or "alpha", as in ``SoftLabelLogisticRegression``. Where the student
        cannot follow, "kl" makes it cover all that the teacher holds possible; "reverse_kl"
        makes it commit to a part; the others lie between. All but "kl" are not convex: the
        student starts from the solution for "kl", and ends in a local minimum. Where the
        teacher predicts 0, "reverse_kl", "jeffreys" and an alpha up to 0 are infinite; see
        ``smoothing``.
    divergence_params : dict, default=None
        ``{"weight": w}`` of "jensen_shannon", the weight of the teacher in the mixture, 0.5
        by default, and ``{"alpha": a}`` of "alpha", which needs it.
    loss_correction : float, default=0.0
        Strength, from 0 to 1, of the correction of Dao et al. (2021) for a teacher that is
        biased: at 1 its errors on labelled samples no longer matter to first order, at the
        price of the noise of the labels. At temperature 1 this is the same as
        ``hard_label_weight``; otherwise the share of a label depends on the probability that
        the teacher gives it. No share goes beyond 1, so part of the error stays in classes
        that the teacher holds improbable (above temperature 1; below, in probable classes).
        Only with "kl".
    smoothing : float, default=0.0
        Share, from 0 to below 1, of the uniform distribution that is mixed into the
        probabilities of the teacher, before any temperature; it takes the zeros away.
    cross_fit : int, splitter or iterable, default=None
        Folds for cross-fitting: the probabilities of labelled samples come from teachers that
        were fitted without them, so that the student does not learn the noise that a teacher
        memorises, as a fully grown forest does. Integers mean stratified folds; an iterable
        holds pairs of indices among the labelled samples, a partition, as
        ``list(GroupKFold().split(X, y, groups))``. If None, the teacher that is fitted to all
        labelled samples predicts them; ``calibrate`` and ``tune`` then use 5 folds of their
        own.
    tune : bool or dict, default=False
        Whether to choose parameters by the log loss of students on the folds of
        ``cross_fit``, where neither student nor teacher knows the labels of the fold: a
        teacher that is worse than a student of the labels then does no harm. True chooses
        ``temperature``, ``calibrate``, ``hard_label_weight``, ``smoothing``, ``cross_fit``
        and ``C`` of a logistic student, at 0.1, 1 and 10 times its own; of these a parameter
        that is set to other than its default stays. A dict has lists of values by the names
        of parameters, also ``loss_correction``, ``unlabeled_weight`` and those of the
        student, as ``student__C``; all others stay. It can try ``cross_fit`` with one set of
        folds, and with None. Synthetic samples have no part in the choice. True fits a
        teacher for each fold, and 18 to 45 candidates on each, so some 90 to 225 students.
        Teaching out of fold is tried where the dict says so, and otherwise with a teacher
        whose log loss of what it was fitted to is below a tenth of that of other samples, as
        memory makes it; that fits a teacher for each pair of folds, too.
    unlabeled : object, default=None
        The value in ``y`` that marks a sample without a label, as -1; in a soft ``y``, in
        every column. ``np.nan`` stands for all that is missing, as None and ``pandas.NA``.
        None if all samples have labels. ``score`` leaves such samples out.
        The scorers of ``sklkl.metrics`` refuse the marker, scikit-learn's own take it for a
        label: let the test folds of a search hold labelled samples only.
    unlabeled_weight : float, default=1.0
        Weight of the teacher's probabilities of a sample without a label; those of a labelled
        sample have weight 1. Both are multiplied by the share 1 - w.
    n_synthetic : int or float, default=0
        Number of synthetic samples, drawn by ``munge`` and labelled by the teacher, that
        the student learns from besides; a float is a multiple of the number of samples.
        They weigh as much as unlabelled samples, of average ``sample_weight``. Students that
        ``tune`` compares do not learn from them.
    memory : str or object with the joblib.Memory interface, default=None
        Where to keep fitted teachers and their predictions, so that a search over parameters
        of the student fits each once for each fold. As in ``sklearn.pipeline.Pipeline``, a
        teacher without a fixed ``random_state`` is kept, too. By default nothing is kept.
    random_state : int, RandomState instance or None, default=None
        For the synthetic samples.
    verbose : bool, default=False
        Print how long teachers and student took. Teachers from ``memory`` are silent.

    Attributes
    ----------
    teacher_ : estimator
        The teacher, fitted to all labelled samples; None with ``teacher_proba``.
    student_ : estimator
        The fitted student. A logistic student predicts at temperature 1 by itself, so it
        can be deployed alone; another one learned, and predicts, at ``temperature``, as does
        every ``loss_`` or score that the student recorded while it was fitted. See
        ``to_sklearn``.
    classes_ : ndarray of shape (n_classes,)
        The classes. If ``y`` holds labels they are sorted, whatever order the teacher, the
        columns of ``teacher_proba`` or ``classes`` of the student have. Otherwise they have
        the order of the latter, if given, or of the teacher.
    calibration_temperature_ : float
        The temperature t of a calibration, otherwise 1.
    best_params_ : dict
        The parameters that ``tune`` has chosen, empty without it.
    tuning_results_ : dict or None
        Candidates that ``tune`` has tried, the best first: "params", a list of dicts;
        "mean_loss", an array of mean log losses in nats, of cross-entropies for soft targets;
        and "standard_error" of each. Labels count with a share 1/(2n) of the uniform
        distribution, n being their number: few samples cannot exclude what is improbable.
        None without ``tune``.
    n_features_in_ : int
        Number of features, if the student counts them.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the student knows them.

    See Also
    --------
    DeferringClassifier : Asks the teacher where the student is not certified to agree.
    PooledClassifier : Several teachers as one, with weights given or learned.
    munge : Synthetic samples.
    sklkl.linear_model.coef_frame : The coefficients of the student, by name.
    sklkl.linear_model.SoftLabelLogisticRegression : The default student.
    sklkl.metrics.fidelity_report : What was lost.

    References
    ----------
    Hinton, G., Vinyals, O. and Dean, J. (2015). Distilling the Knowledge in a Neural
    Network. arXiv:1503.02531.

    Bucilă, C., Caruana, R. and Niculescu-Mizil, A. (2006). Model Compression. KDD.

    Dao, T., Kamath, G. M., Syrgkanis, V. and Mackey, L. (2021). Knowledge Distillation as
    Semiparametric Inference. ICLR, arXiv:2104.09732.

    Agarwal, R. et al. (2023). On-Policy Distillation of Language Models. arXiv:2306.13649.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklkl.distillation import DistilledClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = RandomForestClassifier(min_samples_leaf=5, random_state=0)
    >>> model = DistilledClassifier(teacher, temperature=2.0).fit(X, y)
    >>> model.student_.coef_.shape
    (3, 4)
    >>> round(model.score(X, y), 2)
    0.96
    """

    # The teacher and the student consume weights, each as it requests; this class routes.
    __metadata_request__fit = {"sample_weight": UNUSED}  # noqa: RUF012

    def __init__(
        self,
        teacher: Estimator,
        student: Estimator = None,
        *,
        temperature: float = 1.0,
        calibrate: bool = False,
        hard_label_weight: float = 0.0,
        divergence: DivergenceName = "kl",
        divergence_params: DivergenceParams | None = None,
        loss_correction: float = 0.0,
        smoothing: float = 0.0,
        cross_fit: Folds = None,
        tune: bool | dict[str, Any] = False,
        unlabeled: object = None,
        unlabeled_weight: float = 1.0,
        n_synthetic: float = 0,
        memory: Any = None,
        random_state: RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.calibrate = calibrate
        self.hard_label_weight = hard_label_weight
        self.divergence = divergence
        self.divergence_params = divergence_params
        self.loss_correction = loss_correction
        self.smoothing = smoothing
        self.cross_fit = cross_fit
        self.tune = tune
        self.unlabeled = unlabeled
        self.unlabeled_weight = unlabeled_weight
        self.n_synthetic = n_synthetic
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Also the parameters of the teacher and of the student, the default one, too, as
            ``student__C``.

        Returns
        -------
        params : dict
            Parameters by name.
        """
        params = super().get_params(deep=deep)
        if deep and self.student is None:
            inner = as_student(self.student).get_params()
            params.update({f"student__{name}": value for name, value in inner.items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of the teacher and the student.

        Parameters
        ----------
        **params : dict
            Keys are as in ``get_params()``. One of the default student puts that student,
            a ``SoftLabelLogisticRegression``, in the place of None.

        Returns
        -------
        self : DistilledClassifier
            The classifier.

        Raises
        ------
        ValueError
            If there is no such parameter, or it is one of a teacher that has none: None, or
            several in a list.
        """
        if params.get("student", self.student) is None and _names_of(params, "student"):
            self.student = None
            params["student"] = as_student(self.student)
        teacher = params.get("teacher", self.teacher)
        names = _names_of(params, "teacher")
        if names and not hasattr(teacher, "set_params"):
            raise ValueError(
                f"{names[0]} is a parameter of the teacher, but teacher is "
                f"{teacher!r}, which has none. Set teacher to an estimator first; several "
                "are one as a PooledClassifier."
            )
        return super().set_params(**params)

    def _splitters(self):
        return {"splitter": self.cross_fit}

    def _inner_estimators(self):
        inner = {"teacher": as_teacher(self.teacher), "student": as_student(self.student)}
        return {name: e for name, e in inner.items() if e is not None}

    def get_metadata_routing(self) -> Any:
        """Get the routes of metadata: as of all such models, and to the student's predictions.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            The router.
        """
        mapping = MethodMapping().add(caller="score", callee="predict")
        mapping.add(caller="score", callee="predict_proba")
        for method in PREDICTIONS:
            mapping.add(caller=method, callee=method)
        router = super().get_metadata_routing()
        return router.add(student_=as_student(self.student), method_mapping=mapping)

    def _of_student(self, method, params):
        """Return the metadata that the student gets for a method."""
        if not get_config()["enable_metadata_routing"]:
            refuse_metadata(method, params, "the student")
            return {}
        return process_routing(self, method, **params).student_[method]

    def _sk_visual_block_(self):
        return side_by_side(self._inner_estimators())

    def fit(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        teacher_proba: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the teacher, then the student to the probabilities that it predicts for X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, labelled or not.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Labels, or soft targets if the teacher takes those; ``unlabeled`` where there
            is none. May be left out if the teacher is frozen, or with ``teacher_proba``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples for teacher and student. If metadata routing is enabled,
            each gets what it requests.
        teacher_proba : array-like or TopK of shape (n_samples, n_classes), default=None
            Probabilities of all samples by a teacher that is not at hand, as an array, a data
            frame, a ``TopK`` or a sparse matrix; a search slices them as it does X. No teacher
            is fitted then. The columns of a data frame and the names of a ``TopK`` are the
            classes; the columns of an array are the ``classes`` of the student, or the classes
            of a frozen teacher or of ``y``. For ``calibrate`` and ``tune`` they should come
            from teachers that do not know the labels. A ``TopK`` and a sparse matrix are for
            logistic students, and for labels in ``y``.
        **fit_params : dict
            Further metadata for the teacher and the student, if routing is enabled.

        Returns
        -------
        self : DistilledClassifier
            The fitted classifier.

        Raises
        ------
        TypeError
            If the teacher has no ``predict_proba``, or the student learns neither from
            probabilities nor with ``sample_weight``.
        ValueError
            If ``y`` is missing or bad, arguments name their rows in another order than X, the
            classes of teacher and student differ, the student cannot learn by this divergence
            or with labels at this temperature, or the divergence is infinite, with ``tune`` in
            all candidates. What does not
            depend on the teacher is refused before it is fitted.

        Warns
        -----
        UserWarning
            If all samples are labelled, and the teacher tells nothing but the labels, as one
            does that memorises; with ``tune``, if a teacher that is fitted already seems to
            have been fitted to the labelled samples.
        """
        self._check_parameters()
        plan = resolve(self, X, y, sample_weight, teacher_proba, fit_params)
        predictions = plan.predictions(self)
        classes = self._classes(plan, predictions)
        samples = self._samples(plan, predictions, classes)
        teacher = predictions.for_classes(classes)
        divergence = resolve_divergence(self.divergence, self.divergence_params)
        settings, students = plan.settings, None
        if plan.grid:
            students = _tuning.Students(plan, teacher, samples, divergence)
            with timed("choice of parameters", self.verbose):
                settings = _tuning.choose(settings, plan.grid, students.loss)
        if settings["cross_fit"] is not None:
            samples = replace(samples, proba=teacher.out_of_fold())
        composition = compose(settings, teacher, samples, divergence)
        X = plan.X
        if plan.synthetic is not None:
            proba = kept(self.memory, predict)(teacher.teacher, plan.synthetic)
            proba = spread(teacher.teacher.classes_, proba, classes)
            X, samples = followed_by(X, plan.synthetic), samples.followed_by(proba)
        terms = composition.terms(samples)
        self._warn_of_memory(plan, teacher, samples, terms[0].target, students)
        student = _tuning.with_settings(plan.student, settings)
        with timed("student", self.verbose):
            student = fit_student(student, X, classes, terms, plan.student_params)
        self.teacher_, self.student_, self.classes_ = teacher.teacher, student, classes
        self._student_temperature = terms[0].temperature
        self.calibration_temperature_ = composition.calibration_temperature
        self.best_params_ = {name: settings[name] for name in plan.grid}
        self.tuning_results_ = students and students.results()
        self._set_features(student)
        return self

    def _check_parameters(self):
        check_parameters(self, **RULES)
        kept(self.memory, predict)
        resolve_divergence(self.divergence, self.divergence_params)
        if self.teacher is not None:
            check_has_proba(as_teacher(self.teacher), "teacher")

    @staticmethod
    def _classes(plan, teacher):
        """Return the classes of the student: its own or the teacher's; sorted for labels."""
        if len(teacher.classes) < 2:
            raise ValueError(
                f"y holds only 1 class, {teacher.classes.tolist()[0]!r}; at least two are "
                "needed."
            )
        classes, target = plan.student_classes, plan.target
        classes = teacher.classes if classes is None else np.asarray(classes)
        named = target is None or target.named
        if not named and list(classes) != list(teacher.classes):
            raise ValueError(
                "The columns of y have no names, and the classes of the student, "
                f"{shown(classes)}, are not those of the teacher, {shown(teacher.classes)}, "
                "in this order; pass y as a data frame whose columns are the classes."
            )
        # Labels in the order that scikit-learn's scorers take for granted.
        return in_order(classes, "classes of the student") if plan.of_labels else classes

    def _samples(self, plan, teacher, classes):
        """Return the targets of all samples, as codes or probabilities of ``classes``."""
        n_samples = num_samples(plan.X)
        proba = of_classes(teacher.classes, teacher.proba, classes)
        every = np.arange(n_samples) if plan.rows is None else plan.rows
        labels = np.zeros(n_samples, dtype=np.intp)
        if plan.target is not None:
            values = plan.target.onto(teacher.classes)
            values = Target(teacher.classes, values, named=True).onto(classes)
            if values.ndim == 2:
                labels = proba.astype(values.dtype)
            labels[every] = values
        labeled = np.zeros(n_samples, dtype=bool)
        labeled[every] = plan.target is not None
        return SampleTargets(proba, labels, labeled, plan.weight)

    def _warn_of_memory(self, plan, teacher, samples, target, students):
        """Warn of a teacher that says of labelled samples little more than their labels."""
        rows = samples.labeled
        if samples.labels.ndim == 2 or not rows.any() or is_sparse(target):
            return
        truth = one_hot(samples.labels[rows], len(teacher.classes))
        if students is None:
            alone = self.hard_label_weight < 1.0 and self.cross_fit is None and rows.all()
            if alone and kl_loss(truth, target) < LABELS:
                warnings.warn(
                    "The teacher's probabilities, at this temperature, are the labels, and "
                    "the student learns nothing else. If the teacher was fitted to these "
                    "samples, set cross_fit=5, tune=True, or a higher temperature.",
                    UserWarning,
                    stacklevel=3,
                )
        elif plan.given is not None or is_frozen(plan.teacher):
            known, honest = kl_loss(truth, teacher.proba[rows]), students.log_loss()
            if known < min(KNOWN, MEMORY * honest) and honest > KNOWN:
                warnings.warn(
                    "The teacher seems to have been fitted to the labelled samples, of which "
                    f"it tells little but the labels: its log loss is {known:.2g} there, that "
                    "of the best student, on folds that the student does not know, "
                    f"{honest:.2g}. Pass teacher_proba by teachers that do not know a sample, "
                    "as sklkl.model_selection.soft_cross_val_predict returns them, or a "
                    "teacher that is not fitted yet.",
                    UserWarning,
                    stacklevel=3,
                )

    @documented
    def score(
        self,
        X: Samples,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> float:
        """Score the student on the labelled samples: accuracy for labels, D² if soft.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row; ``unlabeled`` where there is none.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        **params : dict
            Metadata for ``predict``, if ``y`` holds labels, or ``predict_proba``.

        Returns
        -------
        %(to_score)s
        """
        check_is_fitted(self)
        weights = {} if isinstance(sample_weight, Real) else {"sample_weight": sample_weight}
        check_same_rows(X=X, y=y, **weights)
        if self.unlabeled is not None and not is_sparse(y):
            rows = np.flatnonzero(~is_unlabeled(y, self.unlabeled))
            if len(rows) == 0:
                raise ValueError(f"y has no labelled sample; all are {self.unlabeled!r}.")
            given = params_of_rows(X, {"sample_weight": sample_weight, **params}, rows)
            X, y, sample_weight = take(X, rows), take(y, rows), given.pop("sample_weight")
            params = given
        return self._score(X, y, sample_weight, **params)

    @documented
    def predict(self, X: Samples, **params: Any) -> NDArray[Any]:
        """Predict labels with the student.

        Parameters
        ----------
        %(X)s
        %(of_student)s

        Returns
        -------
        %(to_labels)s
        """
        check_is_fitted(self)
        labels = self.student_.predict(X, **self._of_student("predict", params))
        if np.ndim(labels) != 1 or not np.isin(labels, self.classes_).all():
            raise ValueError(
                f"The student {type(self.student_).__name__} predicted other values than the "
                "labels in classes_: a booster that is told a loss returns raw scores."
            )
        return labels

    @keeps_type(available_if(_student_has("predict_proba")))
    @documented
    def predict_proba(self, X: Samples, **params: Any) -> Floats:
        """Predict probabilities with the student, at temperature 1.

        Parameters
        ----------
        %(X)s
        %(of_student)s

        Returns
        -------
        %(to_proba)s
        """
        check_is_fitted(self)
        params = self._of_student("predict_proba", params)
        return predict_proba_at_1(
            self.student_, X, self.classes_, self._student_temperature, **params
        )

    @keeps_type(available_if(_student_has("predict_proba")))
    @documented
    def predict_log_proba(self, X: Samples, **params: Any) -> Floats:
        """Predict log-probabilities with the student, at temperature 1.

        Parameters
        ----------
        %(X)s
        %(of_student)s

        Returns
        -------
        %(to_log_proba)s
        """
        check_is_fitted(self)
        if learns_from_probabilities(self.student_):
            params = self._of_student("predict_log_proba", params)
            return self.student_.predict_log_proba(X, **params)
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, **params))

    @keeps_type(available_if(_student_has("decision_function")))
    @documented
    def decision_function(self, X: Samples, **params: Any) -> Floats:
        """Compute the student's decision function.

        Parameters
        ----------
        %(X)s
        %(of_student)s

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) if binary
            Logits at temperature 1 of a logistic student; otherwise the scores of the
            student, columns in the order of ``classes_`` unless they are pairs of classes.
        """
        check_is_fitted(self)
        params = self._of_student("decision_function", params)
        scores, own = self.student_.decision_function(X, **params), self.student_.classes_
        if np.ndim(scores) == 1:  # of the second of two classes
            return scores if own[1] == self.classes_[1] else -scores
        if np.shape(scores)[1] != len(own) or compares_pairs(self.student_):
            return scores
        return spread(own, scores, self.classes_, -np.inf)

    def to_sklearn(self) -> Estimator:
        """Convert the student to an estimator that needs nothing but scikit-learn.

        Returns
        -------
        model : estimator
            It makes the same predictions: a ``LogisticRegression``, a pipeline that ends in
            one, or the student itself if it comes from elsewhere.

        Raises
        ------
        ValueError
            If the student comes from elsewhere and learned at a temperature other than 1, so
            that only this estimator brings its probabilities to temperature 1; or if it is, or
            holds, another estimator of this library.
        """
        check_is_fitted(self)
        if self._student_temperature != 1.0 and not learns_from_probabilities(self.student_):
            raise ValueError(
                f"The student {type(self.student_).__name__} predicts at temperature "
                f"{self._student_temperature}, at which it learned; scikit-learn has nothing "
                "that brings it to 1. Set temperature=1 to convert it."
            )
        return to_sklearn(self.student_)
