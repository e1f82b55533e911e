"""
Votes as targets
================

Several people, or several answers of a language model, say which class a sample has, and they
do not agree. Who trains a classifier on such votes often keeps the majority and throws the
rest away. This example compares that with three ways to keep all votes: their shares as soft
labels, a row for each vote, and shares that are weighted by the number of votes. There are ten
simulated data sets for each of five sorts of voters.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import kl_loss

# %%
# Simulated votes
# ---------------
#
# The probabilities of three classes are a logistic function of ten features, and each vote is
# drawn from those of its sample: voters disagree where the sample is ambiguous. In two
# settings they do not fit so well: where some samples have one vote and others twenty, and
# where two votes in five are guesses, so that voters disagree about clear samples, too.
N, D, K, N_SETS = 200, 10, 3, 10


def simulate(seed, voters, guesses):
    """Return features, votes, and test features with their true probabilities."""
    rng = np.random.default_rng(seed)
    W = rng.normal(scale=0.7, size=(D, K))
    X, X_test = rng.normal(size=(N, D)), rng.normal(size=(2000, D))
    n_votes = rng.choice(voters, size=N)
    said = (1 - guesses) * softmax(X @ W, axis=1) + guesses / K
    return X, rng.multinomial(n_votes, said), X_test, softmax(X_test @ W, axis=1)


def fit_all(X, votes):
    """Return a model for each way to use votes."""
    n_votes = votes.sum(axis=1)
    shares = votes / n_votes[:, np.newaxis]
    rows, classes = np.nonzero(votes)
    return {
        "majority": LogisticRegression().fit(X, votes.argmax(axis=1)),
        "shares": SoftLabelLogisticRegression().fit(X, shares),
        "a row per vote": LogisticRegression().fit(
            X[rows], classes, sample_weight=shares[rows, classes]
        ),
        "weighted shares": SoftLabelLogisticRegression().fit(
            X, shares, sample_weight=n_votes / n_votes.mean()
        ),
    }


# %%
# Who wins, and by how much
# -------------------------
#
# The loss is the KL divergence of the true probabilities to the model's, on new samples.
# Beside its mean over data sets stand the standard deviation, the number of data sets in which
# it is lower than that of the majority by at least 0.001 nats, and how often the model finds
# the most probable class. A row per vote has the votes of a sample share a weight of 1, as
# scikit-learn's ``LogisticRegression`` takes no soft labels; this is what
# ``SoftLabelLogisticRegression`` does without the repetition, so both lines agree.
SETTINGS = {
    "1 voter": ([1], 0.0),
    "3 voters": ([3], 0.0),
    "9 voters": ([9], 0.0),
    "1 or 20 voters": ([1, 20], 0.0),
    "9 voters, guesses": ([9], 0.4),
}
losses = {}
for setting, (voters, guesses) in SETTINGS.items():
    rows, found = [], []
    for seed in range(N_SETS):
        X, votes, X_test, truth = simulate(seed, voters, guesses)
        models = fit_all(X, votes)
        proba = [model.predict_proba(X_test) for model in models.values()]
        rows.append([kl_loss(truth, p) for p in proba])
        found.append([np.mean(p.argmax(axis=1) == truth.argmax(axis=1)) for p in proba])
    losses[setting] = np.array(rows)
    print(f"{setting:20s} KL to truth  lower in  class found")
    for j, name in enumerate(models):
        loss = losses[setting][:, j]
        wins = np.sum(loss < losses[setting][:, 0] - 1e-3)
        print(
            f"  {name:15s}  {loss.mean():.3f} ± {loss.std():.3f}"
            f"  {wins:2d} of {N_SETS}  {np.mean(found, axis=0)[j]:11.3f}"
        )

# %%
# With one voter there is nothing to keep. With more, the majority makes every label certain,
# so that a model learns to be more certain than the truth, and the more voters there are, the
# worse: what they disagreed about is lost. The shares have it, and each voter makes them
# better. They also find the most probable class more often, though they are not asked for it.
#
# Where the numbers of votes differ, a sample with twenty votes says more than one with a
# single vote, and weights let it. That pays if votes are independent given the sample; of
# voters who copy each other twenty are not worth twenty.
#
# With guesses it is the majority that has the lower loss. Shares are what voters say, and what
# these say is nearer to uniform than the truth; the model learns that faithfully. The
# certainty that the majority adds happens to undo some of it. The class is still found more
# often by the shares, so here the remedy is to calibrate them on samples whose classes are
# known, not to throw votes away. Where it is known who voted, ``sklkl.targets.dawid_skene``
# finds out whose votes are guesses.
fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
styles = (("#D55E00", "//"), ("#0072B2", ""), ("#E69F00", ".."), ("#009E73", "\\\\"))
for j, (name, (color, hatch)) in enumerate(zip(models, styles, strict=True)):
    values = np.array([losses[setting][:, j] for setting in SETTINGS])
    ax.bar(
        np.arange(len(SETTINGS)) + 0.2 * (j - 1.5),
        values.mean(axis=1),
        0.2,
        yerr=values.std(axis=1),
        capsize=2,
        color=color,
        hatch=hatch,
        edgecolor="black",
        label=name,
    )
ax.set_xticks(range(len(SETTINGS)), SETTINGS)
ax.set_ylabel("KL to the truth in nats")
ax.set_title("four ways to learn from votes")
ax.legend()
plt.show()
