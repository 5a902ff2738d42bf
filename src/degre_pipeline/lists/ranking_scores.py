"""The ranking score: from a point-wise model where the log has none, and how well it orders clicks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from degre_pipeline.lists.list_config import ListConfig
from degre_pipeline.lists.list_encoding import encode_lists, fit_on_training
from degre_pipeline.reranker.features import NO_FEATURES, FeatureSpace
from degre_pipeline.reranker.metrics import area_under_roc
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights
from degre_pipeline.reranker.ranking_stage import RankingStageConfig, scores_of_the_past
from degre_pipeline.reranker.schema import TRAIN, Field
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.splits import places_in_time

SCORES = ("ranking_score", "ranking_rank")
"""Columns that the ranking stage itself fills."""
WEAK_AUC = 0.55
"""A score below this orders clicks hardly better than chance, or worse."""


def score_tables(
    joined: pd.DataFrame,
    tables: FeatureTables,
    fields: Sequence[Field],
    lists: ListConfig,
    config: RankingStageConfig,
) -> tuple[FeatureTables, TrainedWeights, FeatureSpace]:
    """Returns the tables with a score and rank for every candidate, and a model with what it reads.

    A logged score is kept, and the model is empty. Without one, point-wise models score the candidates of
    requests later than those they learned from, and the last of them scores requests to come.

    Args:
        joined: One row for each request, as `join_lists` returns it.
        tables: Of the log.
        fields: The declared fields; the models read all but the score itself.
        lists: Slots of a list, and how requests were divided.
        config: The models and their training.
    Raises: ValueError: If there is no score and no field but the score describes the candidates.
    """
    if not tables.candidates["ranking_score"].isna().all():
        return tables, FROM_NOTHING, NO_FEATURES
    space = fit_on_training(_fields_without_score(fields), joined, tables)
    encoded = encode_lists(joined, tables, space, lists.list_length)
    folds = torch.from_numpy(_folds_in_time(joined, tables.requests, lists.split, config.folds))
    scores, model = scores_of_the_past(encoded, folds, space.sizes(), config, space.identity)
    ordered = tables.candidates.sort_values(["request_id", "candidate_index"])
    scored = ordered.assign(ranking_score=scores[encoded.mask].double().numpy())
    rank = scored.groupby("request_id")["ranking_score"].rank(method="first", ascending=False)
    ranked = scored.assign(ranking_rank=rank.astype("Int64"))
    return replace(tables, candidates=ranked), model, space


def _folds_in_time(
    joined: pd.DataFrame, requests: pd.DataFrame, strategy: str, folds: int
) -> NDArray[np.int64]:
    """Returns the fold of each list, [b]: training requests in as many equal parts, earlier ones first."""
    trains = (joined["split"] == TRAIN).to_numpy()
    known = requests.set_index("request_id").loc[joined.loc[trains, "request_id"]].reset_index()
    fold = np.zeros(len(joined), dtype=np.int64)
    fold[trains] = places_in_time(known, strategy) * folds // max(1, len(known))
    return fold


def _fields_without_score(fields: Sequence[Field]) -> list[Field]:
    kept = [field for field in fields if field.group != "score" or field.name not in SCORES]
    if not any(field.per_candidate for field in kept):
        raise ValueError(
            f"the log has no ranking score, and fields {[field.name for field in kept]} describe no "
            "candidate; allowed: a logged ranking_score, or one more field of group item or score"
        )
    return kept


def score_quality(candidates: pd.DataFrame, exposures: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Returns, by split, the AUC of the score for clicks on exposed items and for having been exposed.

    Returns: split, click_auc, exposure_auc, exposed_items, and a warning where the score hardly orders
        clicks, empty otherwise.
    """
    keys = ["request_id", "candidate_index"]
    clicks = exposures[[*keys, "click"]].astype({"candidate_index": np.int64})
    joined = candidates.merge(clicks, on=keys, how="left").merge(splits, on="request_id")
    rows = []
    for split, part in joined.groupby("split"):
        shown = part[part["click"].notna()]
        click_auc = area_under_roc(shown["click"].to_numpy(float), shown["ranking_score"].to_numpy())
        was_shown = part["click"].notna().astype(float).to_numpy()
        rows.append(
            {
                "split": split,
                "click_auc": click_auc,
                "exposure_auc": area_under_roc(was_shown, part["ranking_score"].to_numpy()),
                "exposed_items": len(shown),
                "warning": _warning(click_auc),
            }
        )
    return pd.DataFrame(rows)


def _warning(click_auc: float) -> str:
    if not click_auc < WEAK_AUC:
        return ""
    return (
        f"the ranking score orders clicks with an AUC of {click_auc:.3f}, where chance gives 0.5: "
        "a gain over the ranking order is a gain over a nearly random one"
    )
