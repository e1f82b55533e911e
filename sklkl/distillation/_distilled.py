"""A classifier taught by another one's probabilities."""

import warnings
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from joblib import Memory
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_consistent_length, get_tags, indexable
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_method_params,
    _num_samples,
    check_is_fitted,
    check_memory,
)

from sklkl._core.arrays import as_floating
from sklkl._core.classes import frame_columns, spread
from sklkl._core.models import check_has_proba, check_partition
from sklkl._core.names import places, shown
from sklkl._core.parameters import (
    FINITE,
    NON_NEGATIVE,
    SHARE,
    Rule,
    check_parameters,
    number,
    one_of,
)
from sklkl._core.samples import (
    check_same_rows,
    check_weights,
    holds_labels,
    is_unlabeled,
    refuse_marker_as_string,
    refuse_missing_labels,
    take,
)
from sklkl._core.targets import check_target, one_hot
from sklkl.distillation._lesson import Material, Recipe
from sklkl.distillation._munge import SEED, followed_by, munge
from sklkl.distillation._pooling import FOLDS, PooledClassifier
from sklkl.distillation._student import (
    check_samples,
    check_student,
    check_weights_arrive,
    classes_of_student,
    fit_student,
    learns_from_probabilities,
    predict_proba_at_1,
    refuse_extreme_weights,
    rename_weight,
    to_sklearn,
    weight_name,
    weight_request,
)
from sklkl.distillation._teaching import (
    Teaching,
    calibrate,
    normalized,
    predict,
    teach,
    timed,
)
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.linear_model._loss import DIVERGENCES, resolve_divergence
from sklkl.metrics import kl_loss
from sklkl.metrics._classifier import SoftLabelClassifierMixin
from sklkl.model_selection._split import check_soft_cv


def _is_single(value):
    return np.ndim(value) == 0 and not isinstance(value, dict | set)


RULES = {
    # Beyond, T^2 and probabilities^(1/T) leave too few digits to the student.
    "temperature": number("a number from 1e-6 to 1e6", lambda v: 1e-6 <= v <= 1e6).or_("auto"),
    "hard_label_weight": SHARE.or_("auto"),
    "divergence": one_of(DIVERGENCES),
    "beta": SHARE,
    "alpha": FINITE,
    "loss_correction": SHARE,
    "smoothing": number("a number from 0 to below 1", lambda v: 0 <= v < 1).or_("auto"),
    "cv": FOLDS,
    "unlabeled": Rule("a single value that marks samples, or None", good=_is_single),
    "unlabeled_weight": NON_NEGATIVE,
    "n_synthetic": NON_NEGATIVE,
    "random_state": SEED,
    "verbose": Rule("True or False", Integral, words=(True, False)),
}
AUTO = ("temperature", "hard_label_weight", "smoothing")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def _student_has(method):
    def check(self):
        student = self.student_ if hasattr(self, "student_") else self._student()
        getattr(student, method)  # its AttributeError says what is missing
        return True

    return check


def _names_of(params, inner):
    return [name for name in params if name.startswith(f"{inner}__")]


class DistilledClassifier(MetaEstimatorMixin, SoftLabelClassifierMixin, BaseEstimator):
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
        one that splits its data, for early stopping say: it splits these rows.
    temperature : float or "auto", default=1.0
        The teacher's probabilities p become proportional to p^(1/temperature), and the
        student learns them at the same temperature, from 1e-6 to 1e6; it predicts at
        temperature 1. Values above 1 stress what the teacher says of improbable classes;
        zeros stay zeros. The divergence counts temperature² times, so that ``C`` of the
        default student keeps its meaning.

        "auto" is for a teacher whose probabilities are too near to 1/2, as a forest's, or too
        near to 0 and 1, as a network's: of the labelled samples, by teachers that were not
        fitted to them (see ``cv``), it finds the temperature at which their log loss is
        least, often below 1. The student learns, and predicts, what this makes of p; also of
        what a teacher that memorises says of the samples it was fitted to, unless ``cv`` is
        given.
    hard_label_weight : float or "auto", default=0.0
        Share w of the labels in what a labelled sample teaches, from 0 to 1. Without the
        teacher's share, 1, the student is that of the labels alone. "auto" tries 0, 1/4,
        1/2, 3/4 and 1 on the folds of ``cv``, with a student and a teacher that do not know
        the fold's labels, and takes the least log loss: a teacher that is worse than what
        the student finds by itself then does no harm. (A temperature that is "auto", a single
        number, is that of all labels.) It takes a teacher for each fold, and
        with ``cv`` one more for each pair of folds.
    divergence : {"kl", "reverse_kl", "jeffreys", "jensen_shannon", "alpha"}, default="kl"
        Of teacher and student. Where the student cannot follow, "kl" makes it cover all
        that the teacher holds possible; "reverse_kl" makes it commit to a part; the others
        lie between. All but "kl" are not convex: the student starts from the solution of
        that, and ends in a local minimum. Where the teacher says 0, "reverse_kl", "jeffreys"
        and an alpha up to 0 are infinite; see ``smoothing``.
    beta : float, default=0.5
        Of "jensen_shannon", from 0 to 1: the weight of the teacher in the mixture m of both,
        in (KL(p, m) / (1 - beta) + KL(q, m) / beta). That is "kl" at 0 and "reverse_kl" at 1,
        without a jump, and 4 times the Jensen-Shannon divergence at 1/2.
    alpha : float, default=0.5
        Of "alpha", ``sklkl.divergences.alpha_divergence``: "kl" at 1, "reverse_kl" at 0.
    loss_correction : float, default=0.0
        Strength, from 0 to 1, of the correction of Dao et al. (2021) for a teacher that is
        biased: at 1 its errors on labelled samples no longer matter to first order, at the
        price of the noise of the labels. At temperature 1 this is the same as
        ``hard_label_weight``; otherwise the share of a label depends on what the teacher says
        of it. No share goes beyond 1, so that of classes that it holds improbable (above
        temperature 1; below, of probable ones) part of the error stays. Only with "kl".
    smoothing : float or "auto", default=0.0
        Share, from 0 to below 1, of the uniform distribution that is mixed into the teacher's
        probabilities, before the temperature; it takes the zeros away. "auto" is chosen as
        "auto" of ``temperature`` is, and with it.
    cv : int, splitter or iterable, default=None
        Cross-fitting: what labelled samples teach comes from teachers that were fitted
        without them, so that a teacher that memorises, as a fully grown forest, does not
        teach its own noise. Integers mean stratified folds; an iterable holds pairs of
        indices among the labelled samples, a partition, as
        ``list(GroupKFold().split(X, y, groups))``. None for the teacher of all; what is
        "auto" then uses 5 folds, for itself.
    unlabeled : object, default=None
        The value in ``y`` that marks a sample without a label, as -1; in a soft ``y``, in
        every column. ``np.nan`` stands for all that is missing, as None and ``pandas.NA``.
        None if all samples have labels. ``score`` leaves such samples out.
        The scorers of ``sklkl.metrics`` refuse the marker, scikit-learn's own take it for a
        label: let the test folds of a search hold labelled samples only.
    unlabeled_weight : float, default=1.0
        Weight of what the teacher says of a sample without a label, beside 1 of what it says
        of a labelled one. Of both it has the share 1 - w.
    n_synthetic : int or float, default=0
        Number of synthetic samples, drawn by ``munge`` and labelled by the teacher, that
        the student learns from besides; a float is a multiple of the number of samples.
        They weigh as much as unlabelled samples, of average ``sample_weight``.
    memory : str or object with the joblib.Memory interface, default=None
        Where to keep fitted teachers and what they say, so that a search over parameters of
        the student fits each once for each fold. As in ``sklearn.pipeline.Pipeline``, a
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
    temperature_ : float
        The temperature, chosen if "auto".
    smoothing_ : float
        The share of the uniform distribution.
    hard_label_weight_ : float
        The share of labels.
    n_features_in_ : int
        Number of features, if the student counts them.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the student knows them.

    See Also
    --------
    PooledClassifier : Several teachers as one, with weights given or learned.
    munge : Synthetic samples.
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
        teacher,
        student=None,
        *,
        temperature=1.0,
        hard_label_weight=0.0,
        divergence="kl",
        beta=0.5,
        alpha=0.5,
        loss_correction=0.0,
        smoothing=0.0,
        cv=None,
        unlabeled=None,
        unlabeled_weight=1.0,
        n_synthetic=0,
        memory=None,
        random_state=None,
        verbose=False,
    ):
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.hard_label_weight = hard_label_weight
        self.divergence = divergence
        self.beta = beta
        self.alpha = alpha
        self.loss_correction = loss_correction
        self.smoothing = smoothing
        self.cv = cv
        self.unlabeled = unlabeled
        self.unlabeled_weight = unlabeled_weight
        self.n_synthetic = n_synthetic
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep=True):
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Also those of the teacher and the student, the default one, too, as
            ``student__C``.

        Returns
        -------
        params : dict
            Parameters by name.
        """
        params = super().get_params(deep=deep)
        if deep and self.student is None:
            inner = self._student().get_params()
            params.update({f"student__{name}": value for name, value in inner.items()})
        return params

    def set_params(self, **params):
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
            params["student"] = self._student()
        teacher = params.get("teacher", self.teacher)
        names = _names_of(params, "teacher")
        if names and not hasattr(teacher, "set_params"):
            raise ValueError(
                f"{names[0]} is a parameter of the teacher, but teacher is "
                f"{teacher!r}, which has none. Set teacher to an estimator first; several "
                "are one as a PooledClassifier."
            )
        return super().set_params(**params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = [get_tags(e).input_tags for e in self._estimators().values()]
        tags.input_tags.sparse = all(t.sparse for t in inner)
        tags.input_tags.allow_nan = all(t.allow_nan for t in inner)
        return tags

    def get_metadata_routing(self):
        """Say which metadata go where: those of ``fit`` to teacher and student.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            The router.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        for name, estimator in self._estimators().items():
            router.add(**{name: estimator, "method_mapping": mapping})
        return router

    def fit(self, X, y=None, sample_weight=None, teacher_proba=None, **fit_params):
        """Fit the teacher, then the student to what it says of X.

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
        teacher_proba : array-like of shape (n_samples, n_classes) or data frame, default=None
            Probabilities of all samples by a teacher that is not at hand; a search slices
            them as it does X. No teacher is fitted then. The columns of a data frame are the
            classes; those of an array the ``classes`` of the student, of a frozen teacher, or
            of ``y``. For what is "auto" they should come from teachers that do not know the
            labels.
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
            or with labels at this temperature, or the divergence is infinite. What does not
            depend on the teacher is refused before it is fitted.
        """
        self._check_parameters()
        student = self._student()
        check_student(student, self._needs_goal(), self.hard_label_weight == "auto")
        weights = {} if isinstance(sample_weight, Real) else {"sample_weight": sample_weight}
        check_same_rows(X=X, y=y, teacher_proba=teacher_proba, **weights)
        X, y = indexable(X, y)
        check_samples(student, X)
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, X)
        params = self._route(sample_weight, fit_params)
        of_labels = holds_labels(y)
        rows, y = self._labels(X, y, teacher_proba)
        weight = params.student.fit.pop(weight_request(student), None)
        if not learns_from_probabilities(student) or self._weighs(weight, rows):
            check_weights_arrive(student)
        if params.teacher.fit and self._frozen() is None:
            refuse_extreme_weights(sample_weight, self._teacher())
        refuse_extreme_weights(weight, student)
        told = classes_of_student(student)
        if told is not None and y is not None and of_labels:
            check_target(y, classes=told)
        synthetic = self._synthetic(X, teacher_proba, params.student.fit)
        if teacher_proba is None:
            teaching = self._teach(X, y, rows, params.teacher.fit)
        else:
            teaching = self._given(X, y, rows, teacher_proba)
        if len(teaching.classes) < 2:
            raise ValueError(
                f"y holds only 1 class, {teaching.classes.tolist()[0]!r}; at least two are "
                "needed."
            )
        classes = teaching.classes if told is None else np.asarray(told)
        if of_labels:  # the order that scikit-learn's scorers take for granted
            classes = np.unique(classes)
        if y is not None:
            _, y = check_target(y, classes=teaching.classes, refuse_integers=True)
            if y.ndim == 2:
                y = spread(teaching.classes, y, classes)
            else:
                y = places(teaching.classes.tolist(), classes.tolist())[y]
        teaching = teaching.for_classes(classes)
        material = self._material(X, y, rows, teaching, weight)
        recipe = self._recipe(X, material, teaching, params.student.fit)
        if synthetic is not None:
            X, material = self._with_synthetic(X, synthetic, material, teaching)
        lesson = recipe.lesson(material)
        with timed("student", self.verbose):
            student = fit_student(student, X, lesson, params.student.fit)
        self.teacher_, self.student_ = teaching.teacher, student
        self.classes_ = lesson.classes
        at_1 = learns_from_probabilities(student)
        self._student_temperature = 1.0 if at_1 else lesson.temperature
        self.temperature_, self.smoothing_ = recipe.temperature, recipe.smoothing
        self.hard_label_weight_ = recipe.hard_label_weight
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.student_, name):
                setattr(self, name, getattr(self.student_, name))
            elif hasattr(self, name):
                delattr(self, name)
        return self

    def _teacher(self):
        teacher = self.teacher
        if isinstance(teacher, list | tuple | dict):
            teacher = PooledClassifier(teacher)
            if get_config()["enable_metadata_routing"]:  # whose estimators say what they take
                teacher.set_fit_request(sample_weight=True)
        return teacher

    def _frozen(self):
        """Return the teacher if no fit changes it, otherwise None."""
        teacher = self._teacher()
        if isinstance(teacher, PooledClassifier) and teacher._is_frozen():
            return FrozenEstimator(clone(teacher).fit(None))
        return teacher if isinstance(teacher, FrozenEstimator) else None

    def _student(self):
        if self.student is not None:
            return self.student
        if get_config()["enable_metadata_routing"]:  # whoever passes weights means it, too
            return SoftLabelLogisticRegression().set_fit_request(sample_weight=True)
        return SoftLabelLogisticRegression()

    def _estimators(self):
        """Return teacher and student by name."""
        inner = {"teacher": self._teacher(), "student": self._student()}
        return {name: e for name, e in inner.items() if e is not None}

    def _check_parameters(self):
        check_parameters(self, **RULES)
        check_memory(self.memory)
        if self.loss_correction > 0.0 and self._divergence()[0] != "kl":
            raise ValueError(
                "loss_correction is for divergence='kl', whose loss is linear in the target; "
                f"got {self.divergence!r}."
            )
        if self.teacher is not None:
            teacher = self._teacher()
            if isinstance(teacher, type):
                raise TypeError(
                    f"The teacher {teacher.__name__} is a class; pass an instance."
                )
            check_has_proba(teacher, "teacher")

    def _weighs(self, weight, rows):
        """Return whether a student that learns from probabilities gets weights, too."""
        return (
            weight is not None
            or self.hard_label_weight != 0.0
            or (rows is not None and self.unlabeled_weight != 1.0)
        )

    def _divergence(self):
        """Return the divergence and its parameters, by the name of its limit if it is one."""
        name = {"jensen_shannon": "weight", "alpha": "alpha"}.get(self.divergence)
        params = {"weight": self.beta, "alpha": self.alpha}
        params = None if name is None else {name: params[name]}
        found = resolve_divergence(self.divergence, params).name
        return found, params if found == self.divergence else None

    def _needs_goal(self):
        """Return what only a plain logistic regression can learn, for a message."""
        if self._divergence()[0] != "kl":
            return "Divergences other than 'kl'"
        if self.temperature in (1.0, "auto") or self.hard_label_weight in (0.0, 1.0):
            return ""
        return "Labels mixed in at a temperature other than 1"

    def _route(self, sample_weight, fit_params):
        """Return the metadata of ``teacher.fit`` and ``student.fit``."""
        if sample_weight is not None:
            fit_params = {**fit_params, "sample_weight": sample_weight}
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **fit_params)
            of_teacher = {} if self.teacher is None else params.teacher.fit
            return Bunch(teacher=Bunch(fit=of_teacher), student=Bunch(fit=params.student.fit))
        extra = set(fit_params) - {"sample_weight"}
        if extra:
            raise TypeError(
                f"fit got {sorted(extra)}; to pass metadata to teacher and student, use "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        teacher, teacher_params = self._teacher(), {}
        if fit_params and weight_name(teacher) is not None:
            teacher_params = rename_weight(fit_params, teacher)
        elif fit_params and teacher is not None and self._frozen() is None:
            warnings.warn(
                f"The teacher {type(teacher).__name__} takes no sample_weight; "
                "the weights enter the student alone.",
                UserWarning,
                stacklevel=3,
            )
        return Bunch(teacher=Bunch(fit=teacher_params), student=Bunch(fit=fit_params))

    def _labels(self, X, y, teacher_proba):
        """Return the indices of the labelled samples, and their targets or None.

        Without indices, None, all are labelled.
        """
        given = self._frozen() is not None or teacher_proba is not None
        if self.teacher is None and teacher_proba is None:
            raise ValueError("There is no teacher; set teacher, or pass teacher_proba to fit.")
        none = np.empty(0, dtype=np.intp)
        if y is None:
            if not given:
                raise ValueError(
                    f"This {type(self).__name__} estimator requires y to be passed, but the "
                    "target y is None. Wrap a fitted teacher in FrozenEstimator to distil "
                    "it without labels."
                )
            rows = none
        else:
            check_consistent_length(X, y)
            rows = None
            if self.unlabeled is not None:
                rows = np.flatnonzero(~is_unlabeled(y, self.unlabeled))
                if len(rows) == _num_samples(y):
                    refuse_marker_as_string(y, self.unlabeled)
                    rows = None
            refuse_missing_labels(y, self.unlabeled)
        if rows is not None and len(rows) == 0:
            if y is not None and not given:
                raise ValueError(f"y has no labelled sample; all are {self.unlabeled!r}.")
            used = self._uses_of_labels()
            if used:
                raise ValueError(
                    f"{', '.join(used)} of this {type(self).__name__} need labels; y has none."
                )
            if self.unlabeled_weight == 0.0:
                raise ValueError("unlabeled_weight is 0, but no sample has a label.")
            return none, None
        return rows, y if rows is None else take(y, rows)

    def _uses_of_labels(self):
        """Return the parameters that ask for labelled samples."""
        names = [name for name in AUTO if getattr(self, name) == "auto"]
        names += [n for n in ("hard_label_weight", "loss_correction") if getattr(self, n) != 0]
        return [*dict.fromkeys(names), *(["cv"] if self.cv is not None else [])]

    def _teach(self, X, y, rows, params):
        """Return what the teacher says of all samples, and of folds if need be."""
        frozen = self._frozen()
        if frozen is not None:
            check_is_fitted(frozen)
        target = None
        if y is not None:
            known = None if frozen is None else frozen.classes_
            classes, target = check_target(y, classes=known, refuse_integers=True)
            if target.ndim == 1:
                y = classes[target]
        splits = self._splits(target, fitted=frozen is not None)
        memory = check_memory(self.memory)
        ignore = {"ignore": ["verbose"]} if isinstance(memory, Memory) else {}
        cached = memory.cache(teach, **ignore)
        if frozen is not None:
            said = cached(frozen, X, None, rows, {}, [], everywhere=False, nested=False)
            return said.with_folds(splits, rows)
        if rows is not None:
            params = _check_method_params(X, params, indices=rows)
        everywhere = self.hard_label_weight == "auto"
        nested = everywhere and self.cv is not None
        teacher = clone(self._teacher())
        return cached(
            teacher, X, y, rows, params, splits, everywhere, nested, verbose=self.verbose
        )

    def _given(self, X, y, rows, teacher_proba):
        """Return ``teacher_proba`` as what a teacher says."""
        columns = frame_columns(teacher_proba, name="teacher_proba")
        proba = as_floating(teacher_proba, "teacher_proba")
        check_consistent_length(X, proba)
        if proba.ndim != 2:
            raise ValueError(
                "teacher_proba must have shape (n_samples, n_classes), a column per class; "
                f"got {proba.shape}."
            )
        proba = normalized(proba, "teacher_proba")
        classes, frozen = columns, self._frozen()
        if classes is None:
            classes = classes_of_student(self._student())
        if classes is None and frozen is not None:
            classes = frozen.classes_
        if classes is None and y is not None:
            classes, _ = check_target(y, refuse_integers=True)
        classes = np.arange(proba.shape[1]) if classes is None else np.asarray(classes)
        if len(classes) != proba.shape[1]:
            raise ValueError(
                f"teacher_proba has {proba.shape[1]} columns, but there are {len(classes)} "
                f"classes, {shown(classes)}; pass a data frame whose columns are the classes."
            )
        target = None
        if y is not None:
            _, target = check_target(y, classes=classes, refuse_integers=True)
        splits = self._splits(target, fitted=True)
        return Teaching(None, classes, proba, []).with_folds(splits, rows)

    def _splits(self, target, fitted):
        """Return the folds of the labelled samples, if any are needed."""
        if fitted and self.cv is not None and self.hard_label_weight != "auto":
            raise ValueError(
                "cv fits the teacher to parts of the samples, but it is fitted already; pass "
                "probabilities by teachers that do not know a sample as teacher_proba, or set "
                "cv=None."
            )
        if target is None or (
            self.cv is None and not any(getattr(self, n) == "auto" for n in AUTO)
        ):
            return []
        try:
            cv = check_soft_cv(self.cv, target)
            splits = list(cv.split(np.zeros((len(target), 1)), target))
        except ValueError as error:
            used = [name for name in AUTO if getattr(self, name) == "auto"]
            raise ValueError(
                f"The {len(target)} labelled samples could not be divided into the folds of "
                f"cv={self.cv!r}{' (5), for ' + ', '.join(used) if self.cv is None else ''}: "
                f"{error} Set cv to fewer folds, or to a list of pairs of indices."
            ) from error
        check_partition([test for _, test in splits], len(target))
        if self.cv is not None and self.hard_label_weight == "auto" and len(splits) < 3:
            raise ValueError(
                "hard_label_weight='auto' with cv fits a teacher without each pair of folds; "
                f"cv must make at least 3 folds, got {len(splits)}."
            )
        return splits

    def _material(self, X, y, rows, teaching, weight):
        """Return what is known of the samples."""
        n_samples = _num_samples(X)
        every = np.arange(n_samples) if rows is None else rows
        labels = np.zeros(n_samples, dtype=np.intp)
        if y is not None:
            if y.ndim == 2:
                labels = teaching.proba.astype(y.dtype)
            labels[every] = y
        labeled = np.zeros(n_samples, dtype=bool)
        labeled[every] = y is not None
        proba = teaching.proba if self.cv is None else teaching.out_of_fold()
        if weight is not None:
            weight = check_weights(weight, X)
        return Material(teaching.classes, proba, labels, labeled, weight)

    def _recipe(self, X, material, teaching, params):
        """Return the recipe of the lesson, with what is "auto" chosen."""
        temperature, smoothing = self.temperature, self.smoothing
        share = self.hard_label_weight
        if "auto" in (temperature, smoothing):
            rows = material.labeled
            weight = np.ones(len(rows)) if material.weight is None else material.weight
            temperature, smoothing = calibrate(
                teaching.out_of_fold()[rows],
                material.labels[rows],
                weight[rows],
                temperature,
                smoothing,
            )
        divergence, divergence_params = self._divergence()
        recipe = Recipe(
            float(temperature),
            1.0 if self.temperature == "auto" else float(temperature),
            float(smoothing),
            0.0 if share == "auto" else float(share),
            float(self.loss_correction),
            float(self.unlabeled_weight),
            divergence,
            divergence_params,
        )
        if share != "auto":
            return recipe
        recipes = [replace(recipe, hard_label_weight=share) for share in SHARES]
        with timed("share of labels", self.verbose):
            losses = [
                sum(
                    self._loss_of_fold(X, material, *fold, recipe, params)
                    for fold in teaching.folds
                )
                for recipe in recipes
            ]
        return recipes[int(np.argmin(losses))]

    def _loss_of_fold(self, X, material, test, proba, recipe, params):
        """Return the summed log loss of a student that does not know the test set's labels.

        Nor does its teacher, who gave these probabilities.
        """
        material = replace(material, proba=proba)
        keep = np.setdiff1d(np.arange(len(proba)), test)
        lesson = recipe.lesson(material.at(keep))
        if not lesson.has_weight():
            return np.inf
        params = _check_method_params(X, params, indices=keep)
        student = fit_student(self._student(), take(X, keep), lesson, params)
        q = predict_proba_at_1(student, take(X, test), lesson.classes, lesson.temperature)
        known = material.at(test)
        truth = one_hot(known.labels, len(lesson.classes))
        weight = np.ones(len(test))
        if known.weight is not None:  # of the same scale in all folds, and none too large
            weight = known.weight / material.weight.max()
        total = weight.sum()
        return total * kl_loss(truth, q, sample_weight=weight) if total > 0.0 else 0.0

    def _synthetic(self, X, teacher_proba, params):
        """Return synthetic samples, None if there are to be none."""
        n_samples = self.n_synthetic
        if not isinstance(n_samples, Integral):
            n_samples = round(n_samples * _num_samples(X))
        if self.n_synthetic and teacher_proba is not None:
            raise ValueError(
                "n_synthetic needs a teacher to label samples; got teacher_proba."
            )
        if self.n_synthetic and params:
            raise ValueError(
                f"n_synthetic: synthetic samples have no {sorted(params)}, which the student "
                "gets for the others."
            )
        if n_samples == 0:
            return None
        return munge(X, n_samples, random_state=self.random_state)

    def _with_synthetic(self, X, synthetic, material, teaching):
        """Return the samples and the material with synthetic samples at the end."""
        proba = check_memory(self.memory).cache(predict)(teaching.teacher, synthetic)
        proba = spread(teaching.teacher.classes_, proba, teaching.classes)
        return followed_by(X, synthetic), material.followed_by(proba)

    def score(self, X, y, sample_weight=None):
        """Score the student on the labelled samples: accuracy for labels, D² if soft.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row; ``unlabeled`` where there is none.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            ``sklearn.metrics.accuracy_score`` for labels,
            ``sklkl.metrics.d2_kl_score`` for soft targets.
        """
        weights = {} if isinstance(sample_weight, Real) else {"sample_weight": sample_weight}
        check_same_rows(X=X, y=y, **weights)
        if self.unlabeled is not None:
            rows = np.flatnonzero(~is_unlabeled(y, self.unlabeled))
            if len(rows) == 0:
                raise ValueError(f"y has no labelled sample; all are {self.unlabeled!r}.")
            params = _check_method_params(X, {"sample_weight": sample_weight}, indices=rows)
            X, y, sample_weight = take(X, rows), take(y, rows), params["sample_weight"]
        return super().score(X, y, sample_weight=sample_weight)

    def predict(self, X):
        """Predict labels with the student.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels from ``classes_``.
        """
        check_is_fitted(self)
        return self.student_.predict(X)

    @available_if(_student_has("predict_proba"))
    def predict_proba(self, X):
        """Predict probabilities with the student, at temperature 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            A probability vector per row, columns as ``classes_``.
        """
        check_is_fitted(self)
        return predict_proba_at_1(self.student_, X, self.classes_, self._student_temperature)

    @available_if(_student_has("predict_proba"))
    def predict_log_proba(self, X):
        """Predict log-probabilities with the student, at temperature 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Natural logarithms, columns as ``classes_``.
        """
        check_is_fitted(self)
        if learns_from_probabilities(self.student_):
            return self.student_.predict_log_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_student_has("decision_function"))
    def decision_function(self, X):
        """Compute the student's decision function.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) if binary
            Logits at temperature 1 of a logistic student; otherwise what the student
            returns, its columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        scores, own = self.student_.decision_function(X), self.student_.classes_
        if np.ndim(scores) == 1:  # of the second of two classes
            return scores if own[1] == self.classes_[1] else -scores
        if np.shape(scores)[1] != len(own):  # of pairs of classes
            return scores
        return spread(own, scores, self.classes_, -np.inf)

    def to_sklearn(self):
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
            that only this estimator knows what to make of its probabilities; or if it is, or
            holds, another estimator of this library.
        """
        check_is_fitted(self)
        if self._student_temperature != 1.0:
            raise ValueError(
                f"The student {type(self.student_).__name__} predicts at temperature "
                f"{self._student_temperature}, at which it learned; scikit-learn has nothing "
                "that brings it to 1. Set temperature=1 or 'auto' to convert it."
            )
        return to_sklearn(self.student_)
