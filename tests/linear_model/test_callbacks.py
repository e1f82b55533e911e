"""What callbacks of scikit-learn 1.9 and later are told, and what interrupts leave behind."""

import signal
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer
from tests._support.callbacks import ProgressBar, ScoringMonitor, needs_callbacks
from tests._support.problems import make_problem

each_solver = pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.3, "C": 2.0}])

X, _, Y, WEIGHT, _ = make_problem()


class Witness:
    """Write down what happens; optionally do something at the end of an iteration."""

    def __init__(self, action=None):
        self.action = action
        self.events, self.begun, self.models, self.data = [], [], [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self.events.append(f"begin {context.task_name}")
        self.begun.append(fitted_estimator)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.events.append(f"end {context.task_name}")
        self.data.append((X, y, metadata))
        if context.task_name == "iteration":
            self.models.append(fitted_estimator)
            if self.action is not None:
                return self.action(len(self.models))
        return None


class PropagatedWitness(Witness):
    """Is set on a meta-estimator, and passed on to the estimators within."""

    max_propagation_depth = None


@needs_callbacks
@each_solver
def test_events(params):
    witness = Witness()
    model = SoftLabelLogisticRegression(**params).set_callbacks(witness).fit(X, Y, WEIGHT)
    iterations = ["begin iteration", "end iteration"] * model.n_iter_
    assert model.n_iter_ > 3
    assert witness.events == ["setup", "begin fit", *iterations, "end fit", "teardown"]
    for X_seen, y_seen, metadata in witness.data:
        assert X_seen is X
        assert y_seen is Y
        assert metadata["sample_weight"] is WEIGHT
    plain = SoftLabelLogisticRegression(**params).fit(X, Y, WEIGHT)
    assert_array_equal(model.coef_, plain.coef_)


@needs_callbacks
@each_solver
@pytest.mark.parametrize(("dtype", "tol"), [(np.float32, 1e-9), (np.float64, 1e-300)])
@pytest.mark.filterwarnings("ignore:No convergence")
def test_one_event_per_iteration_at_the_rounding_floor(params, dtype, tol):
    """Also where a step fails and is tried anew."""
    witness = Witness()
    model = SoftLabelLogisticRegression(**params, tol=tol, max_iter=60)
    model.set_callbacks(witness).fit(X.astype(dtype), Y)
    assert witness.events.count("end iteration") == model.n_iter_ > 10


@needs_callbacks
@each_solver
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.filterwarnings("ignore:No convergence")
def test_estimators_passed_predict_as_if_the_fit_had_stopped(params, n_classes):
    X, _, Y, *_ = make_problem(n_classes)
    params = {**params, "classes": list("xyz")[:n_classes], "fit_intercept": n_classes == 3}
    frame = pd.DataFrame(X, columns=list("abcd"))
    witness = Witness()
    model = SoftLabelLogisticRegression(**params).set_callbacks(witness).fit(frame, Y)
    start, *begun = witness.begun
    assert_allclose(start.predict_proba(frame), 1 / n_classes)
    assert len(begun) == len(witness.models) == model.n_iter_
    for n, (before, passed) in enumerate(zip(begun, witness.models, strict=True), start=1):
        stopped = SoftLabelLogisticRegression(**params, max_iter=n).fit(frame, Y)
        assert passed.n_iter_ == before.n_iter_ + 1 == n
        assert_array_equal(before.coef_, ([start, *witness.models][n - 1]).coef_)
        assert_array_equal(passed.coef_, stopped.coef_)
        assert_array_equal(passed.predict(frame), stopped.predict(frame))
    assert_array_equal(passed.coef_, model.coef_)
    # After a warm start without an iteration, the fit begins with its end.
    model.set_params(warm_start=True, tol=0.1).fit(frame, Y)
    assert witness.events[-4:] == ["setup", "begin fit", "end fit", "teardown"]
    assert_allclose(witness.begun[-1].coef_, model.coef_, rtol=1e-13, atol=1e-14)


@needs_callbacks
@pytest.mark.parametrize(
    ("refit", "Kind"), [(True, Witness), (True, PropagatedWitness), (False, PropagatedWitness)]
)
def test_events_of_cross_validation(refit, Kind):
    witness = Kind()
    model = SoftLabelLogisticRegressionCV(Cs=2, cv=3, refit=refit).set_callbacks(witness)
    model.fit(X, Y)
    final = ["begin refit", "end refit"] if refit else []
    if refit and Kind is PropagatedWitness:  # the student speaks for itself
        iterations = ["begin iteration", "end iteration"] * len(witness.models)
        final = ["begin fit", *iterations, "end fit"]
        assert witness.models[-1].coef_ == pytest.approx(model.coef_)
    folds = ["begin fold", "end fold"] * 3
    assert witness.events == ["setup", "begin fit", *folds, *final, "end fit", "teardown"]


@needs_callbacks
@pytest.mark.parametrize("solver", ["lbfgs", "proximal"])
def test_scoring_monitor_and_progress_bar(solver, capsys):
    pytest.importorskip("rich")
    scorer = get_scorer("neg_kl_loss")
    monitor = ScoringMonitor(scoring=scorer)
    # Without a penalty the score is what is maximised.
    model = SoftLabelLogisticRegression(C=np.inf, solver=solver, tol=1e-6)
    model.set_callbacks(monitor, ProgressBar()).fit(X, Y, sample_weight=WEIGHT)
    rows = monitor.get_logs().data
    scores = [row["score"] for row in rows if row["task_name"] == "iteration"]
    (of_fit,) = (row["score"] for row in rows if row["task_name"] == "fit")
    assert len(scores) == model.n_iter_
    assert (np.diff(scores) > -1e-12).all()
    assert scores[-1] > scores[0]
    assert of_fit == scores[-1] == pytest.approx(-model.loss_, rel=1e-9)
    assert of_fit == pytest.approx(scorer(model, X, Y, sample_weight=WEIGHT), rel=1e-12)
    assert "100%" in capsys.readouterr().out


@needs_callbacks
@each_solver
@pytest.mark.parametrize("last", [1, 3])
def test_any_callback_that_returns_true_stops_without_a_warning(params, last):
    patient, impatient = Witness(), Witness(lambda n: n == last)
    model = SoftLabelLogisticRegression(**params, tol=1e-8)
    model.set_callbacks(impatient, patient).fit(X, Y)
    assert model.n_iter_ == len(patient.models) == len(impatient.models) == last
    assert patient.events[-2:] == ["end fit", "teardown"]
    with pytest.warns(ConvergenceWarning, match=f"No convergence in {last} iteration"):
        stopped = SoftLabelLogisticRegression(**params, tol=1e-8, max_iter=last).fit(X, Y)
    assert_array_equal(model.predict_proba(X), stopped.predict_proba(X))
    assert model.loss_ == stopped.loss_


@contextmanager
def unchanged(model):
    """Expect an interrupted fit to leave the attributes as they were."""
    before = fitted_state(model)
    with pytest.raises(KeyboardInterrupt):
        yield
    after = fitted_state(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


def fitted_state(model):
    return {name: value for name, value in vars(model).items() if name != "_skl_callbacks"}


@needs_callbacks
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    ("hook", "task"),
    [
        *(("setup", "fit"), ("on_fit_task_begin", "fit")),
        *(("on_fit_task_end", "iteration"), ("on_fit_task_end", "fit")),
    ],
)
def test_interrupt_in_any_hook_changes_nothing(hook, task, fitted):
    def interrupt(estimator, context):
        if context.task_name == task:
            raise KeyboardInterrupt

    witness = Witness()
    setattr(witness, hook, interrupt)
    model = SoftLabelLogisticRegression()
    if fitted:
        model.fit(pd.DataFrame(X, columns=list("abcd")), Y)
    model.set_callbacks(witness)
    for X_other in (X[:, :2], pd.DataFrame(X, columns=list("wxyz"))):
        with unchanged(model):
            model.fit(X_other, Y)
    model.set_callbacks().fit(X[:, :2], Y)
    assert model.n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX only")
def test_ctrl_c_ends_an_endless_fit():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = SoftLabelLogisticRegression().fit(frame, Y)
    model.set_params(max_iter=10**9, tol=1e-300)
    handler = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    with unchanged(model):
        try:
            # Again and again: one in a callback of the garbage collector would be lost.
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.2, 0.2)
            model.fit(X[:, :2], Y)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
            signal.signal(signal.SIGVTALRM, handler)
