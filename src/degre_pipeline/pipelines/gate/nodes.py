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
from degre_pipeline.release.gate.frozen_slice import draw_slice, lists_of_slice, users_by_request
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.release.gate.version_values import evidence_of, independent_judges, judged_lists
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.run_facts import RunFacts
from degre_pipeline.serving.model.parity import count_differing, unpadded

logger = logging.getLogger(__name__)


def freeze_slice(
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    scored_candidates: pd.DataFrame,
    config: GateConfig,
) -> dict[str, Any]:
    """Returns the ids, the days and the SHA-256 of the test requests on which versions are compared."""
    tables = {"requests": requests, "users": users, "items": items, "candidates": scored_candidates}
    return draw_slice(lists, tables, config)


def judge_versions(
    gate_slice: dict[str, Any],
    registered_model: dict[str, Any],
    generator: TrainedWeights,
    encoded: Requests,
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
    scored_candidates: pd.DataFrame,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    evaluated_lists: dict[str, Tensor],
    config: GateConfig,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Lets the registered version and the champion rank the slice, and values their lists.

    Returns: request_id, judge, challenger and champion (in clicks, NaN where there is no list), user and
        users; and what is known of the two versions, with the number of lists that the generator orders
        otherwise than the registered version does, and than the evaluation did.
    """
    for trained in (generator, external_evaluator):
        check_encoding(trained, encoded.encoding)
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.release.gate.contest import hold_contest

    tables = {"requests": requests, "users": users, "items": items, "candidates": scored_candidates}
    chosen = lists_of_slice(gate_slice, lists, tables)
    every = encoded
    encoded = every.with_ids(torch.tensor(gate_slice["request_ids"]))
    contest = hold_contest(registered_model, chosen, tables, list_length=encoded.list_length, config=config)
    judges = independent_judges(external_evaluator, click_truth, encoded, config)
    performed = contest.performances
    ranked = {name: (one.lists, one.invalid) if one else ((), ()) for name, one in performed.items()}
    judgements = judged_lists(encoded, ranked, judges, config.batch_size)
    evaluated = every.with_ids(evaluated_lists["request_id"])
    facts = {
        **{name: asdict(one.facts) if one else None for name, one in performed.items()},
        "differing_lists": count_differing(contest.challenger.lists, encoded, generator),
        "differing_shapes": contest.differing_shapes(encoded, generator),
        "outdated_lists": count_differing(unpadded(evaluated_lists[names.GENERATOR]), evaluated, generator),
        "reservations": contest.reservations,
    }
    users = users_by_request(chosen, lists, config.old_user_requests)
    judgements = judgements.merge(users, on="request_id")
    return judgements, {**facts, **belongings(registered_model, gate_slice, judgements)}


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
