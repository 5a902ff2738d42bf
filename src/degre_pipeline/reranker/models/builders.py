"""Turns models into storable weights and back; what is stored says all that is needed to rebuild it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

from torch import Tensor, nn

from degre_pipeline.reranker.configs import EvaluatorConfig, GeneratorConfig, TrainedWeights
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator, build_evaluator
from degre_pipeline.reranker.models.generator import OnlineGenerator, build_generator
from degre_pipeline.reranker.schema import FieldSize

M = TypeVar("M", bound=nn.Module)


def store(
    model: nn.Module,
    sizes: Sequence[FieldSize],
    list_length: int,
    config: EvaluatorConfig | GeneratorConfig,
    feature_space: str = "",
) -> TrainedWeights:
    """Returns a trained model's weights, on the CPU, with the settings that rebuild it.

    Args:
        model: The trained evaluator or generator.
        sizes: Sizes of the fields that it embeds.
        list_length: Slots of a list, L.
        config: What it was built from.
        feature_space: Identity of the feature space whose indices it learned; see `fingerprints`.
    """
    described = {
        "model": "evaluator" if isinstance(config, EvaluatorConfig) else "generator",
        "list_length": list_length,
        "sizes": [size.as_dict() for size in sizes],
        "settings": asdict(config),
        "feature_space": feature_space,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return TrainedWeights(weights, described)


def restore_evaluator(trained: TrainedWeights) -> LookaheadEvaluator:
    """Returns the stored evaluator in eval mode. Raises: ValueError: If the weights are another model's."""
    sizes, list_length = _sizes(trained, "evaluator")
    model = build_evaluator(sizes, list_length, EvaluatorConfig(**trained.config["settings"]))
    return _filled(model, trained.weights)


def restore_generator(trained: TrainedWeights) -> OnlineGenerator:
    """Returns the stored generator in eval mode. Raises: ValueError: If the weights are another model's."""
    sizes, list_length = _sizes(trained, "generator")
    model = build_generator(sizes, list_length, GeneratorConfig(**trained.config["settings"]))
    return _filled(model, trained.weights)


def start_from_evaluator(generator: OnlineGenerator, evaluator: TrainedWeights) -> None:
    """Copies the evaluator's field embeddings into the generator, in place.

    Raises: ValueError: If the two were built for other fields or another embedding width.
    """
    own = generator.state_dict()
    names = [name for name in own if name.startswith("features.") and ".table." in name]
    shapes = {name: tensor.shape for name, tensor in evaluator.weights.items()}
    differing = [name for name in names if own[name].shape != shapes.get(name)]
    if differing:
        raise ValueError(
            f"warm_start: {differing} differ in shape from the evaluator's; allowed: equal shapes"
        )
    generator.load_state_dict({**own, **{name: evaluator.weights[name] for name in names}})


def _sizes(trained: TrainedWeights, wanted: str) -> tuple[list[FieldSize], int]:
    if trained.config.get("model") != wanted:
        raise ValueError(f"stored weights are of model {trained.config.get('model')!r}; wanted: {wanted!r}")
    return [FieldSize(**size) for size in trained.config["sizes"]], int(trained.config["list_length"])


def _filled(model: M, weights: Mapping[str, Tensor]) -> M:
    model.load_state_dict(dict(weights))
    return model.eval()
