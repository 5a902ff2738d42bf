"""Splits requests, fills in a ranking score where there is none, builds lists and encodes them."""

import logging
from typing import Any

import pandas as pd

from degre_pipeline.judging.log_support import figures_of, log_support_rows, statements
from degre_pipeline.lists.joined_lists import join_lists, with_scores
from degre_pipeline.lists.list_config import ListConfig
from degre_pipeline.lists.list_encoding import encode_lists, fit_on_training
from degre_pipeline.lists.ranking_scores import score_quality, score_tables
from degre_pipeline.reranker.features import NO_FEATURES, FeatureSpace
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.ranking_stage import RankingStageConfig
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import parse_fields
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.split_report import describe_splits, nearly_empty_days
from degre_pipeline.sources.splits import HeldOut, assign_splits

logger = logging.getLogger(__name__)


def find_start(
    start_from_champion: bool,
    run_date: str,
    model_name: str,
    fields: list[dict[str, Any]],
    lists: ListConfig,
) -> tuple[FeatureSpace, TrainedWeights, TrainedWeights, TrainedWeights]:
    """Returns feature space, evaluators and generator of the champion before the day; all empty for none."""
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.release.warm_start import MODELS, StartingPoint, start_of_day

    start = StartingPoint()
    if start_from_champion:
        start = start_of_day(
            model_name,
            str(run_date),
            fields=parse_fields(fields),
            external_share=lists.external_share,
            split_seed=lists.seed,
        )
    mining, external, generator = (start.models[name] for name in MODELS)
    return start.feature_space, mining, external, generator


def split_requests(requests: pd.DataFrame, config: ListConfig) -> pd.DataFrame:
    """Returns the split and the role of every request, and tells what makes each split.

    Raises: ValueError: If a split is empty for one of the roles that need it.
    """
    held_out = HeldOut(config.validation_days, config.test_days, config.validation_share, config.test_share)
    splits = assign_splits(requests, config.split, config.external_share, config.seed, held_out)
    for line in describe_splits(requests, splits):
        logger.info(line)
    for line in nearly_empty_days(requests, splits) if config.split == "by_day" else ():
        logger.warning(line)
    return splits


def join_tables(
    requests: pd.DataFrame,
    candidates: pd.DataFrame,
    exposures: pd.DataFrame,
    request_splits: pd.DataFrame,
) -> pd.DataFrame:
    """Returns one row for each request: its candidates as they came, what was shown and what was clicked."""
    return join_lists(requests, candidates, exposures, request_splits)


def score_candidates(
    joined_lists: pd.DataFrame,
    requests: pd.DataFrame,
    candidates: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    fields: list[dict[str, Any]],
    config: ListConfig,
    ranking_stage: RankingStageConfig,
) -> tuple[FeatureTables, TrainedWeights, FeatureSpace]:
    """Returns the tables of features with a score for every candidate, and what scores requests to come.

    Where the log has a score, that is kept, and the model and its feature space are empty.
    """
    tables = FeatureTables(requests, candidates, users, items)
    # The fields are read whatever the log holds, so that a wrong declaration stops here.
    return score_tables(joined_lists, tables, parse_fields(fields), config, ranking_stage)


def measure_scores(
    feature_tables: FeatureTables, exposures: pd.DataFrame, request_splits: pd.DataFrame
) -> pd.DataFrame:
    """Returns how well the ranking score orders clicks, by split, and tells where it hardly does."""
    quality = score_quality(feature_tables.candidates, exposures, request_splits)
    for row in quality[quality["warning"] != ""].itertuples():
        logger.warning("%s requests: %s", row.split, row.warning)
    return quality


def build_lists(joined_lists: pd.DataFrame, feature_tables: FeatureTables) -> pd.DataFrame:
    """Returns one row for each request: its scored candidates, what was shown and what was clicked."""
    return with_scores(joined_lists, feature_tables.candidates)


def fit_features(
    lists: pd.DataFrame,
    feature_tables: FeatureTables,
    fields: list[dict[str, Any]],
    start_feature_space: FeatureSpace = NO_FEATURES,
) -> FeatureSpace:
    """Returns the vocabularies and bucket edges, fitted on training requests.

    Where the day starts from an earlier feature space, its values keep their indices.
    """
    earlier = start_feature_space if start_feature_space.fields else None
    return fit_on_training(parse_fields(fields), lists, feature_tables, earlier)


def encode_requests(
    lists: pd.DataFrame, feature_tables: FeatureTables, feature_space: FeatureSpace, config: ListConfig
) -> Requests:
    """Returns all lists as tensors."""
    return encode_lists(lists, feature_tables, feature_space, config.list_length)


def measure_log_support(
    encoded: Requests,
    lists: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
) -> list[dict[str, Any]]:
    """Returns what the log can say of other orders than the one it showed, as rows of the metrics file."""
    rows = log_support_rows(encoded, lists, {"users": users, "items": items})
    for sentence in statements(figures_of(rows)):
        logger.info("%s", sentence)
    return rows
