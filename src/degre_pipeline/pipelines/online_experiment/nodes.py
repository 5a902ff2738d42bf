"""Runs the simulated A/B test: traffic, a split of users, three arms, true clicks, lifts."""

import logging
from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from degre_pipeline.experiments.lift_rows import EVERYBODY, rows_of, sentence
from degre_pipeline.experiments.shown_lists import OneThread, Shown, ask, timed
from degre_pipeline.experiments.traffic import chosen, handed_over, items_of, ranking_order, visits_of
from degre_pipeline.reranker.baselines.prm import (
    PersonalizedReranker,
    PrmConfig,
    in_ranking_order,
    prm_loss,
    restore_prm,
    store_prm,
)
from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.ranking_stage import pointwise_loss
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import MINING
from degre_pipeline.reranker.training.loop import choose_device, fit, seeded
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints, identity_of
from degre_pipeline.run_facts import RunFacts
from degre_pipeline.serving.model.reranking_model import Reranker
from degre_pipeline.serving.web.process import ProcessConfig, require_serving, running_service
from degre_pipeline.simulation.click_world import ClickTruth
from degre_pipeline.simulation.online_experiment import (
    DEGRE,
    PRM,
    RANKING_ORDER,
    ExperimentConfig,
    draw_outcomes,
)
from degre_pipeline.simulation.shop import ShopConfig, build_shop
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.simulated_shop import simulate_request_log

logger = logging.getLogger(__name__)

SIMULATED = "simulated_shop"


def open_shop(
    source: str, simulated_shop: ShopConfig, run_date: str, config: ExperimentConfig
) -> tuple[RequestLog, dict[str, Tensor]]:
    """Returns the visits of the days after the run date, which no model has seen, and what drives clicks.

    Raises: ValueError: If the source is no simulated shop. ModuleNotFoundError: If the service cannot be
        started here, before anything else takes its time.
    """
    require(source == SIMULATED, "ingestion.source", source, f"{SIMULATED}: only it answers to other lists")
    for name in ("item_lifetime", "taste_drift"):
        require(
            getattr(simulated_shop, name) == 0,
            f"ingestion.simulated_shop.{name}",
            getattr(simulated_shop, name),
            "0: the experiment is made in a shop that stays as it is",
        )
    require_serving()
    last = date.fromisoformat(str(run_date)) + timedelta(days=config.days)
    traffic, truth = simulate_request_log(replace(simulated_shop, days=config.days), last)
    return traffic, truth.to_tensors()


def split_users(
    traffic: RequestLog,
    requests: pd.DataFrame,
    users: pd.DataFrame,
    exposures: pd.DataFrame,
    config: ExperimentConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the visits of the experiment with their arms and groups, and those of the log before it.

    The first have request_id, user_id, client, segment, users (`new` or `old`) and arm; the second also what
    came of them, to see that the arms did not differ before they were treated differently.
    """
    visits = visits_of(traffic.requests, traffic.users, config)
    seen = visits["user_id"].map(requests["user_id"].value_counts()).fillna(0)
    visits["users"] = np.where(seen < config.old_user_requests, "new", "old")
    bought = exposures["conversion"].fillna(0.0)
    came = exposures.assign(slots=1, orders=bought, revenue=bought * exposures["price"].fillna(0.0))
    sums = came.rename(columns={"click": "clicks"}).groupby("request_id")
    totals = sums[["slots", "clicks", "orders", "revenue"]].sum().reset_index()
    before = visits_of(requests, users, config).merge(totals, on="request_id").assign(visits=1)
    return visits, before


def train_prm(
    encoded: Requests,
    feature_space: FeatureSpace,
    model: PrmConfig,
    training: TrainingConfig,
    checkpoints: Checkpoints | None = None,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns PRM, trained on the lists that the mining evaluator learns from, and its training history.

    Its click model comes first. Both can be continued after an interruption.
    """
    encoding, device, sizes = encoded.encoding, choose_device(training.device), feature_space.sizes()
    learn, check = (in_ranking_order(encoded.of(split, MINING)) for split in ("train", "validation"))
    identity = identity_of(
        training,
        device,
        {"model": asdict(model), "feature_space": encoding},
        learn.to_tensors(),
        check.to_tensors(),
    )
    with seeded(training.seed):
        click_model = PointwiseClickModel(sizes, model.embedding_dim)
    fit(
        click_model,
        pointwise_loss,
        learn,
        check,
        training,
        label="PRM's click model",
        checkpoint=checkpoints.of("prm_click_model", identity) if checkpoints else None,
    )
    with seeded(training.seed):
        reranker = PersonalizedReranker(
            click_model,
            sizes,
            places=encoded.mask.shape[1],
            list_length=encoded.list_length,
            config=model,
        )
    history = fit(
        reranker,
        prm_loss,
        learn,
        check,
        training,
        label="PRM",
        checkpoint=checkpoints.of("prm", identity) if checkpoints else None,
    )
    return store_prm(reranker, sizes, model, encoding), pd.DataFrame(history)


def show_ranking_order(visits: pd.DataFrame, simulated_shop: ShopConfig) -> pd.DataFrame:
    """Returns the beginning of the ranking order for every visit of its arm; that takes no time."""
    own = visits.loc[visits["arm"] == RANKING_ORDER, ["request_id"]].reset_index(drop=True)
    places = pd.Series([list(range(simulated_shop.list_length))] * len(own), index=own.index)
    return own.assign(places=places, fallback="", latency_ms=0.0)


def show_by_prm(
    visits: pd.DataFrame, traffic: RequestLog, prm: TrainedWeights, feature_space: FeatureSpace
) -> pd.DataFrame:
    """Returns the order of PRM's scores for every visit of its arm, computed in this process, one by one."""
    check_encoding(prm, feature_space.identity)
    own = visits[visits["arm"] == PRM]
    reranker = Reranker(restore_prm(prm), feature_space)
    with OneThread():
        return timed(
            own,
            handed_over(own, traffic, feature_space),
            lambda request: Shown(reranker.rerank([request])[0].candidate_indices),
            label="PRM's visits",
        )


def show_by_service(
    visits: pd.DataFrame,
    traffic: RequestLog,
    feature_space: FeatureSpace,
    model_name: str,
    service: ProcessConfig,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Returns what the running service answers for every visit of its arm, one by one over HTTP.

    Returns: The lists; and model, alias, version and runner that answered.
    Raises: ValueError: If the version learned from days of the experiment. RuntimeError: As the service's.
    """
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.release.registry import registry_uri, training_last_day

    own = visits[visits["arm"] == DEGRE]
    with running_service(registry_uri(), model_name, service) as client:
        version = client.version()["model_version"]
        check_unseen(training_last_day(model_name, version), version, traffic.requests)
        lists = timed(
            own,
            handed_over(own, traffic, feature_space),
            lambda request: ask(client, request),
            label="the service's visits",
        )
        told = client.version()
    require(told["model_version"] == version, "version at the end", told["model_version"], version)
    served = {"model": model_name, "alias": service.alias, "version": version, "runner": told["runner"]}
    return lists, served


def check_unseen(last_day: str | None, version: str, requests: pd.DataFrame) -> None:
    """Raises ValueError unless a version learned only from days before the experiment's.

    Args:
        last_day: ISO date of the last request it learned from; None where it is not recorded.
        version: Named in the error.
        requests: Of the experiment.
    """
    first = requests["requested_at"].min().date().isoformat()
    require(
        last_day is not None and last_day < first,
        f"training_last_day of version {version}",
        last_day,
        f"a day before the experiment's first, {first}; give a later run date: --params=run_date=…",
    )


def observe_outcomes(
    visits: pd.DataFrame,
    ranking_order_lists: pd.DataFrame,
    prm_lists: pd.DataFrame,
    degre_lists: pd.DataFrame,
    traffic: RequestLog,
    truth: dict[str, Tensor],
    simulated_shop: ShopConfig,
    config: ExperimentConfig,
) -> pd.DataFrame:
    """Returns every visit with what was shown and what the shop's true users made of it."""
    lists = pd.concat([ranking_order_lists, prm_lists, degre_lists], ignore_index=True)
    shown = visits.merge(lists, on="request_id", validate="one_to_one")
    order = ranking_order(traffic.candidates, shown["request_id"])
    items = items_of(traffic.candidates, shown["request_id"])
    sequences = chosen(shown["places"], order, simulated_shop.list_length)
    came = draw_outcomes(
        build_shop(simulated_shop),
        ClickTruth.from_tensors(truth).select(shown["request_id"].tolist()),
        shown["user_id"].to_numpy(dtype=np.int64) - 1,
        items - 1,
        sequences,
        seed=config.seed,
    )
    return shown.drop(columns="places").assign(
        visits=1,
        slots=(sequences >= 0).sum(1),
        clicks=came.clicks.sum(1),
        orders=came.orders.sum(1),
        revenue=came.revenue.sum(1),
    )


def measure_lifts(
    outcomes: pd.DataFrame, before: pd.DataFrame, config: ExperimentConfig
) -> list[dict[str, Any]]:
    """Returns levels and lifts, for everybody and by group, with intervals that resample users."""
    rows = rows_of(outcomes, before, config)
    for row in rows:
        if row["by"] == EVERYBODY and row["against"]:
            logger.info("Online: %s", sentence(row))
    return rows


def write_online_report(
    rows: list[dict[str, Any]],
    served: dict[str, Any],
    run_date: str,
    config: ExperimentConfig,
    run_facts: RunFacts,
) -> str:
    """Returns the report, one HTML page that needs nothing but itself."""
    from degre_pipeline.reports.experiment_page import render_online_report

    return render_online_report(rows, served, str(run_date), config.days, run_facts)
