"""Reports of a fit to callbacks and to the terminal."""

from sklkl._core.sklearn import has_callbacks


class FitMonitor:
    """Tells callbacks, and the terminal, about the iterations of a fit.

    ``data`` is what the user passed to ``fit``, by name: "X", "y", and metadata, None if not
    given; ``start`` the coefficients before the first iteration; ``attributes(n_iter, W)``
    returns the fitted attributes with which the estimator predicts with the coefficients W.
    """

    def __init__(self, estimator, data, start, attributes):
        self.estimator = estimator
        self.attributes = attributes
        self.context = None
        if hasattr(estimator, "_init_callback_context"):
            given = {name: value for name, value in data.items() if value is not None}
            X, y = given.pop("X", None), given.pop("y", None)
            self.arguments = {"X": X, "y": y, "metadata": given or None}
            self.context = estimator._init_callback_context(max_subtasks=estimator.max_iter)
            self.last = 0, start
            self._tell(self.context.call_on_fit_task_begin, *self.last)

    @property
    def tells(self):
        """Whether there is anybody to tell of iterations."""
        return self.estimator.verbose > 0 or has_callbacks(self.context)

    def __call__(self, n_iter, W, value, largest_gradient):
        """Report that an iteration has ended; return whether to stop."""
        if self.estimator.verbose > 0:
            print(
                f"iteration {n_iter}: objective {value:.12g}, gradient {largest_gradient:.3e}"
            )
        if self.context is None or n_iter == 0:
            return False
        iteration = self.context.subcontext(task_name="iteration")
        # Not before now is it known that there was another iteration.
        self._tell(iteration.call_on_fit_task_begin, *self.last)
        self.last = n_iter, W
        return self._tell(iteration.call_on_fit_task_end, *self.last)

    def end(self, n_iter, W):
        """Report that the fit has ended."""
        if self.context is not None:
            self._tell(self.context.call_on_fit_task_end, n_iter, W)

    def _tell(self, hook, n_iter, W):
        return hook(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.attributes(n_iter, W),
            **self.arguments,
        )
