"""Arrays of other libraries, as PyTorch and CuPy, that stay on their device.

They are taken as they are with ``sklearn.set_config(array_api_dispatch=True)``; otherwise
``arrays.py`` reads them as arrays of NumPy, or refuses them. ``to_host`` is the only way of
data to NumPy: what it gets is small, as coefficients, labels and weights, or a row for a
message.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklkl._core.arrays import as_floating, dispatches, refuse_tensor

# Numbers in an array of some rows, of which there are about ten at a time. A fit of 200,000
# rows of 50 features on a CPU takes 1.24 s with 2^18, 1.50 s with 2^22, 1.93 s with 2^24; GPUs
# want many.
SLICE = 1 << 22
PLAIN = (np.ndarray, list, tuple, str)


@dataclass(frozen=True)
class Place:
    """Where arrays are: a namespace of the array API standard, and a device."""

    xp: Any
    device: Any

    @property
    def floats(self):
        """The dtypes of numbers that are computed with, the widest first."""
        known = self.xp.__array_namespace_info__().dtypes(
            kind="real floating", device=self.device
        )
        return [known[name] for name in ("float64", "float32") if name in known]

    @property
    def wide(self):
        """Float64, or float32 on a device that has no wider one."""
        return self.floats[0]

    def put(self, x, dtype=None):
        """Return an array here."""
        if isinstance(x, np.ndarray):  # other libraries lack strides, and what is read-only
            x = np.require(x, requirements=["C", "W"])
            return self.xp.asarray(x, dtype=dtype, device=self.device)
        from sklkl._core.sklearn import move_to

        x = move_to(x, xp=self.xp, device=self.device)
        return x if dtype is None else self.xp.astype(x, dtype, copy=False)

    def floating(self, x, name):
        """Return an array, or an array-like, here, float32 or float64."""
        if place_of(x, name) is None:
            x = as_floating(x, name)
            return self.put(x, self.xp.float32 if x.dtype == np.float32 else self.wide)
        x = self.put(x)
        if x.dtype in self.floats:
            return x
        kinds = ("integral", "bool", "real floating")
        if not self.xp.isdtype(x.dtype, kinds):
            raise TypeError(f"{name} must hold real numbers; its dtype is {x.dtype}.")
        # float16 and other narrow ones, as NumPy reads them
        narrow = self.xp.isdtype(x.dtype, "real floating")
        return self.xp.astype(x, self.xp.float32 if narrow else self.wide)


def place_of(x, name):
    """Return the ``Place`` of an array of another library, None for anything else."""
    if isinstance(x, PLAIN) or not dispatches():
        return None
    from sklkl._core.sklearn import get_namespace_and_device

    try:
        xp, known, device = get_namespace_and_device(x)
    except TypeError:  # no array
        return None
    if not known or xp.__name__.split(".")[-1] == "numpy":
        return None
    refuse_tensor(x, name)
    if xp.isdtype(x.dtype, "complex floating"):
        raise ValueError(f"Complex data not supported: {name} must hold real numbers.")
    return Place(xp, device)


def refuse_elsewhere(X, who):
    """Refuse samples in an array of another library; ``who`` is the class that needs them."""
    if place_of(X, "X") is not None:
        raise TypeError(f"This {who} needs X on the host; pass an array of NumPy.")


def namespace(x):
    """Return the namespace of an array: NumPy, or of another library."""
    place = place_of(x, "array")
    return np if place is None else place.xp


def floating(x, name):
    """Return ``x`` as an array of float32 or float64, where it is."""
    place = place_of(x, name)
    return as_floating(x, name) if place is None else place.floating(x, name)


def cast(x, dtype):
    """Return an array as one of another dtype, where it is."""
    if isinstance(x, np.ndarray):
        return x.astype(dtype, copy=False)
    return namespace(x).astype(x, dtype, copy=False)


def widest(x):
    """Return an array in float64, or in float32 on a device that has no wider one."""
    place = place_of(x, "array")
    return cast(x, np.float64 if place is None else place.wide)


def labels_beside(array, labels):
    """Return labels, an array of NumPy, where another is; what is no number stays here."""
    place, kind = place_of(array, "array"), labels.dtype.kind
    if place is None or kind not in "iufb":
        return labels
    # Libraries lack some dtypes of NumPy, or operations on them, as PyTorch those on uint16.
    if kind in "iu" and np.can_cast(labels.dtype, np.int64):
        labels = labels.astype(np.int64)
    return (
        place.put(labels.astype(np.float64), place.wide) if kind == "f" else place.put(labels)
    )


def rows_at(x, which):
    """Return the rows of an array that a boolean array of NumPy marks."""
    place = place_of(x, "array")
    if place is None:
        return x[which]
    return place.xp.take(x, place.put(np.flatnonzero(which)), axis=0)


def beside(array, *others):
    """Return the other arrays where the first one is, as a tuple if there are several."""
    place = place_of(array, "array")
    moved = tuple(to_host(x) if place is None else place.put(x) for x in others)
    return moved if len(moved) > 1 else moved[0]


def slice_length(width):
    """Return how many rows to take at a time, if each makes up so many numbers."""
    return max(1, SLICE // max(1, width))


def slices(n_rows, width):
    """Yield the slices of rows to take one after the other, an empty one if there are none."""
    step = slice_length(width)
    for start in range(0, max(1, n_rows), step):
        yield slice(start, min(n_rows, start + step))


def common_place(**arrays):
    """Return the ``Place`` of those arguments that are elsewhere, or None; refuse two."""
    places = {name: place for name, x in arrays.items() if (place := place_of(x, name))}
    first = next(iter(places), None)
    for name, place in places.items():
        if place != places[first]:
            raise ValueError(
                f"{first} is on the device {places[first].device} of "
                f"{places[first].xp.__name__}, and {name} on {place.device} of "
                f"{place.xp.__name__}; move one to the other."
            )
    return places.get(first)


def to_host(x):
    """Return an array of NumPy, wherever ``x`` is."""
    if isinstance(x, np.ndarray):
        return x
    from sklkl._core.sklearn import move_to

    return np.asarray(move_to(x, xp=np, device="cpu"))


def on_host(x, name):
    """Return ``x``; if it is elsewhere, its values as an array of NumPy."""
    return x if place_of(x, name) is None else to_host(x)
