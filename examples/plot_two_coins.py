"""
How far apart are two coins?
============================

One person believes that a coin is fair, another that it shows heads nine times in ten. The
Kullback-Leibler (KL) divergence measures how far apart the two beliefs are, by the bits that
the wrong one costs. This example computes it in both directions, splits it into the
contributions of heads and tails, shows that it is cross-entropy less entropy, and compares it
with a symmetric relative, the Jensen-Shannon divergence.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklkl.divergences import (
    cross_entropy,
    entropy,
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
)
from sklkl.inspection import DivergenceDisplay

fair, biased = np.array([0.5, 0.5]), np.array([0.9, 0.1])  # heads, tails
sides = ["heads", "tails"]

# %%
# The fair coin is thrown, the other is believed
# ----------------------------------------------
#
# A code made for the biased coin gives heads a short word and tails a long one: an outcome of
# probability q costs -log2(q) bits. The coin is fair, so each comes half of the time.
for side, bits in zip(sides, -np.log2(biased), strict=True):
    print(f"{side} cost {bits:.3f} bits")
print(f"mean cost      {cross_entropy(fair, biased, base=2):.3f} bits, the cross-entropy")
print(f"best mean cost {entropy(fair, base=2):.3f} bits, the entropy")
print(f"wasted         {kl_divergence(fair, biased, base=2):.3f} bits, the KL divergence")

# %%
# The divergence is the sum of a contribution of each outcome, p log(p / q). That of heads is
# negative: the wrong code saves something on heads, and loses more on tails. The sum is never
# negative, whatever the two distributions are.
print(kl_contributions(fair, biased, base=2).round(3))
DivergenceDisplay.from_distributions(
    fair, biased, base=2, outcomes=sides, names=("fair", "biased")
)
plt.show()

# %%
# The other direction
# -------------------
#
# Now the biased coin is thrown and the fair one believed. Heads come often and cost more than
# they need, tails come seldom and cost less. The divergence is another one, and a smaller one:
# the code of the fair coin has no long word.
print(f"forward {kl_divergence(fair, biased, base=2):.3f} bits")
print(f"reverse {kl_divergence(biased, fair, base=2):.3f} bits")
DivergenceDisplay.from_distributions(
    biased, fair, base=2, outcomes=sides, names=("biased", "fair")
)
plt.show()

# %%
# More and more biased
# --------------------
#
# The belief now moves from 1/2 to certainty of heads. If the fair coin is thrown, the
# divergence grows without bound: tails happen, and the code has ever longer words for them; at
# certainty there is none. The other direction ends at 1 bit, since the code for the fair coin
# never spends more. The Jensen-Shannon divergence compares both coins with their average. It
# is symmetric, and never above 1 bit.
heads = np.append(np.linspace(0.5, 0.99, 50), 1 - np.logspace(-2.1, -6, 40))
belief = np.column_stack([heads, 1 - heads])
curves = {
    "D(fair‖believed)": (kl_divergence(fair, belief, base=2), "#0072B2", "-"),
    "D(believed‖fair)": (kl_divergence(belief, fair, base=2), "#D55E00", "--"),
    "Jensen-Shannon": (jensen_shannon_divergence(fair, belief, base=2), "#009E73", ":"),
}
certain = np.array([1.0, 0.0])
print("at certainty:")
print(f"D(fair‖believed) {kl_divergence(fair, certain, base=2):.3f}")
print(f"D(believed‖fair) {kl_divergence(certain, fair, base=2):.3f}")
print(f"Jensen-Shannon   {jensen_shannon_divergence(fair, certain, base=2):.3f}")

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, (values, color, linestyle) in curves.items():
    ax.plot(heads, values, color=color, linestyle=linestyle, linewidth=2, label=name)
ax.set(xlabel="believed probability of heads", ylabel="bits", ylim=(0, 3))
ax.set_title("three divergences of a belief from a fair coin")
ax.legend()
plt.show()
