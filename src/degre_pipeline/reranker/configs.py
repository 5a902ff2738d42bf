"""Settings of the models, of training, of mining and of distillation, with the papers' values as defaults."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_type_hints

from torch import Tensor

FieldAttention = Literal["full", "cross_only", "mtgr", "none"]
NormStatistics = Literal["token", "group"]
ItemInput = Literal["encoder", "feature"]
Schedule = Literal["constant", "one_cycle"]
Switch = Literal["auto", "on", "off"]
SearchStrategy = Literal["beam", "diverse_beam", "bounded"]
MinedRoles = Literal["mining", "all"]
EvaluatorHead = Literal["cumulative", "monotone", "slot_clicks", "appeal", "by_support"]
Teacher = Literal["mined", "exposed"]


MOST_MEMBERS, MOST_BEAMS, MOST_DECAY = 64, 16, 3
SMALLEST_BATCH = 32
"""Requests a step at least, where a training on few requests takes smaller batches."""


@dataclass(frozen=True)
class TrainedWeights:
    """A model that can be stored: its weights by name and the JSON-able settings that rebuild it."""

    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]


FROM_NOTHING = TrainedWeights({}, {})
"""Stands for no earlier model, where a training may start from one."""


def require(holds: bool, name: str, value: object, allowed: str) -> None:
    """Raises ValueError naming the setting, its value and what was allowed, unless the condition holds."""
    if not holds:
        raise ValueError(f"{name} is {value!r}; allowed: {allowed}")


def check_types(config: object) -> None:
    """Raises ValueError for the first setting that is no number, text or truth value where one is needed.

    Settings that mean the same in every configuration (`LEAST`) are held to the same limits, too.
    """
    for name, declared in get_type_hints(type(config)).items():
        types, kind = _KINDS.get(declared, ((object,), ""))
        value = getattr(config, name)
        truth_for_number = isinstance(value, bool) and declared in (int, float)
        unknown = isinstance(value, float) and math.isnan(value)
        require(isinstance(value, types) and not truth_for_number and not unknown, name, value, kind)
        if name in LEAST:
            require(value >= LEAST[name], name, value, f"{LEAST[name]} or more")


LEAST: Mapping[str, int] = {"seed": 0, "bootstrap_samples": 40}
"""Of fewer than 40 resamples none lies beyond the ends of a 95% interval, and the ends are chance."""


_KINDS: Mapping[object, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
}


def require_choice(name: str, value: str, choices: object) -> None:
    """Raises ValueError unless the value is one of a Literal's choices."""
    require(value in get_args(choices), name, value, ", ".join(map(str, get_args(choices))))


@dataclass(frozen=True)
class NetworkConfig:
    """What the evaluator and the generator have in common: the feature layer and the Transformer.

    Attributes:
        embedding_dim: Width d of a field's embedding.
        width: Width d_model of the Transformer.
        layers: Transformer layers: N_E of the evaluator; N_G in each of the generator's encoder and decoder.
        heads: Attention heads over slots.
        feedforward: Hidden width of the feed-forward blocks.
        dropout: Dropout of attention outputs and feed-forward blocks.
        position_dim: Width d_pos of the slot embedding.
        field_attention: Inter-domain attention; `full`, `cross_only`, `mtgr` or `none`.
        field_heads: Heads of the inter-domain attention.
        norm_statistics: Statistics of Group Layer Normalization: `token` or `group`.
        id_dropout: Share of categorical values shown as unknown in training, which also trains that index.
    Source: DeGRe (arXiv 2605.25749), 5.1.4, for embedding_dim and layers; the rest is not published.
    """

    embedding_dim: int = 16
    width: int = 64
    layers: int = 6
    heads: int = 4
    feedforward: int = 256
    dropout: float = 0.1
    position_dim: int = 16
    field_attention: FieldAttention = "full"
    field_heads: int = 2
    norm_statistics: NormStatistics = "token"
    id_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        check_shape(self)


@dataclass(frozen=True)
class EvaluatorConfig(NetworkConfig):
    """Shape of the Lookahead Evaluator; six layers as in the paper.

    Attributes:
        head: `cumulative`, the paper's levels P(V >= k) of every prefix; `monotone`, the same, decreasing in
            k by construction; `slot_clicks`, the click of each slot after its prefix, summed to the value;
            `appeal`, the click of each item wherever it stands; `by_support`, `slot_clicks` where the log
            shows every rank in every slot often enough, else `appeal`; see `support.with_head`.
        examination_decay: Of `appeal`: slot t is assumed to be looked at with the chance t^-decay.
        members: M evaluators, trained side by side and averaged; 1 is the paper's single one.
    """

    head: EvaluatorHead = "cumulative"
    examination_decay: float = 0.05
    members: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("head", self.head, EvaluatorHead)
        decay = self.examination_decay
        require(0 < decay <= MOST_DECAY, "examination_decay", decay, f"above 0, at most {MOST_DECAY}")
        require(1 <= self.members <= MOST_MEMBERS, "members", self.members, f"1 to {MOST_MEMBERS}")


@dataclass(frozen=True)
class GeneratorConfig(NetworkConfig):
    """Shape of the Online Generator; four layers each in encoder and decoder, as in the paper.

    Attributes:
        cross_attention: Lets decoder layers attend to the candidates; off is the literal reading.
        item_input: What a chosen item feeds to the next step: its `encoder` row or its `feature` row.
        pointer_scaling: Divides pointer logits by the square root of the width.
        beam_size: Prefixes that its decode keeps; 1 is the paper's greedy decode. Training does not see it.
    Source: DeGRe (arXiv 2605.25749), 4.3.
    """

    layers: int = 4
    cross_attention: bool = False
    item_input: ItemInput = "encoder"
    pointer_scaling: bool = True
    beam_size: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("item_input", self.item_input, ItemInput)
        require(1 <= self.beam_size <= MOST_BEAMS, "beam_size", self.beam_size, f"1 to {MOST_BEAMS}")


def check_shape(config: NetworkConfig) -> None:
    """Raises ValueError for the first setting of a model that cannot be built."""
    sizes = ("embedding_dim", "width", "layers", "heads", "feedforward", "position_dim", "field_heads")
    for name in sizes:
        require(getattr(config, name) >= 1, name, getattr(config, name), "1 or more")
    require(config.width % config.heads == 0, "heads", config.heads, f"a divisor of width {config.width}")
    require(
        config.embedding_dim % config.field_heads == 0,
        "field_heads",
        config.field_heads,
        f"a divisor of embedding_dim {config.embedding_dim}",
    )
    for name in ("dropout", "id_dropout"):
        require(0 <= getattr(config, name) < 1, name, getattr(config, name), "0 up to, not including, 1")
    require_choice("field_attention", config.field_attention, FieldAttention)
    require_choice("norm_statistics", config.norm_statistics, NormStatistics)


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    Attributes:
        epochs: Most passes over the training requests.
        warm_epochs: The same where a training starts from an earlier model's weights; 0: as many as `epochs`.
        batch_size: Requests a step, over all processes.
        least_steps: Steps of a whole training at least: on few requests batches are smaller, down to 32, and
            then epochs more. 0: as many as there are.
        accumulate: Equal parts of a step's requests that are computed one after another, to save memory.
        learning_rate: Rate of Adam; the peak when the schedule is `one_cycle`.
        schedule: `constant` (the paper) or `one_cycle`.
        weight_decay: Decoupled weight decay.
        gradient_clip: Largest norm of the gradient.
        patience: Epochs without a better validation loss before training stops.
        device: `auto` (CUDA when there is one), `cpu`, `cuda`, `cuda:0`, ….
        bfloat16: Autocast to bfloat16: `auto` (on CUDA only), `on` or `off`.
        compile: `torch.compile`: `auto` (on CUDA only), `on` (not without a C++ compiler) or `off`.
        seed: Of weights, order and dropout.
        resume: Continues a training of the same settings, data and code that was interrupted, and does not
            repeat a finished one. Off begins anew and keeps no checkpoints.
        checkpoint_every_steps: Steps of an epoch between two checkpoints; 0: only when an epoch ends.
    Source: DeGRe (arXiv 2605.25749), 5.1.4: Adam, 5e-4, 1,024.
    """

    epochs: int = 20
    warm_epochs: int = 0
    batch_size: int = 1024
    least_steps: int = 0
    accumulate: int = 1
    learning_rate: float = 5e-4
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    patience: int = 2
    device: str = "auto"
    bfloat16: Switch = "auto"
    compile: Switch = "auto"
    seed: int = 0
    resume: bool = True
    checkpoint_every_steps: int = 200

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("epochs", "batch_size", "accumulate", "patience"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(
            self.batch_size % self.accumulate == 0,
            "accumulate",
            self.accumulate,
            f"a divisor of batch_size {self.batch_size}",
        )
        require(self.least_steps >= 0, "least_steps", self.least_steps, "0 or more")
        every = self.checkpoint_every_steps
        require(every >= 0, "checkpoint_every_steps", every, "0 (at the ends of epochs) or more")
        require(self.warm_epochs >= 0, "warm_epochs", self.warm_epochs, "0 (as many as epochs) or more")
        for name in ("learning_rate", "gradient_clip"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require_choice("schedule", self.schedule, Schedule)
        require_choice("bfloat16", self.bfloat16, Switch)
        require_choice("compile", self.compile, Switch)

    def on(self, requests: int, shares: int) -> "TrainingConfig":
        """Returns the same training on so many requests, with batches and epochs that make `least_steps`.

        Args:
            requests: That are learned from.
            shares: Into which every batch is divided, over processes and parts.
        """
        size, epochs = self.batch_size, self.epochs
        if self.least_steps * size > requests * epochs:
            smallest = min(size, SMALLEST_BATCH)
            size = max(smallest, requests * epochs // self.least_steps)
        size = max(min(size, requests) // shares * shares, shares)
        epochs = max(epochs, -(-self.least_steps // max(requests // size, 1)))
        patience = -(-self.patience * epochs // self.epochs)
        return replace(self, batch_size=size, epochs=epochs, patience=patience)

    def warm(self) -> "TrainingConfig":
        """Returns the same training where it starts from an earlier model's weights."""
        return replace(self, epochs=self.warm_epochs or self.epochs)


@dataclass(frozen=True)
class EpochMiningConfig:
    """What the mining evaluator mines after each epoch of its training, so that its optimism can be followed.

    Attributes:
        requests: Validation requests of its own that are searched, drawn at random; 0: none.
        beam_size: B.
        seed: Of the draw.
    """

    requests: int = 0
    beam_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.requests >= 0, "requests", self.requests, "0 (none) or more")
        require(1 <= self.beam_size <= 10_000, "beam_size", self.beam_size, "1 to 10,000")


@dataclass(frozen=True)
class MiningConfig:
    """How lookahead sequences are mined.

    Attributes:
        strategy: `beam`, the paper's; `diverse_beam`, which spreads over sets of items before it keeps a
            second order of one; `bounded`, the widest within `most_expansions`, exact where all lists fit.
        beam_size: B, sequences that are found; also the breadth of `beam` and `diverse_beam`.
        orders_per_set: Orders of one set of items that `diverse_beam` keeps while there are other sets.
        most_expansions: Scored prefixes a request that `bounded` may spend.
        top_k: Before each step, keep only the K remaining candidates with the highest ranking score; 0: all.
        batch_size: Requests searched together; 0 takes as many as keep the cores busy in their caches.
        shard_size: Requests in one stored shard.
        most_requests: Training requests mined at most, drawn at random, and an eighth as many validation
            requests; 0 mines all.
        roles: Mine the training requests of the `mining` role, or of `all`; no clicks are read either way.
        compile: `torch.compile` of the search step: `auto` (on CUDA, and where minutes of work wait), `on`
            or `off`.
        bfloat16: As in `TrainingConfig`.
        device: As in `TrainingConfig`.
        pessimism: kappa: a list counts its members' mean value less so many of their standard deviations;
            0, or above with an ensemble.
        seed: Of the draw.
    Source: DeGRe (arXiv 2605.25749), 4.2; B = 8 is its best setting.
    """

    strategy: SearchStrategy = "beam"
    beam_size: int = 8
    orders_per_set: int = 1
    most_expansions: int = 2000
    top_k: int = 0
    batch_size: int = 0
    shard_size: int = 8192
    most_requests: int = 0
    roles: MinedRoles = "mining"
    pessimism: float = 0.0
    compile: Switch = "auto"
    bfloat16: Switch = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(1 <= self.beam_size <= 10_000, "beam_size", self.beam_size, "1 to 10,000")
        for name in ("orders_per_set", "most_expansions", "shard_size"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("top_k", "batch_size", "most_requests"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(0 <= self.pessimism <= 100, "pessimism", self.pessimism, "0 to 100")
        require_choice("strategy", self.strategy, SearchStrategy)
        require_choice("roles", self.roles, MinedRoles)
        require_choice("compile", self.compile, Switch)
        require_choice("bfloat16", self.bfloat16, Switch)


@dataclass(frozen=True)
class DistillationConfig:
    """The hybrid distillation objective.

    Attributes:
        teacher: `mined` sequences, or the `exposed` lists alone, as in the paper's ablation.
        soft_label_weight: alpha, the weight of the soft labels.
        soft_label_temperature: tau_q; 1 is the paper's formula.
        sequence_temperature: tau_w of the sequence weights.
        sequence_weighting: Off gives every sequence of a request the same weight.
        one_sequence_a_step: In training, learn from one sequence of each request, drawn by weight, a step.
        hard_labels: Off leaves only the soft labels, as in the paper's ablation.
        warm_start: Starts the embeddings from the mining evaluator's.
        own_prefix_rounds: Further trainings on the generator's own lists too, each of whose prefixes the
            evaluator labels anew; 0: none, as in the paper.
        own_prefix_beam: B of the completions that label them.
        despite_log: Distils also where slots follow the score and no logged click speaks for mined lists.
    Source: DeGRe (arXiv 2605.25749), Eq. 9, 10 and 13; alpha from 5.1.4; tau_w is not published.
    """

    teacher: Teacher = "mined"
    soft_label_weight: float = 0.01
    soft_label_temperature: float = 1.0
    sequence_temperature: float = 0.1
    sequence_weighting: bool = True
    one_sequence_a_step: bool = False
    hard_labels: bool = True
    warm_start: bool = False
    own_prefix_rounds: int = 0
    own_prefix_beam: int = 4
    despite_log: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        require_choice("teacher", self.teacher, Teacher)
        require(
            0 <= self.own_prefix_rounds <= (10 if self.teacher == "mined" else 0),
            "own_prefix_rounds",
            self.own_prefix_rounds,
            "0 to 10; 0 when teacher is 'exposed', which cannot label them",
        )
        require(1 <= self.own_prefix_beam <= 10_000, "own_prefix_beam", self.own_prefix_beam, "1 to 10,000")
        require(self.soft_label_weight >= 0, "soft_label_weight", self.soft_label_weight, "0 or more")
        for name in ("soft_label_temperature", "sequence_temperature"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require(
            self.hard_labels or self.soft_label_weight > 0,
            "soft_label_weight",
            self.soft_label_weight,
            "above 0 when hard_labels is off",
        )
        require(
            self.hard_labels or self.teacher == "mined",
            "hard_labels",
            self.hard_labels,
            "on when teacher is 'exposed', which has no soft labels",
        )


@dataclass(frozen=True)
class EvaluationConfig:
    """How lists are judged.

    Attributes:
        requests: Test requests whose lists are valued, drawn at random; 0 takes all.
        judged_requests: Of these, how many are also compared with random lists (HR@K%), the costly part.
        comparison_lists: Random lists a request, S.
        exact_requests: How many requests are also compared with all their lists, exactly; 0: none.
        exact_steps: Largest tree of all lists, in steps a request, that is searched; a request with a larger
            one is left out.
        batch_size: Requests decoded and searched together.
        bootstrap_samples: Resamples behind every interval.
        device: As in `TrainingConfig`.
        seed: Of the draw of requests, lists and resamples.
    Source: DeGRe (arXiv 2605.25749), 5.1.3: 10,000 lists.
    """

    requests: int = 0
    judged_requests: int = 1000
    comparison_lists: int = 10_000
    exact_requests: int = 200
    exact_steps: int = 2_000_000
    batch_size: int = 256
    bootstrap_samples: int = 1000
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.requests >= 0, "requests", self.requests, "0 (all) or more")
        require(self.exact_requests >= 0, "exact_requests", self.exact_requests, "0 (none) or more")
        require(self.exact_steps >= 1, "exact_steps", self.exact_steps, "1 or more")
        for name in ("judged_requests", "comparison_lists", "batch_size"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
