"""Registers the trained generator as a servable model."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.configs import TrainedWeights
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import ENCODING, check_encoding, encoding_tensor
from degre_pipeline.serving.example_requests import example_requests
from degre_pipeline.serving.parity import check_parity
from degre_pipeline.sources.splits import TEST, first_and_last_day, last_day

COMPARED = 32
"""Requests on which the served model is compared with the trained generator."""


def register_model(
    generator: TrainedWeights,
    feature_space: dict[str, Any],
    request_tensors: dict[str, Tensor],
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    scored_candidates: pd.DataFrame,
    ranking_model: TrainedWeights,
    ranking_feature_space: dict[str, Any],
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
    check_encoding(generator, {ENCODING: encoding_tensor(feature_space)})
    if ranking_feature_space:
        check_encoding(ranking_model, {ENCODING: encoding_tensor(ranking_feature_space)})
    check_encoding(generator, request_tensors)
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.pipelines.registration import registry

    identity = registry.identity_of(generator, str(run_date))
    registered = registry.registered_before(model_name, identity)
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
            **registry.metric_tags(metrics),
        }
        space = FeatureSpace.from_dict(feature_space)
        ranking = (ranking_model, ranking_feature_space)
        registered = _registered(generator, space, ranking, request_tensors, lists, tables, model_name, tags)
        evaluators = {"mining_evaluator": mining_evaluator, "external_evaluator": external_evaluator}
        registry.keep_trained(registered["run_id"], feature_space, {**evaluators, "generator": generator})
    registry.make_challenger(model_name, registered["version"], last_day(requests))
    return registered


def _registered(
    generator: TrainedWeights,
    space: FeatureSpace,
    ranking: tuple[TrainedWeights, dict[str, Any]],
    request_tensors: dict[str, Tensor],
    lists: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    name: str,
    tags: dict[str, str],
) -> dict[str, Any]:
    """Logs the served model, checks it against the generator and registers it."""
    import mlflow

    from degre_pipeline.pipelines.registration import registry
    from degre_pipeline.serving.packaging import TrainedRanking, log_reranker
    from degre_pipeline.serving.signature import candidate_lists

    chosen = lists_to_compare(lists, COMPARED)
    examples = example_requests(chosen, tables, space)
    with registry.active_or_new_run() as run:
        described = {"run_date": tags["run_date"], **registry.provenance(run)}
        model, stored = ranking
        own_score = TrainedRanking(model, FeatureSpace.from_dict(stored)) if stored else None
        logged = log_reranker(generator, space, examples, name=name, metadata=described, ranking=own_score)
        ids = torch.tensor(chosen["request_id"].to_numpy())
        encoded = Requests.from_tensors(request_tensors).with_ids(ids)
        # Loaded back as any user of MLflow would.
        served = candidate_lists(mlflow.pyfunc.load_model(logged.model_uri), examples)
        check_parity(served, encoded, generator)
        registry.check_program(logged, examples, encoded, generator)
        return registry.register_once(logged, name=name, tags={**tags, **described})


def learned_from(lists: pd.DataFrame) -> pd.Series:
    """Returns the ids of the requests that training has seen: validation chose the epoch to stop at."""
    return lists.loc[lists["split"] != TEST, "request_id"]


def lists_to_compare(lists: pd.DataFrame, most: int) -> pd.DataFrame:
    """Returns lists of test requests, or of any if there are none.

    Raises: ValueError: If there are fewer than the two that an input example needs.
    """
    test = lists[lists["split"] == TEST]
    chosen = (test if len(test) > 1 else lists).head(most)
    if len(chosen) < 2:
        raise ValueError(f"there are {len(chosen)} lists; allowed: 2 or more, for the model's input example")
    return chosen
