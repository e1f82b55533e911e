"""Checked data of a fit on the workers that hold its partitions."""

from contextlib import contextmanager
from functools import partial
from operator import getitem

from sklkl.dask._blocks import Shared, gathered, of
from sklkl.dask._rows import DaskRows
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.linear_model._parts import Part, merge, summarise


@contextmanager
def checked_collections(estimator, arguments):
    """Yield the ``DaskData`` of the arguments of ``fit``, by name; free them at the end.

    The estimator learns the number and names of the features.
    """
    plain = SoftLabelLogisticRegression(
        classes=estimator.classes, class_weight=estimator.class_weight
    )
    with gathered(Part, arguments) as parts:
        whole = merge(plain, parts.results(partial(summarise, plain), parts.first_rows))
        whole.describe(estimator)
        yield DaskData(parts, plain, whole)


class DaskData:
    """Checked data in blocks; all that is known of them on the whole are its attributes."""

    def __init__(self, parts, estimator, whole):
        self.parts, self.estimator, self.whole = parts, estimator, whole

    def __getattr__(self, name):
        return getattr(vars(self)["whole"], name)

    def stages(self, divergence, temperature, fit_intercept):
        """See ``Data``."""
        whole, place = self.whole, self.parts.place
        # Nobody reads again what was passed: workers need not keep it beside what is checked.
        passed, self.parts.blocks = self.parts.blocks, []
        loss = divergence, temperature, fit_intercept, whole.unit(temperature)
        blocks = [
            block._replace(
                parts=place.submit(
                    _stages_of_block,
                    block.parts,
                    self.estimator,
                    whole,
                    of(block.numbers, whole.first_rows),
                    loss,
                    worker=block.worker,
                )
            )
            for block in passed
        ]
        return [
            DaskRows(
                place,
                [
                    block._replace(
                        parts=place.submit(getitem, block.parts, k, worker=block.worker)
                    )
                    for block in blocks
                ],
                whole.lengths,
                (whole.n_features + bool(fit_intercept), whole.n_logits),
                whole.dtype,
                dense=not whole.sparse,
            )
            for k in range(1 if divergence.name == "kl" else 2)
        ]


def _stages_of_block(parts, estimator, whole, first_rows, loss):
    """Return the rows of each part of a block for each of the losses to minimise."""
    stages = [
        whole.data(estimator, part, first_rows[i]).stages(*loss) for i, part in parts.items()
    ]
    return [
        Shared(
            dict(zip(parts, rows, strict=True)),
            0 if k else sum(own.nbytes() for own in rows),
        )
        for k, rows in enumerate(zip(*stages, strict=True))
    ]
