"""Compares a newly registered version with the champion, decides, and promotes it where that is wanted."""

import logging
from dataclasses import asdict
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.release.gate.belongings import belongings, check_belongings, check_report, named
from degre_pipeline.release.gate.decision import decide
from degre_pipeline.release.gate.frozen_slice import (
    draw_slice,
    in_order_of_slice,
    lists_of_slice,
    users_by_request,
)
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.release.gate.version_values import (
    RankedLists,
    evidence_of,
    independent_judges,
    judged_lists,
)
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.run_facts import RunFacts
from degre_pipeline.serving.model.parity import count_differing, unpadded
from degre_pipeline.sources.feature_tables import FeatureTables

logger = logging.getLogger(__name__)


def freeze_slice(lists: pd.DataFrame, feature_tables: FeatureTables, config: GateConfig) -> dict[str, Any]:
    """Returns the ids, the days and the SHA-256 of the test requests on which versions are compared."""
    return draw_slice(lists, feature_tables, config)


def rank_slice(
    gate_slice: dict[str, Any],
    registered_model: dict[str, Any],
    generator: TrainedWeights,
    encoded: Requests,
    lists: pd.DataFrame,
    feature_tables: FeatureTables,
    config: GateConfig,
) -> tuple[dict[str, RankedLists], dict[str, Any]]:
    """Lets the registered version, and those that it is compared with, rank the slice.

    Returns: By version its lists and which of them are invalid; and what is known of the versions, with the
        number of lists, and of shapes, for which the registered one ranks otherwise than the generator.
    """
    check_encoding(generator, encoded.encoding)
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.release.gate.contest import hold_contest

    chosen = lists_of_slice(gate_slice, lists, feature_tables)
    contest = hold_contest(
        registered_model, chosen, feature_tables, list_length=encoded.list_length, config=config
    )
    performed = contest.performances
    requests = encoded.with_ids(torch.tensor(gate_slice["request_ids"]))
    facts = {
        **{name: asdict(one.facts) if one else None for name, one in performed.items()},
        "differing_lists": count_differing(contest.challenger.lists, requests, generator),
        "differing_shapes": contest.differing_shapes(requests, generator),
        "reservations": contest.reservations,
    }
    return {name: (one.lists, one.invalid) if one else ((), ()) for name, one in performed.items()}, facts


def judge_versions(
    gate_slice: dict[str, Any],
    gate_lists: dict[str, RankedLists],
    encoded: Requests,
    lists: pd.DataFrame,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    config: GateConfig,
) -> pd.DataFrame:
    """Returns what the versions' lists are worth to every independent judge.

    Returns: request_id, judge, a column a version (in clicks, NaN where there is no list), user and users.
    """
    check_encoding(external_evaluator, encoded.encoding)
    requests = encoded.with_ids(torch.tensor(gate_slice["request_ids"]))
    judges = independent_judges(external_evaluator, click_truth, requests, config)
    judgements = judged_lists(requests, gate_lists, judges, config.batch_size)
    users = users_by_request(in_order_of_slice(gate_slice, lists), lists, config.old_user_requests)
    return judgements.merge(users, on="request_id")


def gather_facts(
    version_facts: dict[str, Any],
    gate_slice: dict[str, Any],
    gate_judgements: pd.DataFrame,
    registered_model: dict[str, Any],
    evaluated_lists: dict[str, Tensor],
    generator: TrainedWeights,
    encoded: Requests,
) -> dict[str, Any]:
    """Returns what is known of the versions, and what tells it from the facts of another gate.

    With the number of lists that the generator orders otherwise than the evaluation did.
    """
    evaluated = encoded.with_ids(evaluated_lists["request_id"])
    outdated = count_differing(unpadded(evaluated_lists[names.GENERATOR]), evaluated, generator)
    own = belongings(registered_model, gate_slice, gate_judgements)
    return {**version_facts, "outdated_lists": outdated, **own}


def decide_promotion(
    gate_slice: dict[str, Any],
    gate_judgements: pd.DataFrame,
    gate_facts: dict[str, Any],
    metrics: list[dict[str, Any]],
    registered_model: dict[str, Any],
    config: GateConfig,
) -> dict[str, Any]:
    """Returns the outcome, the finding that decided, all findings, and what they were found on.

    Raises: ValueError: If slice, judgements and facts are not of one gate on the registered version.
    """
    check_belongings(gate_facts, belongings(registered_model, gate_slice, gate_judgements))
    decision = decide(evidence_of(gate_slice, gate_judgements, gate_facts, metrics), config)
    by = decision.decided_by
    logger.info("Gate: %s, decided by %s (%s): %s", decision.outcome, by.rule, by.about, by.reason)
    described = {name: gate_slice[name] for name in ("sha256", "first_day", "last_day")}
    return {
        **decision.to_dict(),
        "slice": {**described, "requests": len(gate_slice["request_ids"])},
        **gate_facts,
    }


def write_gate_report(gate_decision: dict[str, Any], gate_slice: dict[str, Any], run_facts: RunFacts) -> str:
    """Returns the gate's report, one HTML page that needs nothing but itself."""
    from degre_pipeline.reports.gate_page import render_gate_report

    return render_gate_report(gate_decision, gate_slice["last_day"], run_facts)


def record_decision(
    gate_decision: dict[str, Any],
    gate_report: str,
    registered_model: dict[str, Any],
    config: GateConfig,
    run_facts: RunFacts,
) -> dict[str, Any]:
    """Writes the outcome to the version, keeps the report with it, and promotes it where that is wanted.

    Returns: outcome and the moves of aliases that were made or found.
    Raises: ValueError: If decision and report are not one another's, or not the registered version's.
    """
    from degre_pipeline.release.gate.outcome import record
    from degre_pipeline.reports.gate_page import render_gate_report

    check_belongings(gate_decision, named(registered_model))
    check_report(gate_report, gate_decision)
    render = partial(render_gate_report, facts=run_facts)
    return record(registered_model, gate_decision, gate_report, config.promotes, render)
