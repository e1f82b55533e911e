"""Callbacks of scikit-learn 1.9 and later, interrupts, and what verbose prints."""

import signal
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.linear_model._objective import KLObjective
from sklkl.metrics import get_scorer, kl_loss

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ProgressBar = ScoringMonitor = None

needs_callbacks = pytest.mark.skipif(
    ScoringMonitor is None, reason="scikit-learn has callbacks from version 1.9 on"
)

SOLVERS = {"lbfgs": {}, "proximal": {"l1_ratio": 0.3, "C": 2.0}}


def make_problem(soft=True, n_samples=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 4))
    y = softmax(2.0 * X[:, :3] + rng.normal(size=(n_samples, 3)), axis=1)
    return X, y if soft else y.argmax(axis=1)


class Recorder:
    """Write down what happens; optionally do something at the end of an iteration."""

    def __init__(self, action=None):
        self.action = action
        self.events = []
        self.begun = []
        self.models = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.events.append(f"begin {context.task_name}")
        self.begun.append(fitted_estimator)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.events.append(f"end {context.task_name}")
        if context.task_name == "iteration":
            self.models.append(fitted_estimator)
            if self.action is not None:
                return self.action(len(self.models))
        return None

    @property
    def n_iterations(self):
        return self.events.count("end iteration")


class PropagatedRecorder(Recorder):
    """Is set on a meta-estimator, and passed on to the estimators within."""

    max_propagation_depth = None


def fitted_state(model):
    """Return everything that fitting may change, by identity."""
    params = model.get_params()
    return {
        name: value
        for name, value in vars(model).items()
        if name not in params and name != "_skl_callbacks"
    }


def assert_untouched(model, before):
    after = fitted_state(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


# -- What callbacks are told ---------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("propagated", [False, True])
@pytest.mark.parametrize("refit", [False, True])
def test_events_of_cross_validation(refit, propagated):
    X, y = make_problem()
    recorder = PropagatedRecorder() if propagated else Recorder()
    model = SoftLabelLogisticRegressionCV(Cs=2, cv=3, refit=refit).set_callbacks(recorder)
    model.fit(X, y)
    final = ["begin refit", "end refit"] if refit else []
    if refit and propagated:  # the student speaks for itself
        final = ["begin fit", *["begin iteration", "end iteration"] * len(recorder.models)]
        final.append("end fit")
        assert recorder.models[-1].coef_ == pytest.approx(model.coef_)
    folds = ["begin fold", "end fold"] * 3
    assert recorder.events == ["setup", "begin fit", *folds, *final, "end fit", "teardown"]
    if refit and propagated:
        model.set_params(n_jobs=2).fit(X, y)  # tasks are pickled


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("soft", [False, True])
def test_events(solver, soft):
    X, y = make_problem(soft)
    recorder = Recorder()
    model = SoftLabelLogisticRegression(**SOLVERS[solver]).set_callbacks(recorder).fit(X, y)
    iterations = ["begin iteration", "end iteration"] * model.n_iter_
    assert model.n_iter_ > 3
    assert recorder.events == ["setup", "begin fit", *iterations, "end fit", "teardown"]


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_one_event_per_iteration_at_the_rounding_floor(solver):
    """Also where a step fails and is tried anew."""
    X, y = make_problem()
    recorder = Recorder()
    model = SoftLabelLogisticRegression(**SOLVERS[solver], tol=1e-300, max_iter=200)
    model.set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="No convergence"):
        model.fit(X, y)
    assert recorder.n_iterations == model.n_iter_ > 20


@needs_callbacks
def test_one_event_per_iteration_in_float32():
    X, y = make_problem()
    recorder = Recorder()
    model = SoftLabelLogisticRegression(tol=1e-9, max_iter=200).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X.astype(np.float32), y)
    assert recorder.n_iterations == model.n_iter_


@needs_callbacks
def test_warm_start_without_an_iteration():
    X, y = make_problem()
    model = SoftLabelLogisticRegression(warm_start=True).fit(X, y)
    recorder = Recorder()
    model.set_callbacks(recorder).fit(X, y)
    assert recorder.events == ["setup", "begin fit", "end fit", "teardown"]


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_estimators_passed_predict_as_if_the_fit_had_stopped(solver, n_classes, fit_intercept):
    X, y = make_problem()
    y = y[:, :n_classes] / y[:, :n_classes].sum(axis=1, keepdims=True)
    frame = pd.DataFrame(X, columns=list("abcd"))
    params = {**SOLVERS[solver], "fit_intercept": fit_intercept}
    params["classes"] = ["x", "y", "z"][:n_classes]
    recorder = Recorder()
    model = SoftLabelLogisticRegression(**params).set_callbacks(recorder).fit(frame, y)
    assert len(recorder.models) == model.n_iter_
    for n_iter, passed in enumerate(recorder.models, start=1):
        stopped = SoftLabelLogisticRegression(**params, max_iter=n_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            stopped.fit(frame, y)
        assert passed.n_iter_ == n_iter
        assert passed.classes_.tolist() == params["classes"]
        np.testing.assert_array_equal(passed.coef_, stopped.coef_)
        np.testing.assert_allclose(
            passed.predict_proba(frame), stopped.predict_proba(frame), rtol=1e-12
        )
        np.testing.assert_array_equal(passed.predict(frame), stopped.predict(frame))
    np.testing.assert_array_equal(recorder.models[-1].coef_, model.coef_)
    losses = [kl_loss(y, passed.predict_proba(frame)) for passed in recorder.models]
    assert losses[-1] < losses[0]


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_tasks_begin_with_the_model_before_them(solver):
    """The fit with its start, an iteration with what the one before it ended with."""
    X, y = make_problem()
    recorder = Recorder()
    model = SoftLabelLogisticRegression(**SOLVERS[solver]).set_callbacks(recorder).fit(X, y)
    begin_of_fit, *of_iterations = recorder.begun
    np.testing.assert_allclose(begin_of_fit.predict_proba(X), 1 / 3)
    assert begin_of_fit.n_iter_ == 0
    assert len(of_iterations) == model.n_iter_
    for begun, before in zip(of_iterations, [begin_of_fit, *recorder.models], strict=False):
        np.testing.assert_array_equal(begun.coef_, before.coef_)
        assert begun.n_iter_ == before.n_iter_
    model.set_params(warm_start=True).fit(X, y)
    np.testing.assert_allclose(recorder.begun[-1].coef_, model.coef_, rtol=1e-13, atol=1e-14)


@needs_callbacks
def test_data_passed_are_those_of_the_user():
    X, y = make_problem()
    weight = np.ones(len(X))
    seen = []

    class Look(Recorder):
        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
            seen.append((X, y, metadata))

    SoftLabelLogisticRegression().set_callbacks(Look()).fit(X, y, weight)
    assert len(seen) > 3
    for X_seen, y_seen, metadata in seen:
        assert X_seen is X
        assert y_seen is y
        assert metadata["sample_weight"] is weight
    seen.clear()
    SoftLabelLogisticRegression().set_callbacks(Look()).fit(X, y)
    assert {repr(metadata) for _, _, metadata in seen} == {"None"}


@needs_callbacks
def test_callbacks_do_not_change_the_result():
    X, y = make_problem()
    plain = SoftLabelLogisticRegression().fit(X, y)
    model = SoftLabelLogisticRegression().set_callbacks(Recorder()).fit(X, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert fitted_state(model).keys() == fitted_state(plain).keys()


@needs_callbacks
def test_clone_keeps_callbacks_and_they_can_be_taken_off():
    X, y = make_problem()
    recorder = Recorder()
    model = clone(SoftLabelLogisticRegression().set_callbacks(recorder)).fit(X, y)
    n_events = len(recorder.events)
    assert n_events > 3
    model.set_callbacks().fit(X, y)
    assert len(recorder.events) == n_events


# -- scikit-learn's callbacks --------------------------------------------------


def scores_of(monitor):
    """Return the scores after each iteration, and after the fit."""
    data = monitor.get_logs().data
    of_iterations = [row["score"] for row in data if row["task_name"] == "iteration"]
    (of_fit,) = (row["score"] for row in data if row["task_name"] == "fit")
    return of_iterations, of_fit


@needs_callbacks
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_scoring_monitor(soft, weighted, solver):
    X, y = make_problem(soft)
    weight = np.random.default_rng(0).uniform(0.0, 3.0, size=len(X)) if weighted else None
    scorer = get_scorer("neg_kl_loss")
    monitor = ScoringMonitor(scoring=scorer)
    # Without a penalty the score is what is maximised.
    model = SoftLabelLogisticRegression(C=np.inf, solver=solver, tol=1e-6)
    model.set_callbacks(monitor).fit(X, y, sample_weight=weight)
    scores, of_fit = scores_of(monitor)
    assert len(scores) == model.n_iter_ > 3
    assert (np.diff(scores) > -1e-12).all()
    assert scores[-1] > scores[1] > scores[0]
    assert of_fit == pytest.approx(scores[-1], rel=1e-12)
    assert of_fit == pytest.approx(-model.loss_, rel=1e-9)
    weights = {} if weight is None else {"sample_weight": weight}
    assert of_fit == pytest.approx(scorer(model, X, y, **weights), rel=1e-12)
    if weighted:
        assert of_fit != pytest.approx(scorer(model, X, y), rel=1e-3)


@needs_callbacks
def test_scoring_monitor_of_sparse_rows_and_frames():
    X, y = make_problem()
    for rows, targets in (
        (csr_array(X), y),
        (pd.DataFrame(X), pd.DataFrame(y, columns=["b", "c", "a"])),
    ):
        monitor = ScoringMonitor(scoring=get_scorer("neg_kl_loss"))
        model = SoftLabelLogisticRegression().set_callbacks(monitor).fit(rows, targets)
        scores, _ = scores_of(monitor)
        assert len(scores) == model.n_iter_
        assert scores[-1] == pytest.approx(-model.loss_, rel=1e-9)


@needs_callbacks
def test_scoring_monitor_keeps_runs_apart():
    X, y = make_problem()
    monitor = ScoringMonitor(scoring=get_scorer("neg_kl_loss"))
    model = SoftLabelLogisticRegression().set_callbacks(monitor)
    lengths = [model.set_params(tol=tol).fit(X, y).n_iter_ + 1 for tol in (1e-2, 1e-8)]
    assert [len(log.data) for log in monitor.get_logs(select="all")] == lengths
    assert lengths[0] < lengths[1]


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_progress_bar(solver, capsys):
    pytest.importorskip("rich")
    X, y = make_problem()
    model = SoftLabelLogisticRegression(**SOLVERS[solver]).set_callbacks(ProgressBar())
    model.fit(X, y)
    printed = capsys.readouterr().out
    assert "SoftLabelLogisticRegression - fit" in printed
    assert "100%" in printed


@needs_callbacks
def test_progress_bar_of_a_search(capsys):
    pytest.importorskip("rich")
    X, y = make_problem()
    search = GridSearchCV(SoftLabelLogisticRegression(), {"C": [0.1, 1.0]}, cv=KFold(3))
    search.set_callbacks(ProgressBar()).fit(X, y)
    assert "GridSearchCV" in capsys.readouterr().out


@needs_callbacks
def test_callbacks_of_the_estimator_in_a_search():
    X, y = make_problem()
    monitor = ScoringMonitor(scoring=get_scorer("neg_kl_loss"))
    estimator = SoftLabelLogisticRegression().set_callbacks(monitor)
    search = GridSearchCV(
        estimator,
        {"C": [0.1, 1.0]},
        scoring=get_scorer("neg_kl_loss"),
        cv=KFold(3),
        error_score="raise",
    ).fit(X, y)
    rows = [
        row
        for log in monitor.get_logs(select="all")
        for row in log.data
        if row["estimator_name"] == "SoftLabelLogisticRegression"
    ]
    ends = [row["score"] for row in rows if row["task_name"] != "iteration"]
    assert len(ends) == 2 * 3 + 1
    assert any(
        score == pytest.approx(-search.best_estimator_.loss_, rel=1e-9) for score in ends
    )


@needs_callbacks
def test_callbacks_of_a_search_reach_its_estimators():
    X, y = make_problem()
    recorder = PropagatedRecorder()
    search = GridSearchCV(
        SoftLabelLogisticRegression(), {"C": [0.1, 1.0]}, cv=KFold(3), error_score="raise"
    )
    search.set_callbacks(recorder).fit(X, y)
    assert recorder.events.count("setup") == recorder.events.count("teardown") == 1
    expected = sum(
        SoftLabelLogisticRegression(C=C).fit(X[train], y[train]).n_iter_
        for C in (0.1, 1.0)
        for train, _ in KFold(3).split(X)
    )
    assert recorder.n_iterations == expected + search.best_estimator_.n_iter_
    assert search.best_estimator_.predict_proba(X).shape == y.shape


@needs_callbacks
def test_callbacks_in_a_pipeline():
    X, y = make_problem()
    recorder = Recorder()
    logit = SoftLabelLogisticRegression().set_callbacks(recorder)
    pipeline = make_pipeline(StandardScaler(), logit).fit(X, y)
    assert recorder.n_iterations == pipeline[-1].n_iter_ > 0


# -- Early stops ---------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("last", [1, 3])
def test_callback_that_returns_true_stops_without_a_warning(solver, last):
    X, y = make_problem()
    recorder = Recorder(lambda n: n == last)
    model = SoftLabelLogisticRegression(**SOLVERS[solver], tol=1e-8).set_callbacks(recorder)
    model.fit(X, y)
    assert model.n_iter_ == recorder.n_iterations == last
    assert recorder.events[-2:] == ["end fit", "teardown"]
    stopped = SoftLabelLogisticRegression(**SOLVERS[solver], tol=1e-8, max_iter=last)
    with pytest.warns(ConvergenceWarning, match=f"No convergence in {last} iteration"):
        stopped.fit(X, y)
    np.testing.assert_array_equal(model.coef_, stopped.coef_)
    np.testing.assert_array_equal(model.intercept_, stopped.intercept_)
    assert model.loss_ == stopped.loss_


@needs_callbacks
def test_any_callback_may_stop():
    X, y = make_problem()
    patient, impatient = Recorder(), Recorder(lambda n: n == 2)
    for callbacks in ((patient, impatient), (impatient, patient)):
        patient.__init__()
        impatient.__init__(lambda n: n == 2)
        model = SoftLabelLogisticRegression().set_callbacks(*callbacks).fit(X, y)
        assert model.n_iter_ == patient.n_iterations == impatient.n_iterations == 2


# -- Errors and interrupts -----------------------------------------------------


def other_data(X, y):
    """Return data with another number of features, and with other names of features."""
    names = pd.DataFrame(X, columns=list("wxyz"))
    return [(X[:, :2], y), (names, y), (X, y[:, :2] / y[:, :2].sum(axis=1, keepdims=True))]


def assert_fit_has_no_effect(model, error, X, y, sample_weight=None):
    before = fitted_state(model)
    with pytest.raises(error):
        model.fit(X, y, sample_weight)
    assert_untouched(model, before)


def action_that_raises(error, at):
    def action(n):
        if n == at:
            raise error

    return action


@needs_callbacks
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("at", [1, 3])
def test_error_in_a_callback_changes_nothing(error, solver, at):
    X, y = make_problem()
    recorder = Recorder(action_that_raises(error, at))
    model = SoftLabelLogisticRegression(**SOLVERS[solver], tol=1e-8).set_callbacks(recorder)
    assert_fit_has_no_effect(model, error, X, y)
    assert fitted_state(model) == {}
    assert recorder.events[-2:] == ["end iteration", "teardown"]
    recorder.action = None
    model.fit(pd.DataFrame(X, columns=list("abcd")), y)
    for X_other, y_other in other_data(X, y):
        recorder.__init__(action_that_raises(error, at))
        assert_fit_has_no_effect(model, error, X_other, y_other)
    recorder.action = None
    model.fit(*other_data(X, y)[0])
    assert model.n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")


@needs_callbacks
@pytest.mark.parametrize("hook", ["setup", "on_fit_task_begin", "on_fit_task_end"])
def test_error_in_any_hook_changes_nothing(hook):
    X, y = make_problem()

    def fail(estimator, context):
        raise RuntimeError(hook)

    recorder = Recorder()
    model = SoftLabelLogisticRegression().fit(X, y).set_callbacks(recorder)
    setattr(recorder, hook, fail)
    assert_fit_has_no_effect(model, RuntimeError, X[:, :2], y)


@needs_callbacks
def test_error_at_the_end_of_the_fit_changes_nothing():
    X, y = make_problem()

    class Last(Recorder):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "fit":
                raise RuntimeError("at the end")

    model = SoftLabelLogisticRegression().set_callbacks(Last())
    assert_fit_has_no_effect(model, RuntimeError, X, y)
    model.set_callbacks().fit(X, y).set_callbacks(Last())
    assert_fit_has_no_effect(model, RuntimeError, X[:, :2], y)


def interrupt_third_call(monkeypatch, error=KeyboardInterrupt):
    """Let the third evaluation of the objective raise, once; return the count."""
    calls = []
    plain = KLObjective.__call__

    def objective(self, W):
        calls.append(W)
        if len(calls) == 3:
            raise error
        return plain(self, W)

    monkeypatch.setattr(KLObjective, "__call__", objective)
    return calls


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("soft", [False, True])
def test_interrupt_leaves_an_unfitted_estimator_unfitted(monkeypatch, error, solver, soft):
    X, y = make_problem(soft)
    calls = interrupt_third_call(monkeypatch, error)
    model = SoftLabelLogisticRegression(**SOLVERS[solver])
    assert_fit_has_no_effect(model, error, pd.DataFrame(X, columns=list("abcd")), y)
    assert fitted_state(model) == {}
    assert len(calls) == 3
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("other", [0, 1, 2, None])
def test_interrupt_leaves_a_fitted_estimator_as_it_was(monkeypatch, solver, warm_start, other):
    X, y = make_problem()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = SoftLabelLogisticRegression(**SOLVERS[solver]).fit(frame, y)
    model.partial_fit(frame, y) if solver == "lbfgs" else None
    proba = model.predict_proba(frame)
    X_other, y_other = (-X, y) if other is None else other_data(X, y)[other]
    if warm_start and other is None:
        model.set_params(warm_start=True)
    interrupt_third_call(monkeypatch)
    assert_fit_has_no_effect(model, KeyboardInterrupt, X_other, y_other)
    np.testing.assert_array_equal(model.predict_proba(frame), proba)


def test_interrupt_of_partial_fit_leaves_the_stream_as_it_was(monkeypatch):
    X, y = make_problem()
    model, untouched = (SoftLabelLogisticRegression(tol=1e-4) for _ in range(2))
    for each in (model, untouched):
        each.partial_fit(X[:40], y[:40])
    before = fitted_state(model)
    calls = interrupt_third_call(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(tol=1e-8).partial_fit(-X[40:], y[40:])
    assert len(calls) == 3
    assert_untouched(model, before)
    model.set_params(tol=1e-4).partial_fit(X[40:], y[40:])
    untouched.partial_fit(X[40:], y[40:])
    np.testing.assert_array_equal(model.coef_, untouched.coef_)


def test_interrupt_of_a_first_partial_fit_leaves_nothing(monkeypatch):
    X, y = make_problem()
    model = SoftLabelLogisticRegression()
    interrupt_third_call(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y)
    assert fitted_state(model) == {}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX only")
@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_ctrl_c_ends_a_long_fit_within_a_pass_or_so(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 40)).astype(np.float32)
    y = softmax(X[:, :10] + rng.normal(size=(60_000, 10)), axis=1)
    if kind == "csr":
        X = csr_array(X)
    model = SoftLabelLogisticRegression().fit(X[:100], y[:100])
    before = fitted_state(model)
    start = time.perf_counter()
    with pytest.warns(ConvergenceWarning):
        SoftLabelLogisticRegression(max_iter=1, tol=1e-300).fit(X, y)
    # Two evaluations, the curvature, and the checks.
    a_few_passes = time.perf_counter() - start
    sent = []

    def interrupt(number, frame):
        sent.append(time.perf_counter())
        signal.default_int_handler(number, frame)

    before_handler = signal.signal(signal.SIGALRM, interrupt)
    model.set_params(max_iter=1_000_000, tol=1e-300)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.5 * a_few_passes)
        start = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        end = time.perf_counter()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before_handler)
    assert len(sent) == 1
    assert end - start < 4.0 * a_few_passes + 0.5
    assert_untouched(model, before)


# -- Verbose -------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_each_iteration(capsys, solver):
    X, y = make_problem()
    model = SoftLabelLogisticRegression(**SOLVERS[solver]).fit(X, y)
    assert capsys.readouterr().out == ""
    model.set_params(verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_ + 1
    for n, line in enumerate(lines):
        assert line.startswith(f"iteration {n}: objective ")
    values = [float(line.split("objective ")[1].split(",")[0]) for line in lines]
    gradients = [float(line.split("gradient ")[1]) for line in lines]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]
    assert gradients[-1] < 0.1 * gradients[0]
