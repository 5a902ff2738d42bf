"""Distils an ensemble of evaluators into one of their shape, so that its search costs what one costs."""

from dataclasses import asdict

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.fingerprints import check_encoding, fingerprint
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    member_weights,
    restore_evaluator,
    sizes_of,
    store,
)
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.valuation import random_lists_of
from degre_pipeline.reranker.training.loop import choose_device, fit
from degre_pipeline.reranker.training.objectives import CompressionLoss
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints, History, identity_of


def compress(
    ensemble: TrainedWeights,
    learn: Requests,
    check: Requests,
    *,
    training: TrainingConfig,
    name: str,
    checkpoints: Checkpoints | None = None,
) -> tuple[TrainedWeights, History]:
    """Returns one evaluator that predicts what the members of an ensemble predict in the mean.

    It begins with the weights of the first member, so `warm_epochs` are enough. It learns from random lists:
    no click is read, and the ensemble may be asked about any list.

    Args:
        ensemble: Two members or more.
        learn: Requests whose lists it learns from.
        check: Requests that decide when to stop.
        training: How it is trained.
        name: Of the training: on the progress bar and among the checkpoints.
        checkpoints: Where an interrupted training is continued from, and a finished one found.
    Raises: ValueError: If there is one member only, or its requests were encoded otherwise.
    """
    settings = EvaluatorConfig(**ensemble.config["settings"])
    require(settings.members > 1, "members", settings.members, "2 or more, of one ensemble")
    check_encoding(ensemble, learn.encoding)
    check_encoding(ensemble, check.encoding)
    device, sizes, config = choose_device(training.device), sizes_of(ensemble), settings.single
    teacher = restore_evaluator(ensemble).to(device)
    pupil = build_evaluator(sizes, learn.list_length, config)
    pupil.load_state_dict(dict(member_weights(ensemble, 0)))
    training = training.warm()
    learn, check = (part.showing(random_lists_of(part, 1, training.seed)[:, 0]) for part in (learn, check))
    identity = identity_of(
        training,
        device,
        {"model": asdict(config), "ensemble": fingerprint(ensemble.weights)},
        learn.to_tensors(),
        check.to_tensors(),
    )
    history = fit(
        pupil,
        CompressionLoss(teacher),
        learn,
        check,
        training,
        label=name.replace("_", " "),
        checkpoint=checkpoints.of(name, identity) if checkpoints else None,
    )
    return store(pupil, sizes, learn.list_length, config, ensemble.config["feature_space"]), history
