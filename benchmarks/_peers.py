"""What sklkl races against.

Every contender takes its arguments and returns a function without arguments. Imports and
conversions happen before the function is returned, so they are not timed.
"""

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np


def sklkl_kl(p, q):
    from sklkl.divergences import kl_divergence

    return lambda: kl_divergence(p, q)


def scipy_rel_entr(p, q):
    from scipy.special import rel_entr

    return lambda: rel_entr(p, q).sum(axis=1)


def numpy_log(p, q):
    return lambda: (p * np.log(p / q)).sum(axis=1)


def torch_kl_div(p, q):
    import torch
    from torch.nn.functional import kl_div

    p, q = torch.from_numpy(p), torch.from_numpy(q)
    return lambda: kl_div(q.log(), p, reduction="none").sum(1)


def torch_log_target(p, q):
    import torch
    from torch.nn.functional import kl_div

    p, q = torch.from_numpy(p), torch.from_numpy(q)
    return lambda: kl_div(q.log(), p.log(), reduction="none", log_target=True).sum(1)


def torchmetrics_kl(p, q):
    import torch
    from torchmetrics.functional import kl_divergence

    p, q = torch.from_numpy(p), torch.from_numpy(q)
    return lambda: kl_divergence(p, q, reduction="none")


@cache
def numba_loop():
    """Compile the loop once."""
    import numba

    @numba.njit(parallel=True, fastmath=True, error_model="numpy")
    def kl_rows(p, q):
        out = np.empty(p.shape[0], p.dtype)
        for i in numba.prange(p.shape[0]):
            total = 0.0
            for j in range(p.shape[1]):
                if p[i, j] > 0:
                    total += p[i, j] * np.log(p[i, j] / q[i, j])
            out[i] = total
        return out

    return kl_rows


def numba_kl(p, q):
    loop = numba_loop()
    return lambda: loop(p, q)


def numkong_rows(p, q):
    from numkong import kullbackleibler

    return lambda: [kullbackleibler(a, b) for a, b in zip(p, q, strict=True)]


def numkong_batch(p, q):
    from numkong import kullbackleibler

    return lambda: kullbackleibler(p, q)


def simsimd_batch(p, q):
    from simsimd import kl

    return lambda: kl(p, q)


def sklkl_logits(x, y):
    from sklkl.divergences import kl_divergence_from_logits

    return lambda: kl_divergence_from_logits(x, y)


def torch_logits(x, y):
    import torch
    from torch.nn.functional import kl_div, log_softmax

    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def run():
        log_q, log_p = log_softmax(y, -1), log_softmax(x, -1)
        return kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)

    return run


def sklkl_pairs(P):
    from sklkl.divergences import pairwise_divergences

    return lambda: pairwise_divergences(P, divergence="jensen_shannon_distance")


def scipy_pairs(P):
    from scipy.spatial.distance import cdist

    return lambda: cdist(P, P, "jensenshannon")


def fastjsd_pairs(P):
    from fastjsd import jsd_matrix

    return lambda: jsd_matrix(P, base=np.e)


# Each name with the package it needs.
KL = {
    "sklkl": ("sklkl", sklkl_kl),
    "SciPy rel_entr": ("scipy", scipy_rel_entr),
    "NumPy p·log(p/q)": ("numpy", numpy_log),
    "PyTorch kl_div": ("torch", torch_kl_div),
    "PyTorch log_target": ("torch", torch_log_target),
    "torchmetrics": ("torchmetrics", torchmetrics_kl),
    "Numba prange": ("numba", numba_kl),
    "NumKong by row": ("numkong", numkong_rows),
    "NumKong batch": ("numkong", numkong_batch),
    "SimSIMD batch": ("simsimd", simsimd_batch),
}
LOGITS = {"sklkl": ("sklkl", sklkl_logits), "PyTorch": ("torch", torch_logits)}
PAIRWISE = {
    "sklkl": ("sklkl", sklkl_pairs),
    "SciPy cdist": ("scipy", scipy_pairs),
    "fastjsd": ("fastjsd", fastjsd_pairs),
}


def installed(contenders):
    """Those contenders whose package is there, by name."""
    return {name: f for name, (package, f) in contenders.items() if find_spec(package)}


def versions():
    """One line per package of a peer: its version, or that it is skipped."""
    packages = {package for peers in (KL, PAIRWISE) for package, _ in peers.values()}
    peers = sorted(packages - {"sklkl", "scipy", "numpy"})
    return [
        f"{p} {version(p)}" if find_spec(p) else f"{p} skipped: not installed" for p in peers
    ]
