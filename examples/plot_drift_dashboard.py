"""
A dashboard of drift
====================

Which columns of a table have drifted since the model was trained, how far, and is it more than
chance? For each column this example has the population stability index that risk departments
ask for, and the Jensen-Shannon divergence with a confidence interval. The one has customary
thresholds, which know nothing of the number of rows; the other says what the counts can tell.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklkl.divergences import (
    jensen_shannon_interval_from_counts,
    kl_contributions,
    population_stability_index,
)

# %%
# Two tables
# ----------
#
# Customers at the time of training, and of one week. Incomes have grown by 8 %, and fewer pay
# in cash. The rest has not changed.
rng = np.random.default_rng(0)


def customers(n, growth, channels):
    """Return a table of n customers."""
    return pd.DataFrame(
        {
            "age": rng.normal(44, 14, size=n).clip(18, 95).round(),
            "income": np.exp(rng.normal(10.4, 0.5, size=n)) * growth,
            "tenure": rng.exponential(5, size=n),
            "region": rng.choice(
                list("ABCDEF"), p=np.array([30, 25, 20, 12, 8, 5]) / 100, size=n
            ),
            "channel": rng.choice(["card", "cash", "transfer"], p=channels, size=n),
        }
    )


then = customers(20_000, 1.00, [0.55, 0.30, 0.15])
now = customers(800, 1.08, [0.66, 0.20, 0.14])

# %%
# Counts of each column
# ---------------------
#
# Numbers are put into ten bins between quantiles of the reference, whose outer edges are
# infinite; words are counted. Both tables then have the same levels in the same order. Missing
# values are left out: make them a level by ``fillna`` if they may drift. Levels of fewer than
# five rows in one of the tables have no interval, and are to be added up before.


def counts(column):
    """Return the counts of the levels of a column, a row for each table."""
    a, b = then[column], now[column]
    if a.dtype.kind in "iuf":
        edges = np.unique(a.quantile(np.linspace(0, 1, 11)[1:-1]))
        a, b = (pd.cut(x, [-np.inf, *edges, np.inf]) for x in (a, b))
    table = pd.concat([x.value_counts(sort=False) for x in (a, b)], axis=1)
    return table.fillna(0).T.to_numpy()


rows = {}
for column in then:
    reference, current = counts(column)
    interval = jensen_shannon_interval_from_counts(current, reference, base=2)
    rows[column] = {
        "psi": population_stability_index(reference, current),
        "js": interval.estimate,
        "low": interval.low,
        "high": interval.high,
    }
board = pd.DataFrame(rows).T.sort_values("js", ascending=False)
print(board.round(4))

# %%
# What may be chance, and what is not
# -----------------------------------
#
# Where ``low`` is 0 the week may be a sample of the old distribution. The index of the columns
# that have not changed is above 0, too, and by as much as their numbers of levels and rows
# make it. Of 100 columns that have not changed two or three have a ``low`` above 0 by chance.
board["drift"] = board["low"] > 0
print(board["drift"].to_dict())

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
places = np.arange(len(board))[::-1]
colors = np.where(board["drift"], "#D55E00", "#595959")
ax.hlines(places, board["low"], board["high"], color=colors, linewidth=3)
ax.scatter(board["js"], places, color=colors, zorder=3)
ax.axvline(0, color="black", linewidth=0.8)
ax.set_yticks(places, board.index)
ax.set_xlabel("Jensen-Shannon divergence in bits, 95 % interval")
ax.set_title("this week against training")
plt.show()

# %%
# Where it is
# -----------
#
# The contributions of levels to the KL divergence say which of them have moved: those with
# more customers now have positive ones.
levels = sorted(then["channel"].unique())
p, q = (table["channel"].value_counts(normalize=True)[levels] for table in (now, then))
print(pd.Series(kl_contributions(p, q), levels).round(3).to_dict())
