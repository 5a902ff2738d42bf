"""Compares the generator with beam search, ranking order, random and exposed lists under every judge."""

import math
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.judging import all_lists, names
from degre_pipeline.judging.click_references import click_references
from degre_pipeline.judging.diagnostics.agreement import judge_agreement_rows
from degre_pipeline.judging.diagnostics.diagnostic_rows import table_of
from degre_pipeline.judging.diagnostics.diagnostics_config import DiagnosticsConfig
from degre_pipeline.judging.diagnostics.generator_gap import distillation_rows
from degre_pipeline.judging.diagnostics.mined import beam_size_rows, epoch_rows, mine_with_beams
from degre_pipeline.judging.diagnostics.novelty import novelty_rows
from degre_pipeline.judging.diagnostics.optimism import optimism_rows
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.evaluator_quality import (
    calibration_table,
    gauc_rows,
    predicted_levels,
    quality_rows,
    true_levels,
)
from degre_pipeline.judging.examples import choose_requests, lay_out, value_judge
from degre_pipeline.judging.judgements import add_ranks, add_truth, judge_subjects
from degre_pipeline.judging.judges import (
    EvaluatorJudge,
    Judge,
    TruthJudge,
    draw_requests,
    true_optimum,
    truth_or_none,
)
from degre_pipeline.judging.logged_clicks import (
    floor_lists,
    item_codes,
    logged_click_rows,
    logged_requests,
    users_of,
)
from degre_pipeline.judging.metric_rows import agreement_rows, exact_rows, figures_by_request, summarise
from degre_pipeline.judging.subjects import lists_of_subjects
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    restore_decoding,
    restore_evaluator,
    restore_generator,
    restore_miner,
)
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.loop import choose_device
from degre_pipeline.run_facts import RunFacts
from degre_pipeline.sources.splits import last_day


def rerank_test_requests(
    encoded: Requests,
    generator: TrainedWeights,
    mining_evaluator: TrainedWeights,
    search: MiningConfig,
    config: EvaluationConfig,
) -> dict[str, Tensor]:
    """Returns `request_id` and the list of every subject, [b, L], for test requests drawn at random."""
    for trained in (generator, mining_evaluator):
        check_encoding(trained, encoded.encoding)
    device = choose_device(config.device)
    requests = draw_requests(encoded.of("test"), config.requests, config.seed)
    models = (
        restore_decoding(generator).to(device),
        restore_miner(mining_evaluator).to(device),
    )
    lists = lists_of_subjects(requests, *models, search, config)
    return {"request_id": requests.request_id, **lists}


def judge_lists(
    encoded: Requests,
    evaluated_lists: dict[str, Tensor],
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    config: EvaluationConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns every judge's value and rank of every list, and how far the judges agree on random lists."""
    evaluators = _restored(encoded, mining_evaluator, external_evaluator, config)
    requests = encoded.with_ids(evaluated_lists["request_id"])
    truth = truth_or_none(click_truth, requests)
    judges = _judges(requests, evaluators, click_truth)
    lists = {subject: evaluated_lists[subject] for subject in names.SUBJECTS}
    judgements = judge_subjects(requests, lists, judges, config.batch_size)
    optimum = true_optimum(truth, requests.list_length) if truth else None
    return add_ranks(add_truth(judgements, optimum), requests, judges, config)


def _restored(
    encoded: Requests,
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    config: EvaluationConfig,
) -> dict[str, Evaluator]:
    """Returns both evaluators by the name of the judge, on the device.

    Raises: ValueError: If one of them was trained on requests that were encoded otherwise.
    """
    trained = {names.EXTERNAL: external_evaluator, names.MINING: mining_evaluator}
    for one in trained.values():
        check_encoding(one, encoded.encoding)
    device = choose_device(config.device)
    return {name: restore_evaluator(one).to(device) for name, one in trained.items()}


def _judges(
    requests: Requests, evaluators: dict[str, Evaluator], click_truth: dict[str, Tensor]
) -> list[Judge]:
    """Returns all who can value lists of the requests; the truth where it is known."""
    truth = truth_or_none(click_truth, requests)
    judges: list[Judge] = [EvaluatorJudge(name, evaluator) for name, evaluator in evaluators.items()]
    return [*judges, *([TruthJudge(truth)] if truth else [])]


def compare_with_all_lists(
    encoded: Requests,
    evaluated_lists: dict[str, Tensor],
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Returns the exact rank of every subject's list among all lists of some requests, by every judge."""
    requests = encoded.with_ids(evaluated_lists["request_id"])
    return all_lists.compare_with_all_lists(
        requests,
        {subject: evaluated_lists[subject] for subject in names.SUBJECTS},
        _restored(encoded, mining_evaluator, external_evaluator, config),
        truth_or_none(click_truth, requests),
        config,
    )


def measure_evaluators(
    encoded: Requests,
    lists: pd.DataFrame,
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    config: EvaluationConfig,
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Returns R-AUC, PCOC, RMSE, loss and GAUC on exposed test lists, and the evaluators' calibration."""
    evaluators = _restored(encoded, mining_evaluator, external_evaluator, config)
    requests = encoded.of("test")
    levels = {
        f"{name}_evaluator": predicted_levels(evaluators[name], requests, config.batch_size)
        for name in (names.MINING, names.EXTERNAL)
    }
    truth = truth_or_none(click_truth, requests)
    if truth:
        levels[names.TRUE_MODEL] = true_levels(truth, requests)
    rows = [row for model, predicted in levels.items() for row in quality_rows(model, predicted, requests)]
    users = torch.from_numpy(users_of(lists, encoded))
    references = click_references(encoded, users, item_codes(lists, encoded), config)
    rows += gauc_rows(levels, references, requests, config)
    return rows, calibration_table(levels, requests)


def diagnose_search(
    encoded: Requests,
    evaluated_lists: dict[str, Tensor],
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    search: MiningConfig,
    diagnostics: DiagnosticsConfig,
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Returns how far judges agree by kind of list, and what beams of several sizes find."""
    requests = encoded.with_ids(evaluated_lists["request_id"][: diagnostics.requests])
    evaluators = _restored(encoded, mining_evaluator, external_evaluator, config)
    judges = _judges(requests, evaluators, click_truth)
    mined = mine_with_beams(mining_evaluator, requests, diagnostics.beam_sizes, search)
    return table_of(
        [
            *judge_agreement_rows(requests, mined[max(mined)], judges, diagnostics.random_lists, config),
            *beam_size_rows(requests, mined, judges, config),
        ]
    )


def diagnose_epochs(
    encoded: Requests,
    mined_by_epoch: dict[str, Tensor],
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Returns what the mining evaluator of each epoch found; no row where that was switched off."""
    if not mined_by_epoch:
        return table_of([])
    requests = encoded.with_ids(mined_by_epoch["request_id"])
    evaluators = _restored(encoded, mining_evaluator, external_evaluator, config)
    judges = _judges(requests, evaluators, click_truth)
    return table_of(epoch_rows(requests, mined_by_epoch, judges, config))


def diagnose_distillation(
    encoded: Requests,
    evaluated_lists: dict[str, Tensor],
    generator: TrainedWeights,
    mining_evaluator: TrainedWeights,
    search: MiningConfig,
    diagnostics: DiagnosticsConfig,
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Returns in which slots the generator departs from its teacher, and what that loses."""
    for trained in (generator, mining_evaluator):
        check_encoding(trained, encoded.encoding)
    rows, device = slice(0, diagnostics.requests), choose_device(config.device)
    return table_of(
        distillation_rows(
            restore_generator(generator).to(device),
            restore_miner(mining_evaluator).to(device),
            encoded.with_ids(evaluated_lists["request_id"][rows]),
            teacher=evaluated_lists[names.BEAM][rows],
            own=evaluated_lists[names.GENERATOR][rows],
            search=search,
            config=config,
        )
    )


def diagnose(
    lists: pd.DataFrame,
    evaluated_lists: dict[str, Tensor],
    list_judgements: pd.DataFrame,
    search_diagnostics: pd.DataFrame,
    epoch_diagnostics: pd.DataFrame,
    distillation_diagnostics: pd.DataFrame,
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Returns all diagnostics: those of models, the miner's optimism, and how far lists lie from the log."""
    rows = [*optimism_rows(list_judgements, config), *novelty_rows(lists, evaluated_lists, config)]
    parts = [search_diagnostics, epoch_diagnostics, distillation_diagnostics, table_of(rows)]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def replay_logged_clicks(
    encoded: Requests,
    evaluated_lists: dict[str, Tensor],
    feature_space: FeatureSpace,
    lists: pd.DataFrame,
    requests: pd.DataFrame,
    config: EvaluationConfig,
) -> list[dict[str, Any]]:
    """Returns what the logged clicks of test requests say of all subjects' lists, and of two simple ones."""
    asked, log = encoded.with_ids(evaluated_lists["request_id"]), encoded.of("train")
    floors = floor_lists(
        asked,
        log,
        feature_space.sizes(),
        (item_codes(lists, asked), item_codes(lists, log)),
    )
    compared = {subject: evaluated_lists[subject] for subject in names.SUBJECTS} | floors
    return logged_click_rows(compared, logged_requests(lists, requests, asked), log, config)


def summarise_evaluation(
    list_judgements: pd.DataFrame,
    exact_judgements: pd.DataFrame,
    judge_agreement: pd.DataFrame,
    evaluator_quality: list[dict[str, Any]],
    logged_click_figures: list[dict[str, Any]],
    log_support: list[dict[str, Any]],
    config: EvaluationConfig,
) -> list[dict[str, Any]]:
    """Returns all figures as rows {subject, judge, metric, value, low, high}; None for what is unknown."""
    rows = summarise(figures_by_request(list_judgements, config), config)
    rows += exact_rows(exact_judgements, config)
    rows += agreement_rows(judge_agreement, config)
    rows += [{**row, "low": row.get("low"), "high": row.get("high")} for row in evaluator_quality]
    rows += [*logged_click_figures, *log_support]
    # JSON has no NaN: what cannot be computed, such as R-AUC where all lists earned the same, is None.
    return [{**row, "value": row["value"] if math.isfinite(row["value"]) else None} for row in rows]


def pick_examples(
    lists: pd.DataFrame,
    items: pd.DataFrame,
    evaluated_lists: dict[str, Tensor],
    list_judgements: pd.DataFrame,
) -> pd.DataFrame:
    """Returns every list of six telling requests, slot by slot, valued by the truth where it is known."""
    judge = value_judge(list_judgements["judge"])
    return lay_out(
        choose_requests(list_judgements, judge),
        lists=lists,
        items=items,
        evaluated_lists=evaluated_lists,
        judgements=list_judgements,
        judge=judge,
    )


def lay_out_lists(
    metrics: list[dict[str, Any]],
    list_judgements: pd.DataFrame,
    judge_agreement: pd.DataFrame,
    example_lists: pd.DataFrame,
) -> dict[str, Any]:
    """Returns what the report says of lists."""
    # Here, because the registry imports this file for every command and matplotlib is slow to import.
    from degre_pipeline.reports.evaluation_page import list_content

    return list_content(metrics, list_judgements, judge_agreement, example_lists)


def lay_out_models(
    mining_evaluator_history: pd.DataFrame,
    external_evaluator_history: pd.DataFrame,
    generator_history: pd.DataFrame,
    evaluator_calibration: pd.DataFrame,
    ranking_score_quality: pd.DataFrame,
    diagnostics: pd.DataFrame,
    head_choice: list[dict[str, Any]],
) -> dict[str, Any]:
    """Returns what the report says of models: how they were trained and how far they can be trusted."""
    from degre_pipeline.reports.evaluation_page import model_content

    histories = {
        "mining evaluator": mining_evaluator_history,
        "external evaluator": external_evaluator_history,
        names.GENERATOR: generator_history,
    }
    return model_content(histories, evaluator_calibration, ranking_score_quality, diagnostics, head_choice)


def write_report(
    metrics: list[dict[str, Any]],
    list_content: dict[str, Any],
    model_content: dict[str, Any],
    config: EvaluationConfig,
    requests: pd.DataFrame,
    run_facts: RunFacts,
) -> str:
    """Returns the evaluation report of a log, one HTML page that needs nothing but itself."""
    from degre_pipeline.reports.evaluation_page import render_report

    content = {**list_content, **model_content}
    return render_report(metrics, content, config, last_day(requests), run_facts)
