"""Registers the trained generator as a servable model."""

from typing import Any

import pandas as pd

from degre_pipeline.lists.list_config import ListConfig
from degre_pipeline.release.trained_models import TrainedModels
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.splits import first_and_last_day, last_day, learned_from


def collect_models(
    generator: TrainedWeights,
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    feature_space: FeatureSpace,
    ranking_model: TrainedWeights,
    ranking_feature_space: FeatureSpace,
) -> TrainedModels:
    """Returns all that was trained, once it is seen to belong together.

    Raises: ValueError: If the generator or the ranking model was trained with another feature space.
    """
    return TrainedModels(
        generator=generator,
        mining_evaluator=mining_evaluator,
        external_evaluator=external_evaluator,
        feature_space=feature_space,
        ranking_model=ranking_model,
        ranking_feature_space=ranking_feature_space,
    )


def describe_version(
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    metrics: list[dict[str, Any]],
    config: ListConfig,
    run_date: str,
    source: str,
    data: str,
) -> dict[str, str]:
    """Returns what a version's tags say of its day, its data, its training and its figures."""
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.release.registration import metric_tags

    first_learned, last_learned = first_and_last_day(requests, learned_from(lists))
    return {
        "run_date": str(run_date),
        "source": source,
        "data": data,
        "log_last_day": last_day(requests),
        "training_first_day": first_learned,
        "training_last_day": last_learned,
        "external_share": str(config.external_share),
        "split_seed": str(config.seed),
        **metric_tags(metrics),
    }


def register_model(
    trained_models: TrainedModels,
    version_tags: dict[str, str],
    encoded: Requests,
    lists: pd.DataFrame,
    feature_tables: FeatureTables,
    model_name: str,
) -> dict[str, Any]:
    """Registers the served model, once it is seen to rank as the generator, and makes it the challenger.

    Where the log has no ranking score, the model that scores candidates in its place goes with it.

    The same model of the same day is not registered twice: the version that is there becomes the challenger.
    The evaluators it came from are kept with its run, for a later day's models to start from.

    Returns: name, version, uri and run_id.
    Raises: ValueError: If the generator learned from requests that were encoded otherwise, or if the model or
        its program, loaded back, ranks otherwise than the generator; nothing is registered.
    """
    check_encoding(trained_models.generator, encoded.encoding)
    from degre_pipeline.release import registration

    identity = registration.identity_of(trained_models.generator, version_tags["run_date"])
    registered = registration.registered_before(model_name, identity)
    if registered is None:
        tags = {**version_tags, "identity": identity}
        registered = registration.log_and_register(
            trained_models, encoded=encoded, lists=lists, tables=feature_tables, name=model_name, tags=tags
        )
        registration.keep_trained(registered["run_id"], trained_models)
    registration.make_challenger(model_name, registered["version"], version_tags["log_last_day"])
    return registered
