"""Turns models into storable weights and back; what is stored says all that is needed to rebuild it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.discriminator import CautiousEvaluator, Discriminator
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.generator import Decoding, OnlineGenerator, build_generator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.schema import FieldSize, additive_fields

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class TrainedWeights:
    """A model that can be stored: its weights by name and the JSON-able settings that rebuild it."""

    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]


EMBEDDINGS = {"features.static.table.weight": False, "features.candidate.table.weight": True}
"""Where the embeddings of the fields lie, and whether of those of the candidates."""

_DISCRIMINATOR = "discriminator."
"""Begins the names of a discriminator's weights, beside those of the evaluator that it holds back."""

_PESSIMISM = "pessimism"
"""Name of kappa among those weights: where it changes, what was mined is another evaluator's."""

FROM_NOTHING = TrainedWeights({}, {})
"""Stands for no earlier model, where a training may start from one."""


def store(
    model: nn.Module,
    sizes: Sequence[FieldSize],
    list_length: int,
    config: EvaluatorConfig | GeneratorConfig,
    feature_space: str = "",
) -> TrainedWeights:
    """Returns a trained model's weights, on the CPU, with the settings that rebuild it.

    Those of an ensemble are stacked, the member first.

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
    if isinstance(model, EvaluatorEnsemble):
        states = [member.state_dict() for member in model.members]
        tensors = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    else:
        tensors = model.state_dict()
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return TrainedWeights(weights, described)


def restore_evaluator(trained: TrainedWeights) -> Evaluator:
    """Returns the stored evaluator, or ensemble of them, in eval mode; its values are clicks.

    Raises: ValueError: If the weights are another model's.
    """
    sizes, list_length = _sizes(trained, "evaluator")
    config = EvaluatorConfig(**trained.config["settings"])
    members = [
        _filled(build_evaluator(sizes, list_length, config), member_weights(trained, index))
        for index in range(config.members)
    ]
    return EvaluatorEnsemble(members).eval() if config.members > 1 else members[0]


def member_weights(trained: TrainedWeights, index: int) -> Mapping[str, Tensor]:
    """Returns the weights of one member of a stored evaluator."""
    own = {name: tensor for name, tensor in trained.weights.items() if not name.startswith(_DISCRIMINATOR)}
    if trained.config["settings"].get("members", 1) == 1:
        return own
    return {name: tensor[index] for name, tensor in own.items()}


def with_discriminator(
    trained: TrainedWeights, discriminator: TrainedWeights, pessimism: float
) -> TrainedWeights:
    """Returns an evaluator that is stored with what tells logged lists from those that it likes.

    Args:
        trained: The evaluator.
        discriminator: Of the same fields.
        pessimism: kappa of `CautiousEvaluator`.
    """
    weights = {f"{_DISCRIMINATOR}{name}": tensor for name, tensor in discriminator.weights.items()}
    weights[f"{_DISCRIMINATOR}{_PESSIMISM}"] = torch.tensor(pessimism)
    described = {**trained.config, "discriminator": discriminator.config["settings"]}
    return TrainedWeights({**trained.weights, **weights}, described)


def restore_miner(trained: TrainedWeights) -> Evaluator:
    """Returns what a search follows, in eval mode: the stored evaluator, with its discriminator, if any.

    Raises: ValueError: If the weights are another model's.
    """
    evaluator = restore_evaluator(trained)
    if "discriminator" not in trained.config:
        return evaluator
    sizes, list_length = _sizes(trained, "evaluator")
    shape = EvaluatorConfig(**trained.config["discriminator"])
    discriminator = build_evaluator(sizes, list_length, shape)
    assert isinstance(discriminator, Discriminator)
    weights = {
        name.removeprefix(_DISCRIMINATOR): tensor
        for name, tensor in trained.weights.items()
        if name.startswith(_DISCRIMINATOR)
    }
    pessimism = weights.pop(_PESSIMISM).item()
    return CautiousEvaluator(evaluator, _filled(discriminator, weights), pessimism).eval()


def restore_generator(trained: TrainedWeights) -> OnlineGenerator:
    """Returns the stored generator in eval mode. Raises: ValueError: If the weights are another model's."""
    sizes, list_length = _sizes(trained, "generator")
    model = build_generator(sizes, list_length, GeneratorConfig(**trained.config["settings"]))
    return _filled(model, trained.weights)


def store_ranking_model(
    model: PointwiseClickModel,
    sizes: Sequence[FieldSize],
    embedding_dim: int,
    feature_space: str = "",
    factors: int | None = None,
) -> TrainedWeights:
    """Returns the weights of a point-wise model, on the CPU, with what rebuilds it; see `store`."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    described = {
        "model": "ranking",
        "sizes": [size.as_dict() for size in sizes],
        "embedding_dim": embedding_dim,
        "factors": factors,
        "feature_space": feature_space,
    }
    return TrainedWeights(weights, described)


def restore_ranking_model(trained: TrainedWeights) -> PointwiseClickModel:
    """Returns the stored point-wise model in eval mode.

    Raises: ValueError: If the weights are another model's.
    """
    require(trained.config.get("model") == "ranking", "model", trained.config.get("model"), "'ranking'")
    model = PointwiseClickModel(
        sizes_of(trained), int(trained.config["embedding_dim"]), factors=trained.config.get("factors")
    )
    return _filled(model, trained.weights)


def restore_decoding(trained: TrainedWeights) -> Decoding:
    """Returns the stored generator with the way in which it finds its lists, in eval mode."""
    generator = restore_generator(trained)
    return Decoding(generator, GeneratorConfig(**trained.config["settings"]).beam_size).eval()


def start_from_evaluator(generator: OnlineGenerator, evaluator: TrainedWeights) -> None:
    """Copies the field embeddings of the evaluator, or of its first member, into the generator, in place.

    Fields that the evaluator's network does not read keep the generator's own.

    Args:
        generator: Built for the same fields.
        evaluator: What was stored of it.
    Raises: ValueError: If the two were built for other fields or another embedding width.
    """
    own, learned, sizes = generator.state_dict(), member_weights(evaluator, 0), sizes_of(evaluator)
    additive = additive_fields(sizes)
    for name, per_candidate in EMBEDDINGS.items():
        if name not in own:
            continue
        rows, read = (embedding_rows(sizes, per_candidate, left_out) for left_out in ((), additive))
        shapes = (sum(rows), own[name].shape[1]), (sum(read), own[name].shape[1])
        found = own[name].shape, learned.get(name, own[name][:0]).shape
        if found != shapes:
            raise ValueError(
                f"warm_start: {name} of generator and evaluator differ in shape: {found}; allowed: {shapes}"
            )
        blocks = iter(learned[name].split(read) if name in learned else ())
        kept = [size.name in additive for size in sizes if size.per_candidate == per_candidate]
        parts = zip(own[name].split(rows), kept, strict=True)
        own[name] = torch.cat([block if keeps else next(blocks) for block, keeps in parts])
    generator.load_state_dict(own)


def embedding_rows(
    sizes: Sequence[FieldSize], per_candidate: bool, left_out: Collection[str] = ()
) -> list[int]:
    """Returns the rows of each field in a table of embeddings, of the request or of the candidates.

    Args:
        sizes: Of all fitted fields.
        per_candidate: Which of the two tables.
        left_out: Fields that the network does not read.
    """
    read = (size for size in sizes if size.name not in left_out)
    return [size.indices for size in read if size.per_candidate == per_candidate]


def sizes_of(trained: TrainedWeights) -> list[FieldSize]:
    """Returns the sizes of the fields that a stored model embeds."""
    return [FieldSize(**size) for size in trained.config["sizes"]]


def _sizes(trained: TrainedWeights, wanted: str) -> tuple[list[FieldSize], int]:
    if trained.config.get("model") != wanted:
        raise ValueError(f"stored weights are of model {trained.config.get('model')!r}; wanted: {wanted!r}")
    return sizes_of(trained), int(trained.config["list_length"])


def _filled(model: M, weights: Mapping[str, Tensor]) -> M:
    model.load_state_dict(dict(weights))
    return model.eval()
