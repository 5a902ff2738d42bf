"""The version that was trained on the whole log, after the gate: registered, and serving if harmless."""

from collections.abc import Mapping, Sequence
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.release import registration
from degre_pipeline.release.aliases import CHAMPION, PASSED, positions
from degre_pipeline.release.ledger import user
from degre_pipeline.release.promotion import promote
from degre_pipeline.release.trained_models import TrainedModels
from degre_pipeline.release.turns import in_turn
from degre_pipeline.release.versions import REFIT_OF, REFIT_OF_ORIGIN, origin_of, outcome_of
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.sources.feature_tables import FeatureTables

OWN_TAGS = ("identity", "asked_in")
"""Tags of a version that its refit does not share."""


def gated_version(registered: Mapping[str, Any]) -> ModelVersion:
    """Returns the registered version. Raises: ValueError: If the gate did not let it through."""
    version = mlflow.MlflowClient().get_model_version(registered["name"], str(registered["version"]))
    outcome = outcome_of(version)
    if outcome != PASSED:
        raise ValueError(
            f"the gate's outcome for version {version.version} of {version.name} is {outcome!r}; allowed: "
            f"{PASSED!r}. What learned from the whole log can no longer be judged, so its twin has to pass"
        )
    return version


def check_harmless(findings: Sequence[Mapping[str, Any]], gated: ModelVersion) -> None:
    """Raises ValueError if a judge finds the refitted model worse than the version that passed the gate."""
    worse = [found for found in findings if found["verdict"] != "pass"]
    if worse:
        raise ValueError(
            f"trained on the whole log, the model is not as good as version {gated.version}, which stays: "
            + "; ".join(f"{found['about']}: {found['reason']}" for found in worse)
        )


def register(
    gated: ModelVersion,
    models: TrainedModels,
    *,
    encoded: Requests,
    lists: pd.DataFrame,
    tables: FeatureTables,
) -> dict[str, Any]:
    """Registers the refitted model with the gated version's outcome; promotes it where that one serves.

    Its evaluators are those of the gated version: a later day may start from them.

    Returns: name, version, uri, run_id, and the moves of aliases that were made.
    """
    client, name = mlflow.MlflowClient(), gated.name
    identity = registration.identity_of(models.generator, gated.tags["run_date"])
    registered = registration.registered_before(name, identity)
    if registered is None:
        last_day = gated.tags["log_last_day"]
        tags = {
            **{key: value for key, value in gated.tags.items() if key not in OWN_TAGS},
            "identity": identity,
            "training_last_day": last_day,
            REFIT_OF: str(gated.version),
            REFIT_OF_ORIGIN: origin_of(gated),
        }
        registered = registration.log_and_register(
            models, encoded=encoded, lists=lists, tables=tables, name=name, tags=tags
        )
        registration.keep_trained(registered["run_id"], models)
    registration.make_challenger(name, registered["version"], gated.tags["log_last_day"])
    moved = []
    with in_turn(client):
        if positions(client, name).get(CHAMPION) == int(gated.version):
            why = f"version {gated.version}, which passed the gate, trained once more on the whole log"
            who = f"refit, run by {user()}"
            moved = promote(client, name, registered["version"], by="gate", who=who, why=why)
    return {**registered, "moves": [vars(entry.move) for entry in moved]}
