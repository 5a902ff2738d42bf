"""Trains one evaluator, or an ensemble of them, on exposed lists."""

from collections.abc import Sequence
from dataclasses import asdict

from degre_pipeline.reranker.calibration import calibrate
from degre_pipeline.reranker.fingerprints import fingerprint
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.continuation import continue_from, usable
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble, MembersInOnePass
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import (
    FROM_NOTHING,
    TrainedWeights,
    member_weights,
    sizes_of,
    store,
)
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.training.epoch_records import EpochRecords
from degre_pipeline.reranker.training.loop import choose_device, fit, seeded
from degre_pipeline.reranker.training.objectives import EvaluatorLoss
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints, History, identity_of


def train_evaluator(
    learn: Requests,
    check: Requests,
    *,
    sizes: Sequence[FieldSize],
    config: EvaluatorConfig,
    training: TrainingConfig,
    name: str,
    encoding: str = "",
    calibration: bool = False,
    records: EpochRecords | None = None,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, History]:
    """Returns the evaluator with the best loss on held-out lists, and its training history.

    Args:
        learn: Requests whose exposed lists are learned from.
        check: Requests that decide when to stop, and on which it is calibrated.
        sizes: Of the fitted fields.
        config: Shape, and the number of members.
        training: How it is trained; its seed is that of the first weights.
        name: Of the training: on the progress bar and among the checkpoints.
        encoding: Identity of the feature space, stored with the weights.
        calibration: Whether each member is calibrated after training.
        records: Filled in place with what they find of the evaluator after each epoch, before calibration.
        checkpoints: Where an interrupted training is continued from, and a finished one found.
        start: An earlier evaluator to start from, for `warm_epochs`; left out, with a message, where its
            settings or fields were others.
    """
    device, list_length = choose_device(training.device), learn.list_length
    with seeded(training.seed):
        members = [build_evaluator(sizes, list_length, config) for _ in range(config.members)]
    settings = {"model": asdict(config), "feature_space": encoding}
    if usable(start, sizes, list_length, config, name=name):
        for index, member in enumerate(members):
            continue_from(member, member_weights(start, index), sizes_of(start), sizes)
        settings["start"] = fingerprint(start.weights)
        training = training.warm()
    if records:
        settings["records"] = dict(records.settings)
    identity = identity_of(training, device, settings, learn.to_tensors(), check.to_tensors())
    together = MembersInOnePass(members) if len(members) > 1 else None
    history = fit(
        together or members[0],
        EvaluatorLoss(members[0]),
        learn,
        check,
        training,
        label=name.replace("_", " "),
        records=records,
        checkpoint=checkpoints.of(name, identity) if checkpoints else None,
        clip=together.clip_gradients if together else None,
    )
    if together:
        members = [member.to(device) for member in together.separate()]
    if calibration:
        for member in members:
            calibrate(member, check)
    evaluator = EvaluatorEnsemble(members) if together else members[0]
    return store(evaluator, sizes, list_length, config, encoding), history
