"""scikit-learn's callbacks, which it has from version 1.9 on."""

import pytest

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ProgressBar = ScoringMonitor = None

needs_callbacks = pytest.mark.skipif(
    ProgressBar is None, reason="scikit-learn has callbacks from version 1.9 on"
)
