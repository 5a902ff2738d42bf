"""How good evaluators are on exposed lists: ranking, calibration and loss, beside the true model's."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.losses import cumulative_regression_loss
from degre_pipeline.reranker.metrics import bootstrap, calibration, group_auc, pcoc, regression_auc, rmse
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.schema import RANKING_SCORE
from degre_pipeline.simulation.click_counts import cumulative_click_probabilities
from degre_pipeline.simulation.click_world import ClickTruth, FloatArray

Probabilities = FloatArray


@torch.no_grad()
def predicted_levels(evaluator: Evaluator, requests: Requests, batch_size: int) -> Probabilities:
    """Returns P(V >= k) after every slot of the exposed lists, [b, t, k]."""
    device = next(evaluator.parameters()).device
    parts = []
    for batch in requests.to(device).batches(batch_size):
        items = gather_candidates(batch.candidates, batch.exposed)
        parts.append(evaluator.levels(batch.static, items).double().cpu().numpy())
    return np.concatenate(parts)


def true_levels(truth: ClickTruth, requests: Requests) -> Probabilities:
    """Returns the true P(V >= k) after every slot of the exposed lists, [b, t, k]."""
    sequences = requests.shown.numpy()[:, None]
    behaviour = truth.select(requests.request_id.tolist()).behaviour(sequences)
    levels: Probabilities = cumulative_click_probabilities(behaviour)[:, 0]
    return levels


def quality_rows(model: str, levels: Probabilities, requests: Requests) -> list[names.Row]:
    """Returns R-AUC, PCOC, RMSE and loss of a model's predictions on the observed clicks."""
    value, clicks = _list_values(levels, requests), requests.clicks.sum(1).double().numpy()
    logits = torch.from_numpy(levels.clip(1e-9, 1 - 1e-9)).logit()
    loss = cumulative_regression_loss(logits, requests.clicks.cumsum(1).double(), requests.exposed_mask)
    figures = {
        names.R_AUC: regression_auc(clicks, value),
        names.PCOC: pcoc(clicks, value),
        names.RMSE: rmse(clicks, value),
        names.LOSS: float(loss),
    }
    return [names.figure_row(model, names.CLICKS, name, value=figure) for name, figure in figures.items()]


def gauc_rows(
    levels_of_model: Mapping[str, Probabilities],
    references: Mapping[str, FloatArray],
    requests: Requests,
    config: EvaluationConfig,
) -> list[names.Row]:
    """Returns how well models, and point-wise references, order the items of one exposed list by clicks.

    A search by a model finds nothing that the model does not order better than a point-wise reference. Rows
    `gauc` and, of models, paired, `gauc_over_ranking_score` and `gauc_over_references`, over the best of
    them; none where no list has a click beside an item without one.

    Args:
        levels_of_model: P(V >= k) after every slot of the exposed lists, [b, t, k], by model.
        references: Scores of the exposed items, [b, t], by name, the ranking score's among them.
        requests: b requests.
        config: Of the bootstrap.
    """
    shown, clicks = requests.exposed_mask.numpy(), requests.clicks.double().numpy()
    found = {name: group_auc(clicks, scores, shown) for name, scores in references.items()}
    if np.isnan(found[RANKING_SCORE]).all():
        return []
    rows = [(name, names.GAUC, auc) for name, auc in found.items()]
    best = max(found.values(), key=lambda auc: float(np.nanmean(auc)))
    for model, levels in levels_of_model.items():
        of_slot = np.diff(_prefix_values(levels), axis=1, prepend=0.0)
        model_auc = group_auc(clicks, of_slot, shown)
        rows += [
            (model, names.GAUC, model_auc),
            (model, names.GAUC_OVER_RANKING_SCORE, model_auc - found[RANKING_SCORE]),
            (model, names.GAUC_OVER_REFERENCES, model_auc - best),
        ]
    return [
        names.figure_row(
            subject,
            names.CLICKS,
            metric,
            **vars(bootstrap(values, samples=config.bootstrap_samples, seed=config.seed)),
        )
        for subject, metric, values in rows
    ]


def calibration_table(levels_of_model: Mapping[str, Probabilities], requests: Requests) -> pd.DataFrame:
    """Returns predicted and observed means by value bin, by slot and by level, for every model."""
    rows: list[dict[str, object]] = []
    for model, levels in levels_of_model.items():
        rows += [{"model": model, **row} for row in _calibration_rows(levels, requests)]
    return pd.DataFrame(rows)


def _calibration_rows(levels: Probabilities, requests: Requests) -> list[dict[str, object]]:
    cumulative = requests.clicks.cumsum(1).double().numpy()
    real = requests.exposed_mask.numpy()
    predicted = _prefix_values(levels)
    rows = [
        {"by": "value", "at": position, "predicted": b.predicted, "observed": b.actual, "lists": b.count}
        for position, b in enumerate(calibration(cumulative[:, -1], _list_values(levels, requests)), start=1)
    ]
    for slot in range(levels.shape[1]):
        kept = real[:, slot]
        rows.append(_calibrated("slot", slot + 1, predicted[kept, slot], cumulative[kept, slot]))
    for level in range(1, levels.shape[2] + 1):
        kept = real[:, -1]
        reached = (cumulative[kept, -1] >= level).astype(float)
        rows.append(_calibrated("level", level, levels[kept, -1, level - 1], reached))
    return rows


def _calibrated(by: str, at: int, predicted: Probabilities, observed: Probabilities) -> dict[str, object]:
    means: Sequence[float] = [float(a.mean()) if len(a) else float("nan") for a in (predicted, observed)]
    return {"by": by, "at": at, "predicted": means[0], "observed": means[1], "lists": len(predicted)}


def _list_values(levels: Probabilities, requests: Requests) -> Probabilities:
    last = requests.exposed_mask.sum(1).numpy() - 1
    values: Probabilities = _prefix_values(levels)[np.arange(len(levels)), last]
    return values


def _prefix_values(levels: Probabilities) -> Probabilities:
    """Returns the expected clicks up to each slot, [b, t]; after t slots no level above t can be reached."""
    values: Probabilities = (np.tril(np.ones(levels.shape[1:])) * levels).sum(-1)
    return values
