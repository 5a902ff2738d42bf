"""Registers the trained generator as a servable model."""

from typing import Any

import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.sources.splits import first_and_last_day, last_day, learned_from


def register_model(
    generator: TrainedWeights,
    feature_space: FeatureSpace,
    encoded: Requests,
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    scored_candidates: pd.DataFrame,
    ranking_model: TrainedWeights,
    ranking_feature_space: FeatureSpace,
    metrics: list[dict[str, Any]],
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    external_share: float,
    split_seed: int,
    run_date: str,
    model_name: str,
    source: str,
    data: str,
) -> dict[str, Any]:
    """Registers the served model, once it is seen to rank as the generator, and makes it the challenger.

    Where the log has no ranking score, the model that scores candidates in its place goes with it.

    The same model of the same day is not registered twice: the version that is there becomes the challenger.
    The evaluators it came from are kept with its run, for a later day's models to start from.

    Returns: name, version, uri and run_id.
    Raises: ValueError: If the generator or the ranking model was trained with another feature space, or if
        the model or its program, loaded back, ranks otherwise than the generator; nothing is registered.
    """
    check_encoding(generator, feature_space.identity)
    if ranking_feature_space.fields:
        check_encoding(ranking_model, ranking_feature_space.identity)
    check_encoding(generator, encoded.encoding)
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.release import registration

    identity = registration.identity_of(generator, str(run_date))
    registered = registration.registered_before(model_name, identity)
    if registered is None:
        tables = {"requests": requests, "users": users, "items": items, "candidates": scored_candidates}
        first_learned, last_learned = first_and_last_day(requests, learned_from(lists))
        tags = {
            "run_date": str(run_date),
            "source": source,
            "data": data,
            "identity": identity,
            "log_last_day": last_day(requests),
            "training_first_day": first_learned,
            "training_last_day": last_learned,
            "external_share": str(external_share),
            "split_seed": str(split_seed),
            **registration.metric_tags(metrics),
        }
        ranking = (ranking_model, ranking_feature_space)
        registered = registration.log_and_register(
            generator,
            space=feature_space,
            ranking=ranking,
            encoded=encoded,
            lists=lists,
            tables=tables,
            name=model_name,
            tags=tags,
        )
        trained = {
            names.MINING_EVALUATOR: mining_evaluator,
            names.EXTERNAL_EVALUATOR: external_evaluator,
            names.GENERATOR: generator,
        }
        registration.keep_trained(registered["run_id"], feature_space, trained)
    registration.make_challenger(model_name, registered["version"], last_day(requests))
    return registered
