"""
Drift between two periods
=========================

Monitoring compares what data look like now with what they looked like then. The divergence of
two histograms is never exactly 0, since samples differ by chance; with few counts and many
categories chance is most of it. This example compares months by an estimator of the KL
divergence that takes this bias off, and by the Jensen-Shannon divergence with a threshold from
permutations.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklkl.divergences import jensen_shannon_divergence, kl_divergence, kl_from_counts
from sklkl.inspection import DivergenceMapDisplay

# %%
# Counts of twelve months
# -----------------------
#
# Each month 500 customers choose among 40 products. From January to August they choose in the
# same way; from September on a growing part of them chooses in another.
rng = np.random.default_rng(0)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
usual, other = rng.dirichlet(np.ones(40), size=2)
moved = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4])[:, np.newaxis]
truth = (1 - moved) * usual + moved * other
counts = np.array([rng.multinomial(500, p) for p in truth])
reference, months = counts[:6].sum(axis=0), counts[6:]

# %%
# Frequencies exaggerate
# ----------------------
#
# The divergence of each month of the second half of the year from the first half. That of the
# frequencies is far from 0 for July, which does not differ, and infinite for a month with a
# product that was not chosen before. The corrected estimate, the default of
# ``kl_from_counts``, is always finite, and nearer to the truth; it may be negative, as it must
# be to be right in the mean. For the last months it is too small: of a product that the first
# half never saw, its counts cannot tell how rare it was.
plain = kl_from_counts(months, reference, estimator="plugin", base=2)
corrected = kl_from_counts(months, reference, base=2)
exact = kl_divergence(truth[6:], usual, base=2)
print("bits  frequencies  corrected   truth")
for row in zip(MONTHS[6:], plain, corrected, exact, strict=True):
    print("{:4}  {:11.3f}  {:9.3f}  {:6.3f}".format(*row))

# %%
# A threshold
# -----------
#
# The Jensen-Shannon divergence of frequencies is always finite, and not 0 by chance, either.
# What it would be by chance can be simulated: if a month does not differ, it does not matter
# which customer came when. So put the customers of both periods together, draw those of the
# month anew, without replacement, and do so many times. Of months that have not drifted one in
# a hundred exceeds the 99 % quantile. A small drift exceeds it only if there are
# many customers: those of September and October do not show here. Where few products are rare,
# the G test of :ref:`sphx_glr_gallery_plot_drift_dashboard.py` has a p-value without draws.


def quantile_of_chance(a, b, level=0.99, n_draws=5000):
    """Return a quantile of the divergence of two counts whose customers are shuffled."""
    both = a + b
    draws = rng.multivariate_hypergeometric(both, a.sum(), size=n_draws)
    shuffled = draws / a.sum(), (both - draws) / b.sum()
    return np.quantile(jensen_shannon_divergence(*shuffled, base=2), level)


js = jensen_shannon_divergence(
    months / months.sum(axis=1, keepdims=True), reference / reference.sum(), base=2
)
limits = np.array([quantile_of_chance(month, reference) for month in months])
for month, value, limit in zip(MONTHS[6:], js, limits, strict=True):
    print(f"{month}  {value:.4f}  limit {limit:.4f}  {'drift' if value > limit else ''}")

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.bar(MONTHS[6:], js, color="#0072B2", edgecolor="black", label="divergence")
ax.hlines(
    limits,
    np.arange(6) - 0.45,
    np.arange(6) + 0.45,
    color="#D55E00",
    linestyle="--",
    linewidth=2,
    label="99 % quantile of chance",
)
ax.set_ylabel("Jensen-Shannon divergence in bits")
ax.set_title("each month against January to June")
ax.legend()
plt.show()

# %%
# All months at once
# ------------------
#
# The map compares each month with each other. Off the diagonal nothing is 0, by chance alone;
# November and December stand out from the months before October, and are near to each other.
display = DivergenceMapDisplay.from_distributions(
    counts / 500, divergence="jensen_shannon", base=2, row_names=MONTHS
)
display.ax_.set_title("each month against each other")
plt.show()
