"""A classifier and a forecaster, made once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inference.serving.lineup import Loaded
from tests.inference.serving.graphs import classifier, forecaster, opened


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Loaded, Loaded]]:
    folder = tmp_path_factory.mktemp("models")
    bundles = classifier(folder / "c"), forecaster(folder / "f")
    return lambda: (opened(bundles[0]), opened(bundles[1]))
