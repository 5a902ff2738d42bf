"""Splits requests, fills in a ranking score where there is none, builds lists and encodes them."""

import logging
from dataclasses import dataclass
from typing import Any

import pandas as pd

from degre_pipeline.judging.log_support import figures_of, log_support_rows, statements
from degre_pipeline.lists.joined_lists import join_lists
from degre_pipeline.lists.list_encoding import encode_lists, fit_on_training
from degre_pipeline.lists.ranking_scores import RankedCandidates, rank_candidates, score_quality
from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.features import NO_FEATURES, FeatureSpace
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.ranking_stage import RankingStageConfig
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import parse_fields
from degre_pipeline.sources.split_report import describe_splits, nearly_empty_days
from degre_pipeline.sources.splits import STRATEGIES, HeldOut, assign_splits

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListConfig:
    """How lists are cut and divided.

    Attributes:
        list_length: Slots of a list, L.
        split: `by_day`: the last days test, those before validate; `by_time`: likewise by shares of the
            requests, for a log of a day or two; `leave_one_out`: each user's last request tests, the one
            before validates.
        external_share: Share of requests that only the external evaluator may learn from, between 0 and 1.
        seed: Of the division.
        validation_days: Days before the test's that validate, of `by_day`.
        test_days: Last days, of `by_day`.
        validation_share: Share of requests before the test's in time that validate, of `by_time`.
        test_share: Share of requests that are last in time, of `by_time`.
    """

    list_length: int = 6
    split: str = "by_day"
    external_share: float = 0.5
    seed: int = 0
    validation_days: int = 1
    test_days: int = 1
    validation_share: float = 0.1
    test_share: float = 0.1

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("validation_days", "test_days"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("validation_share", "test_share"):
            require(0 < getattr(self, name) < 1, name, getattr(self, name), "above 0, below 1")
        held_out = self.validation_share + self.test_share
        require(held_out < 1, "validation_share and test_share", held_out, "below 1 together")
        require(self.list_length >= 1, "list_length", self.list_length, "1 or more")
        require(0 < self.external_share < 1, "external_share", self.external_share, "above 0, below 1")
        require(self.split in STRATEGIES, "split", self.split, ", ".join(STRATEGIES))


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


def score_candidates(
    requests: pd.DataFrame,
    candidates: pd.DataFrame,
    exposures: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    request_splits: pd.DataFrame,
    fields: list[dict[str, Any]],
    lists: ListConfig,
    ranking_stage: RankingStageConfig,
) -> tuple[pd.DataFrame, pd.DataFrame, TrainedWeights, FeatureSpace]:
    """Returns the candidates with a score and rank, the score's AUC by split, and a model with its features.

    A logged score is kept. Where none is logged, point-wise models score every candidate out of fold, and one
    that learned from all training requests is returned for requests to come; it is empty otherwise.
    """
    declared = parse_fields(fields)  # whatever the log holds, so that a wrong declaration stops here
    ranked = RankedCandidates.logged(candidates)
    if candidates["ranking_score"].isna().all():
        tables = {"requests": requests, "users": users, "items": items, "candidates": candidates}
        joined = join_lists(requests, candidates, exposures, request_splits)
        ranked = rank_candidates(joined, tables, declared, lists.list_length, ranking_stage)
    quality = score_quality(ranked.candidates, exposures, request_splits)
    for row in quality[quality["warning"] != ""].itertuples():
        logger.warning("%s requests: %s", row.split, row.warning)
    return ranked.candidates, quality, ranked.model, ranked.feature_space


def build_lists(
    requests: pd.DataFrame,
    scored_candidates: pd.DataFrame,
    exposures: pd.DataFrame,
    request_splits: pd.DataFrame,
) -> pd.DataFrame:
    """Returns one row for each request: its candidates, what was shown and what was clicked."""
    return join_lists(requests, scored_candidates, exposures, request_splits)


def fit_features(
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    scored_candidates: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    fields: list[dict[str, Any]],
    start_feature_space: FeatureSpace = NO_FEATURES,
) -> FeatureSpace:
    """Returns the vocabularies and bucket edges, fitted on training requests.

    Where the day starts from an earlier feature space, its values keep their indices.
    """
    tables = {"requests": requests, "users": users, "items": items, "candidates": scored_candidates}
    earlier = start_feature_space if start_feature_space.fields else None
    return fit_on_training(parse_fields(fields), lists, tables, earlier)


def encode_requests(
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    scored_candidates: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    feature_space: FeatureSpace,
    config: ListConfig,
) -> Requests:
    """Returns all lists as tensors."""
    tables = {"requests": requests, "users": users, "items": items, "candidates": scored_candidates}
    return encode_lists(lists, tables, feature_space, config.list_length)


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
