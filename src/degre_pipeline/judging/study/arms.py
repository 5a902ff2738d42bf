"""One arm with one seed: its miner, its generator, and the lists that they choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judgements import comparison_values
from degre_pipeline.judging.judges import EvaluatorJudge, Values, prefix_values
from degre_pipeline.judging.study.study_config import Recipe, digest
from degre_pipeline.reranker.distillation import distill
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.lookahead_mining import mine, prepare_miner, rows_to_mine
from degre_pipeline.reranker.metrics import DECIMALS, ranks
from degre_pipeline.reranker.mined_requests import MinedRequests
from degre_pipeline.reranker.miner_training import ready_to_mine
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_decoding, restore_miner
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.search.exact import all_list_values
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.support import ranking_order
from degre_pipeline.reranker.training.loop import choose_device
from degre_pipeline.reranker.training.training_state import Checkpoints

Lists = dict[str, Tensor]


@dataclass(frozen=True)
class Miner:
    """A trained evaluator, what it mined, and its opinion of the asked requests; some arms share one.

    Attributes:
        weights: Of the evaluator.
        evaluator: The same, restored on its device.
        mined: Sequences of the training and validation requests.
        lists: Its own lists of the asked requests, [b, L] each: `teacher`, `beam1`, `beam2`, `beam8`, and, of
            the first requests only, `exact_miner`.
        random: Its values of the random lists of the compared requests, [r, s].
    """

    weights: TrainedWeights
    evaluator: Evaluator
    mined: MinedRequests
    lists: Lists
    random: Values


def train_miner(
    requests: Requests,
    asked: Requests,
    sizes: Sequence[FieldSize],
    recipe: Recipe,
    config: EvaluationConfig,
    *,
    encoding: str,
    checkpoints: Checkpoints | None,
) -> Miner:
    """Returns the miner of a recipe, of which the settings of the generator are not looked at."""
    learn, check = (requests.of(split, names.MINING) for split in ("train", "validation"))
    own, training = recipe.evaluator, recipe.evaluator_training
    name = f"study_miner_{digest(own, training)}"
    trained, _ = train_evaluator(
        learn,
        check,
        sizes=sizes,
        config=own,
        training=training,
        name=name,
        encoding=encoding,
        checkpoints=checkpoints,
    )
    weights = ready_to_mine(trained, learn, check, own, training, name=name, checkpoints=checkpoints)
    return as_miner(weights, requests, asked, recipe.mining, config)


def as_miner(
    weights: TrainedWeights,
    requests: Requests,
    asked: Requests,
    mining: MiningConfig,
    config: EvaluationConfig,
) -> Miner:
    """Returns what a trained evaluator mines, and its lists and opinion of the asked requests."""
    rows = rows_to_mine(requests, mining)
    miner = prepare_miner(weights, requests, mining, len(rows))
    found = mine(miner, requests, rows, mining, label="study mining")
    evaluator = restore_miner(weights).to(choose_device(config.device))
    lists = {
        names.TEACHER: best_found(evaluator, asked, mining),
        **{f"beam{size}": best_of_beam(evaluator, asked, size) for size in (1, 2, 8)},
    }
    exact = {"exact_miner": exact_optimum(evaluator, asked, config)} if config.exact_requests else {}
    few = asked.select(slice(0, config.judged_requests))
    return Miner(
        weights,
        evaluator,
        MinedRequests.of(requests.select(rows), found["sequences"], found["values"], found["step_values"]),
        {**lists, **exact},
        comparison_values(EvaluatorJudge(names.MINING, evaluator), few, config),
    )


def run_arm(
    miner: Miner,
    asked: Requests,
    sizes: Sequence[FieldSize],
    recipe: Recipe,
    config: EvaluationConfig,
    *,
    name: str,
    encoding: str,
    checkpoints: Checkpoints | None,
) -> Lists:
    """Distils a miner's sequences, and returns the lists of the asked requests and the miner's opinion.

    Returns: The list of each subject, [b, L], of `exact_miner` for the first requests only; and of each but
        that as `value.` and `rank.` of the subject the miner's value, [b], and how many random lists it
        thinks strictly better, [r], for the requests that are compared with random lists.
    """
    weights, _ = distill(
        miner.mined.of_split("train"),
        miner.mined.of_split("validation"),
        miner.weights,
        sizes=sizes,
        config=recipe.generator,
        training=recipe.generator_training,
        distillation=recipe.distillation,
        name=f"study_{name}_generator",
        encoding=encoding,
        checkpoints=checkpoints,
    )
    model = restore_decoding(weights).to(choose_device(config.device))
    batches = [batch.to(choose_device(config.device)) for batch in asked.batches(config.batch_size)]
    greedy = [model.decode(b.static, b.candidates, b.mask)[0].cpu() for b in batches]
    lists = {names.GENERATOR: torch.cat(greedy), **miner.lists}
    return {**lists, **_own_opinion(miner, asked, lists, config)}


def reference_lists(
    asked: Requests, judges: Mapping[str, Evaluator], beam: int, config: EvaluationConfig
) -> Lists:
    """Returns the lists that no arm has a part in: also what each of some judges likes best, by its name.

    A beam looks for those; `exact_judge` is the best list of all by the external one, of the first requests.
    """
    few = asked.select(slice(0, config.judged_requests))
    exact = (
        {"exact_judge": exact_optimum(judges[names.EXTERNAL], asked, config)} if config.exact_requests else {}
    )
    return {
        names.RANKING_ORDER: ranking_order(asked),
        names.EXPOSED: asked.shown,
        **{f"best_of_{name}": best_of_beam(judge, few, beam) for name, judge in judges.items()},
        **exact,
    }


def best_of_beam(evaluator: Evaluator, asked: Requests, beam_size: int) -> Tensor:
    """Returns the best list that a beam finds for each request, [b, L]."""
    return best_found(evaluator, asked, MiningConfig(beam_size=beam_size))


def best_found(evaluator: Evaluator, asked: Requests, config: MiningConfig) -> Tensor:
    """Returns the best list that a search finds for each request, [b, L]."""
    there = replace(config, device=str(next(evaluator.parameters()).device))
    return mine(evaluator, asked, torch.arange(len(asked)), there)["sequences"][:, 0].long()


def exact_optimum(evaluator: Evaluator, asked: Requests, config: EvaluationConfig) -> Tensor:
    """Returns the evaluator's best list of all, [e, L], of the first requests."""
    device = next(evaluator.parameters()).device
    best = torch.full((min(config.exact_requests, len(asked)), asked.list_length), -1)
    for row in range(len(best)):
        one = asked.select(slice(row, row + 1)).to(device)
        found = all_list_values(evaluator, one, most_steps=config.exact_steps).best()[0]
        best[row, : len(found)] = found
    return best


def _own_opinion(miner: Miner, asked: Requests, lists: Lists, config: EvaluationConfig) -> Lists:
    whole = {subject: own for subject, own in lists.items() if len(own) == len(asked)}
    stacked = torch.stack(list(whole.values()), 1)
    judge = EvaluatorJudge(names.MINING, miner.evaluator)
    values = prefix_values(judge, asked, stacked, config.batch_size)[..., -1].round(DECIMALS)
    opinion = {}
    for place, subject in enumerate(whole):
        opinion[f"value.{subject}"] = torch.from_numpy(values[:, place].copy())
        opinion[f"rank.{subject}"] = torch.from_numpy(ranks(values[: len(miner.random), place], miner.random))
    return opinion
