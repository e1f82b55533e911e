"""
A dashboard of drift
====================

Which columns of a table have drifted since the model was trained, how far, and is it more than
chance? For each column this example has the population stability index that risk departments
ask for, the Jensen-Shannon divergence with a confidence interval, and a test. The index has
customary thresholds, which know nothing of the number of rows; the others say what the counts
can tell. Missing values and levels that the reference never had are part of the answer.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from sklkl.divergences import (
    jensen_shannon_from_counts,
    jensen_shannon_interval_from_counts,
    kl_contributions,
    population_stability_index,
)

# %%
# Two tables
# ----------
#
# Customers at the time of training, and of one week. Incomes are missing more often, fewer pay
# in cash, and there are customers of a new country. The rest has not changed.
rng = np.random.default_rng(0)


def customers(n, channels, countries, missing):
    """Return a table of n customers."""
    income = np.exp(rng.normal(10.4, 0.5, size=n))
    return pd.DataFrame(
        {
            "age": rng.normal(44, 14, size=n).clip(18, 95).round(),
            "income": np.where(rng.uniform(size=n) < missing, np.nan, income),
            "tenure": rng.exponential(5, size=n),
            "country": rng.choice(list(countries), p=list(countries.values()), size=n),
            "channel": rng.choice(["card", "cash", "transfer"], p=channels, size=n),
        }
    )


then = customers(20_000, [0.55, 0.30, 0.15], {"CH": 0.6, "DE": 0.3, "AT": 0.1}, 0.02)
now = customers(
    800, [0.66, 0.20, 0.14], {"CH": 0.59, "DE": 0.295, "AT": 0.1, "IT": 0.015}, 0.08
)

# %%
# Counts of each column
# ---------------------
#
# Numbers are put into ten bins between quantiles of the reference, whose outer edges are
# infinite; words are counted. What is missing becomes a level of its own *after* the numbers
# are in bins: to fill it in before would put it into the lowest bin, among numbers. The counts
# are Series that name their levels, and are matched by name: a level that one table lacks
# counts as 0 there.


def counts(column):
    """Return how often each table has each level of a column."""
    both = [then[column], now[column]]
    if pd.api.types.is_numeric_dtype(both[0]):
        edges = np.unique(both[0].quantile(np.linspace(0, 1, 11)[1:-1]))
        both = [pd.cut(x, [-np.inf, *edges, np.inf]) for x in both]
    return [x.astype(object).where(x.notna(), "missing").value_counts() for x in both]


# %%
# Three answers for each column
# -----------------------------
#
# A level that is new, gone, or rare has no interval, and the message names it. That is news,
# to be reported rather than added up with other levels. The divergence is finite nevertheless,
# and there is a test: the statistic of the G test, SciPy's ``chi2_contingency`` with
# ``lambda_="log-likelihood"``, is 2 N times a Jensen-Shannon divergence in nats, for N rows in
# both tables and weights that are their shares of the rows. Of tables that did not differ,
# with 4 to 10 levels, it found a difference at 5 % in 3 to 6 of 100 simulations, but in 6 to
# 12 where ten or twenty levels were expected only one to eight times in the smaller table: for
# those take the permutations of :ref:`sphx_glr_gallery_plot_drift.py`.
rows, tables = {}, {}
for column in then:
    reference, current = counts(column)
    tables[column] = pd.concat([reference, current], axis=1, keys=["then", "now"]).fillna(0)
    rows[column] = {
        "psi": population_stability_index(reference, current, pseudo_count=0.5),
        "js": jensen_shannon_from_counts(current, reference, base=2),
        "p": chi2_contingency(
            tables[column], correction=False, lambda_="log-likelihood"
        ).pvalue,
    }
    try:
        interval = jensen_shannon_interval_from_counts(current, reference, base=2)
        rows[column] |= {"low": interval.low, "high": interval.high}
    except ValueError as error:
        print(f"{column}: {error}")
board = pd.DataFrame(rows).T.sort_values("js", ascending=False)

# %%
# What may be chance, and what is not
# -----------------------------------
#
# The index of the columns that have not changed is above 0, too, and by as much as their
# numbers of levels and rows make it. Among many columns some seem to drift by chance: with
# the level divided by their number (Bonferroni) any does in about 5 of 100 weeks.
board["drift"] = board["p"] < 0.05 / len(board)
print(board.round(4))

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
places = np.arange(len(board))[::-1]
colors = np.where(board["drift"], "#D55E00", "#595959")
ax.hlines(places, board["low"], board["high"], color=colors, linewidth=3)
ax.scatter(board["js"], places, color=colors, zorder=3)
ax.axvline(0, color="black", linewidth=0.8)
ax.set_yticks(places, board.index)
ax.set_xlabel("Jensen-Shannon divergence in bits, 95 % interval if there is one")
ax.set_title("this week against training")
plt.show()

# %%
# Where it is
# -----------
#
# The contributions of levels to the KL divergence say which of them have moved: those with
# more customers now have positive ones, and a new level an infinite one.
for column in board.index[board["drift"]]:
    shares = tables[column] / tables[column].sum()
    moved = pd.Series(kl_contributions(shares["now"], shares["then"]), shares.index)
    largest = moved[moved.abs().sort_values(ascending=False).index].head(3)
    print(column, {str(level): round(value, 3) for level, value in largest.items()})
