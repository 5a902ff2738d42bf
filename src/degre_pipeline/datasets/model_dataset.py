"""Catalog datasets for trained weights together with the configuration that rebuilds their model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import DatasetError

from degre_pipeline.datasets.one_file import OneFileDataset
from degre_pipeline.datasets.tensor_files import read_header, read_tensors, write_tensors

if TYPE_CHECKING:
    from degre_pipeline.reranker.models.stored_models import TrainedWeights

_CONFIG = "config"


class ModelDataset(OneFileDataset["TrainedWeights"]):
    """Loads and saves `TrainedWeights` as one safetensors file; its configuration is JSON in the header.

    A tuple in the configuration comes back as a list, as in any JSON.
    """

    def load(self) -> "TrainedWeights":
        """Return weights and configuration.

        Raises: DatasetError if the file is missing, damaged or was written without a configuration.
        """
        # Imported here so that reading the catalog does not load the science.
        from degre_pipeline.reranker.models.stored_models import TrainedWeights

        return TrainedWeights(weights=read_tensors(self._filepath), config=_stored_config(self._filepath))

    def save(self, data: "TrainedWeights") -> None:
        """Write weights and configuration in one step.

        Raises: DatasetError if the configuration is not JSON or a weight is not a tensor.
        """
        write_tensors(self._filepath, data.weights, {_CONFIG: json.dumps(data.config, allow_nan=False)})


class ModelsDataset(OneFileDataset["dict[str, TrainedWeights]"]):
    """Loads and saves several `TrainedWeights` by name as one safetensors file, all of them in one step."""

    def load(self) -> "dict[str, TrainedWeights]":
        """Return the models by name, in the order in which they were saved.

        Raises: DatasetError if the file is missing, damaged or was written without configurations.
        """
        from degre_pipeline.reranker.models.stored_models import TrainedWeights

        configs, weights = _stored_config(self._filepath), read_tensors(self._filepath)
        found: dict[str, TrainedWeights] = {}
        for name, config in configs.items():
            begin = f"{name}/"
            model_weights = {
                key.removeprefix(begin): weights[key] for key in weights if key.startswith(begin)
            }
            found[name] = TrainedWeights(model_weights, config)
        return found

    def save(self, data: "dict[str, TrainedWeights]") -> None:
        """Write all models in one step. Raises: DatasetError as `ModelDataset.save` does."""
        weights = {
            f"{name}/{key}": tensor for name, one in data.items() for key, tensor in one.weights.items()
        }
        configs = {name: model.config for name, model in data.items()}
        write_tensors(self._filepath, weights, {_CONFIG: json.dumps(configs, allow_nan=False)})


def _stored_config(file: Path) -> dict[str, Any]:
    header = read_header(file)
    try:
        config: dict[str, Any] = json.loads(header[_CONFIG])
    except (KeyError, json.JSONDecodeError) as error:
        raise DatasetError(
            f"{file} holds no model configuration: its header has {sorted(header)}, "
            f"wanted a JSON text under {_CONFIG!r}."
        ) from error
    return config
