"""What estimators tell of fits that take long: a bar, a callback and scikit-learn's callbacks hear one count."""
from contextlib import contextmanager

from fastreg.checks import check_listeners
from fastreg.progress import reporting

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:                                         # scikit-learn before 1.9
    class Supporting:
        """Nobody sets callbacks."""
else:
    class Supporting(CallbackSupportMixin):  # type: ignore[no-redef]
        """scikit-learn's callbacks; contexts are made only where some are set, as they cost more than small fits."""

        def set_callbacks(self, *callbacks):
            """Set scikit-learn's callbacks, such as its ProgressBar, in the place of those that were set before.

            Parameters
            ----------
            *callbacks : instances of sklearn.callback.FitCallback
                Told of the fit and, as subtasks, of each percent of its work (of each unit, where there are fewer than
                a hundred). What they return stops nothing; what they raise ends the fit. None given: none are set.

            Returns
            -------
            self

            Raises
            ------
            TypeError
                Where one of them does not follow scikit-learn's protocol.
            """
            super().set_callbacks(*callbacks)
            self._called = bool(callbacks)
            return self

        def __sklearn_clone__(self):
            clone = super().__sklearn_clone__()
            clone._called = self._called
            return clone

        @with_callbacks
        def _tear_down(self):
            """What the decorator does once a method has come to its end."""


class Tasks:
    """scikit-learn's callbacks of an estimator, a listener of Progress.

    Parameters
    ----------
    owner : estimator
    total : int
    given : callable
        Without arguments -> X, y and sample weights or None.
    """

    def __init__(self, owner, total, given):
        self.owner, self.count, self.ended = owner, min(total, 100), 0
        self.given = {"X": lambda: given()[0], "y": lambda: given()[1],
                      "metadata": lambda: None if given()[2] is None else {"sample_weight": given()[2]}}
        self.fit = owner._init_callback_context(max_subtasks=self.count)
        self.fit.call_on_fit_task_begin(estimator=owner, **self.given)
        self.task = self._begin()

    def _begin(self):
        return self.fit.subcontext(task_name="share of the work").call_on_fit_task_begin(estimator=self.owner)

    def __call__(self, done, total):
        """End the tasks that are done; at the end the one under way, as there may have been less to do."""
        for _ in range(1 if done == total else self.count * done // total - self.ended):
            self.task.call_on_fit_task_end(estimator=self.owner)
            self.ended += 1
            if self.ended < self.count and done < total:
                self.task = self._begin()

    def end(self):
        """The fit is done, its attributes are set."""
        fitted = {} if hasattr(self.owner, "coef_") else None
        self.fit.call_on_fit_task_end(estimator=self.owner, **self.given, reconstruction_attributes=fitted)


class ReportingMixin(Supporting):
    """Progress of an estimator with the parameters verbose and callback."""

    _called = False                             # whether there are callbacks of scikit-learn's

    @contextmanager
    def _reporting(self, total, given, *, unit="penalty values", units=1.0):
        """What a fit reports to, None where nobody listens; within it the fit comes to its end, attributes included.

        Parameters
        ----------
        total : int
        given : callable
            Without arguments -> X, y and sample weights or None.
        unit : str
            What is counted.
        units : float
            How many in 1 of what is reported.
        """
        listeners, tasks = check_listeners(type(self).__name__, self.verbose, self.callback, unit), None
        try:
            if self._called:
                tasks = Tasks(self, total, given)
            with reporting(total, [*listeners, tasks], units) as report:
                yield report
            if tasks is not None:
                tasks.end()
        finally:
            if self._called:
                self._tear_down()
