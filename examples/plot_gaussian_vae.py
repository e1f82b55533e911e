r"""
The KL term of a variational autoencoder
========================================

A variational autoencoder pays for each sample the KL divergence of its encoder's Gaussian from
the standard normal prior. This example shows the term as a map over mean and log variance,
adds it up over the dimensions of a code, and trains a linear autoencoder of this kind, of
which all is known in closed form, to see what the term does with dimensions that are not worth
their price: posterior collapse.

For a dimension with mean :math:`\mu` and variance :math:`\sigma^2` it is

.. math:: \tfrac12 (\mu^2 + \sigma^2 - 1 - \log \sigma^2).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklkl.divergences import gaussian_kl_divergence

# %%
# The price of one dimension
# --------------------------
#
# It is 0 for the prior itself, in the middle of the dashed line, and grows with the square of
# the mean. Along the log variance it is lopsided: a variance that is too large costs in
# proportion, one that is too small costs only its logarithm, as certainty is what a code is
# made of.
mean, log_var = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-6, 2, 161))
price = gaussian_kl_divergence(mean[..., None], np.exp(log_var)[..., None])
for m, v in ((0, 0), (1, 0), (2, 0), (0, 2), (0, -2), (0, -6)):
    nats = gaussian_kl_divergence([m], [np.exp(v)])
    print(f"mean {m}, log variance {v:2d}: {nats:.3f} nats")

fig, ax = plt.subplots(figsize=(6, 4.2), layout="constrained")
surface = ax.contourf(mean, log_var, price, levels=np.arange(0, 8.5, 0.5), cmap="cividis")
lines = ax.contour(mean, log_var, price, levels=[0.1, 1, 2, 4], colors="white", linewidths=1)
ax.clabel(lines, fmt="%g")
ax.plot([-3, 3], [0, 0], color="white", linestyle="--", linewidth=1)
ax.plot(0, 0, color="white", marker="*", markersize=12)
ax.set(xlabel="mean", ylabel="log variance", title="the price of a dimension")
fig.colorbar(surface, label="nats")
plt.show()

# %%
# A whole code
# ------------
#
# Given vectors, the function adds the dimensions up, and takes any number of samples at once.
# For the price of each dimension give them an axis of length 1. Here the first dimension tells
# the samples apart, the second is uncertain and tells little, and the third says what the
# prior says and costs nothing: it has collapsed.
rng = np.random.default_rng(0)
means = rng.normal(size=(1000, 3)) * [1.0, 0.3, 0.0]
log_vars = np.tile([-4.0, -0.1, 0.0], (1000, 1))
total = gaussian_kl_divergence(means, np.exp(log_vars))
by_dimension = gaussian_kl_divergence(means[..., None], np.exp(log_vars)[..., None])
print("mean price of each dimension", by_dimension.mean(axis=0).round(3))
print(f"their sum {by_dimension.mean(axis=0).sum():.3f}, mean total {total.mean():.3f} nats")

# %%
# When a dimension is not worth its price
# ---------------------------------------
#
# In a linear autoencoder, probabilistic principal component analysis, the decoder's noise has
# the variance s², and the best encoder is known. A direction of the data whose variance v is
# above s² has the posterior variance s² / v, and means of variance 1 - s² / v over the data;
# one with v at or below s² is best not coded at all (Lucas, J., Tucker, G., Grosse, R. and
# Norouzi, M. (2019). Don't Blame the ELBO! NeurIPS, arXiv:1911.02469). The mean price is then
# log(v / s²) / 2 nats.
#
# Images of digits, of which the first 20 principal components are coded: the more noise, the
# more of them collapse, those of least variance first.
X = load_digits().data / 16
pca = PCA(n_components=20).fit(X)
scores, v = pca.transform(X), pca.explained_variance_
prices = {}
for noise in (0.01, 0.03, 0.1, 0.3):
    posterior = np.minimum(1.0, noise / v)
    means = scores * np.sqrt((1 - posterior) / v)
    nats = gaussian_kl_divergence(means[..., None], posterior[:, None]).mean(axis=0)
    prices[noise] = nats
    used = np.count_nonzero(nats > 1e-9)
    print(
        f"noise {noise:.2f}: {used:2d} of 20 dimensions used, price {nats.sum():5.2f} nats, "
        f"in closed form {np.log(1 / posterior).sum() / 2:5.2f}"
    )

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
styles = (("#0072B2", "o"), ("#E69F00", "s"), ("#009E73", "^"), ("#D55E00", "D"))
for (color, marker), (noise, values) in zip(styles, prices.items(), strict=True):
    ax.plot(np.arange(1, 21), values, color=color, marker=marker, label=f"noise {noise:g}")
ax.set(xlabel="dimension, by variance of the data", ylabel="mean price in nats")
ax.set_title("what the dimensions of the code pay")
ax.set_xticks([1, 5, 10, 15, 20])
ax.legend()
plt.show()
