"""What classifiers that hold other classifiers have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from sklkl._core.docs import documented
from sklkl._core.typing import Samples


class MetaClassifierMixin(MetaEstimatorMixin):
    """Tags, metadata routing and features of a classifier that holds other classifiers.

    A class has the methods ``_inner_estimators()``, a dict of estimators by name, and, if it
    splits its data, ``_splitters()``, a dict of splitters by name.
    """

    def _splitters(self):
        return {}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = [
            get_tags(e).input_tags
            for e in self._inner_estimators().values()
            if hasattr(e, "__sklearn_tags__")  # what is no estimator is for fit to refuse
        ]
        tags.input_tags.sparse = all(t.sparse for t in inner)
        tags.input_tags.allow_nan = all(t.allow_nan for t in inner)
        return tags

    def get_metadata_routing(self) -> Any:
        """Get the routes of metadata: to the fits of the inner estimators and to splitters.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            The router.
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        for callee, objects in (
            ("fit", self._inner_estimators()),
            ("split", self._splitters()),
        ):
            mapping = MethodMapping().add(caller="fit", callee=callee)
            for name, thing in objects.items():
                router.add(method_mapping=mapping, **{name: thing})
        return router

    def _route_fit(self, sample_weight, fit_params):
        """Return the routed metadata of ``fit``, None if metadata routing is not enabled."""
        if not get_config()["enable_metadata_routing"]:
            return None
        if sample_weight is not None:
            fit_params = {**fit_params, "sample_weight": sample_weight}
        return process_routing(self, "fit", **fit_params)

    def _set_features(self, *models):
        """Take the number and names of features from the first model that knows them."""
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            known = [getattr(model, name) for model in models if hasattr(model, name)]
            if known:
                setattr(self, name, known[0])

    @documented
    def predict(self, X: Samples) -> NDArray[Any]:
        """Predict the most probable class.

        %(X_to_labels)s
        """
        check_is_fitted(self)
        codes = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[codes]


def refuse_metadata(method, params, receivers):
    """Refuse metadata that only metadata routing could hand on."""
    if params:
        raise TypeError(
            f"{method} got {sorted(params)}; to pass metadata to {receivers}, use "
            "sklearn.set_config(enable_metadata_routing=True)."
        )
