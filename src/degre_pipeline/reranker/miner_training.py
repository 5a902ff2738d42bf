"""What is done to a trained evaluator before it mines: several made one, and held back by the log."""

from degre_pipeline.reranker.compression import compress
from degre_pipeline.reranker.discriminator_training import held_back_by_log
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints


def ready_to_mine(
    trained: TrainedWeights,
    learn: Requests,
    check: Requests,
    config: EvaluatorConfig,
    training: TrainingConfig,
    *,
    name: str,
    checkpoints: Checkpoints | None = None,
) -> TrainedWeights:
    """Returns the evaluator that mines: in one where that is asked for, with a discriminator where it is.

    Args:
        trained: The evaluator, or the ensemble.
        learn: Requests that it learned from.
        check: Requests that decided when to stop.
        config: Says which of the two is asked for: its `in_one` and `pessimism`.
        training: How the evaluator was trained, and how these are.
        name: Of the evaluator; further trainings have it in theirs.
        checkpoints: Where an interrupted training is continued from, and a finished one found.
    """
    if config.in_one:
        trained, _ = compress(
            trained,
            learn,
            check,
            training=training,
            name=f"{name}_in_one",
            checkpoints=checkpoints,
        )
    if config.pessimism:
        trained = held_back_by_log(
            trained,
            learn,
            check,
            training=training,
            name=f"{name}_discriminator",
            checkpoints=checkpoints,
        )
    return trained
