"""Distils mined sequences into the Online Generator, and once more on the prefixes that it chooses itself."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from degre_pipeline.reranker.distillation_gap import best_completions
from degre_pipeline.reranker.fingerprints import fingerprint
from degre_pipeline.reranker.mined_requests import MinedRequests, exposed_as_mined
from degre_pipeline.reranker.models.continuation import continue_from, usable
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.generator import OnlineGenerator, build_generator
from degre_pipeline.reranker.models.model_config import GeneratorConfig
from degre_pipeline.reranker.models.stored_models import (
    FROM_NOTHING,
    TrainedWeights,
    restore_miner,
    sizes_of,
    start_from_evaluator,
    store,
)
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.search.beam import extension_values
from degre_pipeline.reranker.training.loop import choose_device, fit, seeded
from degre_pipeline.reranker.training.objectives import DistillationConfig, DistillationLoss
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints, History, identity_of


def distill(
    learn: MinedRequests,
    check: MinedRequests,
    teacher: TrainedWeights,
    *,
    sizes: Sequence[FieldSize],
    config: GeneratorConfig,
    training: TrainingConfig,
    distillation: DistillationConfig,
    name: str = "generator",
    encoding: str = "",
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, History]:
    """Returns the generator with the best loss on held-out mined sequences, and its training history.

    Args:
        learn: Mined training requests.
        check: Mined requests that decide when to stop.
        teacher: The evaluator that mined the sequences.
        sizes: Of the fitted fields.
        config: Shape of the generator.
        training: How it is trained; each round on own prefixes is a training like the first.
        distillation: The objective.
        name: Of the training: on the progress bar and among the checkpoints.
        encoding: Identity of the feature space, stored with the weights.
        checkpoints: Where an interrupted training is continued from, and a finished one found.
        start: An earlier generator to start from, for `warm_epochs`; left out, with a message, where its
            settings or fields were others.
    """
    list_length, device = learn.requests.list_length, choose_device(training.device)
    with seeded(training.seed):
        generator = build_generator(sizes, list_length, config)
    if distillation.warm_start:
        start_from_evaluator(generator, teacher)
    settings = {
        "model": asdict(replace(config, beam_size=1)),
        "distillation": asdict(distillation),
        "feature_space": encoding,
        "mining_evaluator": fingerprint(teacher.weights),
    }
    if usable(start, sizes, list_length, config, name=name):
        continue_from(generator, start.weights, sizes_of(start), sizes)
        settings["start"] = fingerprint(start.weights)
        training = training.warm()
    if distillation.teacher == "exposed":
        learn = exposed_as_mined(learn.requests)
    held_out = exposed_as_mined(check.requests) if distillation.teacher == "exposed" else check
    history: History = []
    for rounds_done in range(distillation.own_prefix_rounds + 1):
        examples, round_name = learn, name
        if rounds_done:
            evaluator = restore_miner(teacher).to(device)
            examples = with_own_prefixes(generator, evaluator, learn, distillation.own_prefix_beam)
            round_name = f"{name}_own_prefixes_{rounds_done}"
        identity = identity_of(training, device, settings, examples.to_tensors(), held_out.to_tensors())
        rows = fit(
            generator,
            DistillationLoss(distillation),
            examples,
            held_out,
            training,
            label=round_name.replace("_", " "),
            checkpoint=checkpoints.of(round_name, identity) if checkpoints else None,
            measure=lambda trained: agreement_with_teacher(trained, check, training),
        )
        history += [{**row, "epoch": row["epoch"] + len(history)} for row in rows]
    return store(generator, sizes, list_length, config, encoding), history


def with_own_prefixes(
    generator: OnlineGenerator,
    evaluator: Evaluator,
    mined: MinedRequests,
    beam_size: int,
    batch_size: int = 256,
) -> MinedRequests:
    """Returns the mined requests with one sequence more, the generator's own, labelled by the evaluator.

    Under teacher forcing a generator never sees where its own mistakes lead. The label of each of its
    prefixes is the next item of the best completion that a beam finds from there, its soft labels are the
    values of all extensions, and it counts as much as the best mined sequence.

    Args:
        generator: On its device, in eval mode.
        evaluator: The teacher, on the same device.
        mined: What the beam found from the empty list.
        beam_size: B of the completions.
        batch_size: Requests completed together.
    Source: after Ross, Gordon and Bagnell 2011 (DAgger).
    """
    device = next(generator.parameters()).device
    generator.eval()
    sequences, targets, steps = [], [], []
    for batch in tqdm(list(mined.requests.batches(batch_size)), desc="own prefixes", mininterval=1.0):
        requests = batch.to(device)
        own = generator.greedy_decode(requests.static, requests.candidates, requests.mask)[0]
        completed = best_completions(evaluator, requests, own, beam_size=beam_size)
        sequences.append(own.cpu())
        targets.append(completed.next_items.cpu())
        steps.append(extension_values(evaluator, requests, own[:, None])[:, 0].float().cpu())
    kind = mined.sequences.dtype
    return replace(
        mined,
        sequences=_with_one_more(mined.sequences, torch.cat(sequences).to(kind)),
        targets=_with_one_more(mined.targets, torch.cat(targets).to(kind)),
        values=_with_one_more(mined.values, mined.values.max(1).values),
        step_values=_with_one_more(mined.step_values, torch.cat(steps)),
    )


def _with_one_more(of_sequences: Tensor, own: Tensor) -> Tensor:
    return torch.cat([of_sequences, own[:, None]], 1)


@torch.no_grad()
def agreement_with_teacher(
    generator: nn.Module, mined: MinedRequests, training: TrainingConfig, most: int = 2000
) -> dict[str, float]:
    """Returns how often the greedy list is the best mined one: whole, as a set, and in its first item."""
    assert isinstance(generator, OnlineGenerator)
    device = choose_device(training.device)
    some = mined.select(slice(0, most))
    best = some.sequences[:, 0].long()
    requests = some.requests
    greedy = torch.cat(
        [
            generator.greedy_decode(*(t.to(device) for t in (part.static, part.candidates, part.mask)))[
                0
            ].cpu()
            for part in requests.batches(training.batch_size)
        ]
    )
    return {
        "same_list": float((greedy == best).all(1).float().mean()),
        "same_items": float((greedy.sort(1).values == best.sort(1).values).all(1).float().mean()),
        "same_first_item": float((greedy[:, 0] == best[:, 0]).float().mean()),
    }
