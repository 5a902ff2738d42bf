"""The script that MLflow runs to load the registered model; it travels with the model and what it imports.

Imports of this project stand inside `load_context`: only then is the model's own code on the path.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class BadRequestError(MlflowException, ValueError):
    """A request that breaks the schema: a ValueError to Python, status 400 and its message to HTTP."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error_code=INVALID_PARAMETER_VALUE)


class ServedReranker(PythonModel):
    """Requests as rows of a DataFrame to lists as rows of a DataFrame."""

    def load_context(self, context: PythonModelContext) -> None:
        """Rebuilds the reranker from the artifacts: weights, their configuration, the feature space."""
        from safetensors.torch import load_file

        from degre_pipeline.reranker.features import FeatureSpace
        from degre_pipeline.reranker.models.stored_models import TrainedWeights
        from degre_pipeline.serving.model.ranking_model import load_ranking_model
        from degre_pipeline.serving.model.request_schema import Request
        from degre_pipeline.serving.model.reranking_model import build_reranker

        stored = {name: Path(path) for name, path in context.artifacts.items()}
        config = json.loads(stored["config"].read_text("utf-8"))
        space = FeatureSpace.from_dict(json.loads(stored["feature_space"].read_text("utf-8")))
        ranking = None
        if "ranking_program" in stored:
            ranking = load_ranking_model(stored["ranking_program"], stored["ranking_feature_space"])
        self._reranker = build_reranker(TrainedWeights(load_file(stored["weights"]), config), space, ranking)
        self._request = Request

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Returns the list of every request.

        Args:
            context: Not used.
            model_input: Columns `user`, `context`, `candidates` and, if wanted, `request_id`.
            params: Not used.
        Returns: Columns request_id (the row's number when none was given), item_ids, candidate_indices and
            probabilities, in the order of the rows.
        Raises: BadRequestError: Naming request, candidate, field, value and what is allowed.
        """
        rows = model_input.to_dict("records")
        try:
            ranked = self._reranker.rerank([self._request(**_parts(row)) for row in rows])
        except ValueError as error:
            raise BadRequestError(str(error)) from error
        # The fields of `RankedList` again, as lists: the signature promises these columns of these types to
        # every client of the registered model, whatever the class becomes.
        return pd.DataFrame(
            {
                "request_id": [row.get("request_id", position) for position, row in enumerate(rows)],
                "item_ids": [list(one.item_ids) for one in ranked],
                "candidate_indices": [list(one.candidate_indices) for one in ranked],
                "probabilities": [list(one.probabilities) for one in ranked],
            }
        )


def _parts(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns the parts of a request; a user or context that the schema lets be absent is empty."""
    return {"user": {}, "context": {}, **{str(name): value for name, value in row.items()}}


set_model(ServedReranker())
