r"""
Estimating the KL penalty of a policy
=====================================

Language models that are trained by reinforcement learning pay a penalty for moving away from
the model that they came from: the KL divergence of the policy from its reference. Usually it
is estimated from the tokens that the policy wrote, as no one keeps the probabilities of all
others. This example compares the three common estimators with the exact value, on a small
vocabulary.

With r the ratio of the reference's probability of a token to the policy's, they are the means
of

.. math:: k_1 = -\log r, \qquad k_2 = \tfrac12 (\log r)^2, \qquad k_3 = (r - 1) - \log r

(Schulman, J. (2020). Approximating KL Divergence. http://joschu.net/blog/kl-approx.html).
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import log_softmax

from sklkl.divergences import kl_divergence_from_logits, sampled_kl

# %%
# A policy that moves
# -------------------
#
# The reference is a random distribution over 1,000 tokens, and the policy adds a random
# direction to its logits. The further it goes, the larger the exact divergence, which needs
# the logits of all tokens of both.
rng = np.random.default_rng(0)
reference, direction = rng.normal(size=(2, 1000))
steps = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 2.4])
policies = reference + steps[:, np.newaxis] * direction
exact = kl_divergence_from_logits(policies, reference)
for step, divergence in zip(steps, exact, strict=True):
    print(f"step {step:.1f}  D(policy‖reference) = {divergence:.4f} nats")

# %%
# Batches of 256 tokens
# ---------------------
#
# Each policy writes 2,000 batches, and each batch gives one estimate. The table shows the bias
# of an estimator, its mean less the exact value, and its spread, the standard deviation over
# batches, both as shares of the exact value.
ESTIMATORS = {
    "k1": ("#0072B2", "o", "-"),
    "k2": ("#E69F00", "s", "--"),
    "k3": ("#009E73", "^", ":"),
}
bias, spread, negative = ({name: [] for name in ESTIMATORS} for _ in range(3))
log_q = log_softmax(reference)
for logits, divergence in zip(policies, exact, strict=True):
    log_p = log_softmax(logits)
    tokens = rng.choice(len(log_p), p=np.exp(log_p), size=(2000, 256))
    for name in ESTIMATORS:
        estimates = sampled_kl(log_p[tokens], log_q[tokens], estimator=name)
        bias[name].append(estimates.mean() / divergence - 1)
        spread[name].append(estimates.std() / divergence)
        negative[name].append(np.mean(estimates < 0))
print("step   bias:   k1      k2      k3  spread:  k1     k2     k3   k1 < 0")
for i, step in enumerate(steps):
    biases = "  ".join(f"{bias[name][i]:+6.1%}" for name in ESTIMATORS)
    spreads = "  ".join(f"{spread[name][i]:5.2f}" for name in ESTIMATORS)
    print(f"{step:4.1f}       {biases}         {spreads}  {negative['k1'][i]:6.1%}")

# %%
# Near the reference k1 is hopeless: it averages numbers of either sign that nearly cancel, and
# many of its estimates are negative, as a divergence never is. k2 and k3 are never negative,
# and their spread stays small. k3 has the expectation of k1, as r - 1 is 0 in the mean, and
# the bias of both is noise of the simulation. k2 is half the square of what k1 averages. That
# has another expectation, which is close as long as the policy is, and leaves it as the policy
# does.
#
# Far from the reference the advantage of k3 shrinks, then turns: tokens that the reference
# likes and the policy seldom writes have a huge r.
fig, ax = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for name, (color, marker, linestyle) in ESTIMATORS.items():
    style = {"color": color, "marker": marker, "linestyle": linestyle, "label": name}
    ax[0].plot(exact, 100 * np.array(bias[name]), **style)
    ax[1].plot(exact, spread[name], **style)
ax[0].axhline(0, color="black", linewidth=0.8)
ax[0].set(ylabel="bias, % of the exact value", title="bias")
ax[1].set(ylabel="spread / exact value", yscale="log", title="spread")
for axes in ax:
    axes.set(xlabel="exact divergence in nats", xscale="log")
    axes.legend()
plt.show()
