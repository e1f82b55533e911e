"""Real data sets that come with installed packages: nothing is downloaded."""

from functools import cache, partial
from importlib.util import find_spec

import numpy as np
from sklearn import datasets


def of_sklearn(name):
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def diabetes_terciles():
    """Progression of the disease in three classes of equal size."""
    X, y = of_sklearn("diabetes")
    return X, np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))


def of_river(name):
    from river import datasets as streams

    samples, labels = zip(*getattr(streams, name)(), strict=True)
    columns = list(samples[0])
    return np.array([[sample[c] for c in columns] for sample in samples], float), labels


def of_statsmodels(name):
    from statsmodels import datasets as studies

    return getattr(studies, name).load_pandas().data


def fair():
    """Whether a woman reported affairs."""
    data = of_statsmodels("fair")
    return data.drop(columns="affairs"), data["affairs"] > 0


def randhie():
    """Whether a person saw a doctor in the year; every fifth row."""
    data = of_statsmodels("randhie")[::5]
    return data.drop(columns="mdvis"), data["mdvis"] > 0


def anes96():
    """Party identification in seven steps; not the vote, which follows it."""
    data = of_statsmodels("anes96")
    return data.drop(columns=["PID", "vote", "popul"]), data["PID"]


SOURCES = {
    "digits": ("sklearn", partial(of_sklearn, "digits")),
    "breast cancer": ("sklearn", partial(of_sklearn, "breast_cancer")),
    "wine": ("sklearn", partial(of_sklearn, "wine")),
    "diabetes": ("sklearn", diabetes_terciles),
    "phishing": ("river", partial(of_river, "Phishing")),
    "bananas": ("river", partial(of_river, "Bananas")),
    "segments": ("river", partial(of_river, "ImageSegments")),
    "fair": ("statsmodels", fair),
    "randhie": ("statsmodels", randhie),
    "anes96": ("statsmodels", anes96),
}
TABLES = [name for name, (package, _) in SOURCES.items() if find_spec(package)]


@cache
def table(name):
    """Return features, float64, and labels as codes from 0."""
    X, y = SOURCES[name][1]()
    return np.asarray(X, dtype=float), np.unique(np.asarray(y), return_inverse=True)[1]
