"""Catalog datasets for one file of text, replaced in one step and checked when read."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Generic

from kedro.io import DatasetError

from degre_pipeline.datasets.one_file import Content, OneFileDataset
from degre_pipeline.datasets.seals import check_seal, sealed_path
from degre_pipeline.reranker.features import NO_FEATURES, FeatureSpace


class _TextFile(OneFileDataset[Content], Generic[Content]):
    """Loads and saves one file of text."""

    _parse: Callable[[str], Any]
    _format: Callable[[Any], str]

    def load(self) -> Content:
        """Return what the file holds. Raises: DatasetError if it is missing, or is not what was written."""
        check_seal(self._filepath)
        try:
            content: Content = self._parse(self._filepath.read_text("utf-8"))
        except ValueError as error:
            raise DatasetError(
                f"{self._filepath} is damaged: {error}. Delete it and run its pipeline again."
            ) from None
        return content

    def save(self, data: Content) -> None:
        """Replace the file in one step; that of an earlier save stays as it was if that fails."""
        text = self._format(data)
        with sealed_path(self._filepath) as path:
            path.write_text(text, encoding="utf-8", newline="")


class JSONDataset(_TextFile[Any]):
    """A file of JSON."""

    _parse, _format = staticmethod(json.loads), staticmethod(partial(json.dumps, indent=2))


class FeatureSpaceDataset(_TextFile[FeatureSpace]):
    """A feature space as JSON; `{}` where there is none."""

    @staticmethod
    def _parse(text: str) -> FeatureSpace:
        stored = json.loads(text)
        return FeatureSpace.from_dict(stored) if stored else NO_FEATURES

    @staticmethod
    def _format(data: FeatureSpace) -> str:
        return json.dumps(data.to_dict() if data.fields else {}, indent=2)


class TextDataset(_TextFile[str]):
    """A file of text, such as a page."""

    _parse, _format = str, str
