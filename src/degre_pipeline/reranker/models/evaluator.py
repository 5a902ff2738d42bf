"""The Lookahead Evaluator: the expected cumulative clicks of every prefix of a list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from degre_pipeline.reranker.losses import cumulative_regression_loss
from degre_pipeline.reranker.models.feature_layer import FeatureLayer
from degre_pipeline.reranker.models.offsets import ValueOffsets
from degre_pipeline.reranker.models.transformer import TransformerLayer

Cache = list[tuple[Tensor, Tensor]]


class Evaluator(nn.Module, ABC):
    """What a search and a judge ask of an evaluator, be it one model or several."""

    list_length: int

    @property
    @abstractmethod
    def members(self) -> list[LookaheadEvaluator]:
        """The models that it consists of."""

    @abstractmethod
    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the probability that the clicks among the first t items reach k, [b, t, L]."""

    @abstractmethod
    def project(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns one vector for each candidate, [b, n, w], without its slot."""

    @abstractmethod
    def values_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the expected clicks of every prefix, [b, t], of lists given as item vectors, [b, t, w].

        With the keys and values of encoded prefixes, `past`, the vectors continue those.
        """

    @abstractmethod
    def extend(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Values alternatives for the next slot of prefixes whose keys and values are stored.

        Args:
            vectors: Alternatives for the slot, [p, m, w].
            cache: Keys and values of the prefix by layer, each [p, t, w].
            slot: Zero-based slot, equal to t.
        Returns: Expected clicks of the prefix and the alternative, [p, m]; keys and values of the
            alternatives by layer, [p, m, w] each.
        """

    @abstractmethod
    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the cache of empty prefixes, on the device and in the type of a tensor."""


class LookaheadEvaluator(Evaluator):
    """Causal Transformer with a cumulative regression head.

    Row t of the logits, O[t, k], depends on the first t items only and says whether their clicks reach k.
    Calibration after training stretches and shifts them, by column unless those are monotone.
    Source: DeGRe (arXiv 2605.25749), 4.1, Eq. 5 to 7.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        features: FeatureLayer,
        slots: nn.Module,
        layers: Sequence[TransformerLayer],
        head: nn.Module,
        *,
        list_length: int,
        columns: int,
        monotone: bool = False,
        offsets: ValueOffsets | None = None,
    ) -> None:
        super().__init__()
        self.offsets = offsets
        self.features, self.slots, self.head = features, slots, head
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(features.project.out_features)
        self.list_length, self.monotone = list_length, monotone
        # Set by calibration after training.
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("shift", torch.zeros(1 if monotone else columns))
        self.layer_step: Callable[..., tuple[Tensor, Tensor, Tensor]] = TransformerLayer.step

    def forward(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the logits O, [b, t, L], of lists.

        Args:
            static: Indices of user and context fields, [b, columns].
            items: Indices of the item and score fields of the listed items, in order, [b, t, columns].
        """
        return self.logits_of(self.project(static, items))

    def list_loss(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss of exposed lists, in nats: what this kind of evaluator learns from.

        Args:
            logits: Of the lists, as `forward` returns them.
            clicks: 1 for a clicked slot, [b, t].
            mask: True for filled slots, [b, t].
        """
        return cumulative_regression_loss(logits, clicks.cumsum(1), mask)

    def surprise(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns -log P(clicks) of every exposed list, [b], in nats; arguments as of `list_loss`.

        Raises: NotImplementedError: Where an evaluator does not say which slots are clicked.
        """
        raise NotImplementedError(f"{type(self).__name__} says how many slots are clicked, not which")

    @property
    def members(self) -> list[LookaheadEvaluator]:
        """Itself alone."""
        return [self]

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the probability that the clicks among the first t items reach k, [b, t, L]."""
        return self(static, items).sigmoid()  # type: ignore[no-any-return]

    def project(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns one vector for each candidate, [b, n, w], without its slot; its offset, if any, is last."""
        vectors: Tensor = self.features(static, candidates)[0]
        return vectors if self.offsets is None else torch.cat([vectors, self.offsets(static, candidates)], -1)

    def logits_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the logits O, [b, t, L], of lists given as item vectors in order, [b, t, w].

        With the keys and values of encoded prefixes, `past`, the vectors continue those.
        """
        x, offsets = self.encoded(vectors, past)
        return self.head_logits(x, offsets)

    def encoded(self, vectors: Tensor, past: Cache | None) -> tuple[Tensor, Tensor | None]:
        """Returns the last layer's rows of listed items, [b, t, w], and their offsets, [b, t, 1], if any."""
        start = past[0][0].shape[1] if past else 0
        x, offsets = self._split(vectors)
        x = x + self.slots()[start : start + vectors.shape[1]]
        for index, layer in enumerate(self.layers):
            x = layer(x, causal=True, past=past[index] if past else None)
        return x, offsets

    def values_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the expected clicks of every prefix, [b, t]; see `Evaluator`."""
        return prefix_values(self.logits_of(vectors, past), past[0][0].shape[1] if past else 0)

    def extend(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Values alternatives for the next slot, [p, m]; see `Evaluator`."""
        logits, own = self.step(vectors, cache, slot)
        return slot_value(logits, slot), own

    def step(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Scores alternatives for the next slot of prefixes whose keys and values are stored.

        Args:
            vectors: Alternatives for the slot, [p, m, w].
            cache: Keys and values of the prefix by layer, each [p, t, w].
            slot: Zero-based slot, equal to t.
        Returns: Logits [p, m, L]; keys and values of the alternatives by layer, [p, m, w] each.
        """
        x, offsets, own = self.encoded_step(vectors, cache, slot)
        return self.head_logits(x, offsets), own

    def encoded_step(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Tensor | None, Cache]:
        """Returns the last layer's rows of alternatives, [p, m, w], and their offsets, keys and values."""
        x, offsets = self._split(vectors)
        x = x + self.slots()[slot]
        own: Cache = []
        # A compiler makes code of its own for sizes of 0 and 1; here they are too small to be worth it.
        plain = min(*vectors.shape[:2]) < 2 or slot == 0
        layer_step = TransformerLayer.step if plain else self.layer_step
        for layer, (keys, values) in zip(self.layers, cache, strict=True):
            assert isinstance(layer, TransformerLayer)
            x, key, value = layer_step(layer, x, keys, values)
            own.append((key, value))
        return x, offsets, own

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the cache of empty prefixes, on the device and in the type of a tensor."""
        width = self.features.project.out_features
        return [(like.new_empty(prefixes, 0, width), like.new_empty(prefixes, 0, width)) for _ in self.layers]

    def _split(self, vectors: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns item vectors without their offsets, and these, [..., 1], if any."""
        return (vectors, None) if self.offsets is None else (vectors[..., :-1], vectors[..., -1:])

    def head_logits(self, x: Tensor, offsets: Tensor | None = None) -> Tensor:
        """Returns the calibrated logits of encoded rows, plus offsets in the first columns, [..., c]."""
        logits: Tensor = self.head(self.norm(x))
        if offsets is not None:
            logits = logits + functional.pad(offsets, (0, logits.shape[-1] - offsets.shape[-1]))
        if self.monotone:
            first, drops = logits[..., :1], functional.softplus(logits[..., 1:])
            logits = torch.cat([first, first - drops.cumsum(-1)], -1)
        return logits * self.scale + self.shift


def extended(cache: Cache, own: Cache, prefix: Tensor, option: Tensor) -> Cache:
    """Returns the keys and values of chosen extensions: their prefix's and their own.

    Args:
        cache: Of the prefixes by layer, each [p, t, w].
        own: Of the alternatives by layer, each [p, m, w].
        prefix: Which prefix each extension continues, [e].
        option: Which of its alternatives it takes, [e].
    Returns: By layer, [e, t + 1, w] each.
    """

    def grow(past: Tensor, new: Tensor) -> Tensor:
        return torch.cat([past[prefix], new[prefix, option][:, None]], 1)

    return [(grow(k, key), grow(v, value)) for (k, v), (key, value) in zip(cache, own, strict=True)]


def remaining(selectable: Tensor, most: int) -> Tensor:
    """Returns the first `most` selectable candidates in ascending order, [..., most], of masks [..., n].

    Where fewer are selectable, others follow them.
    """
    return (~selectable).to(torch.uint8).argsort(dim=-1, stable=True)[..., :most]


def reachable(list_length: int, device: torch.device | None = None) -> Tensor:
    """Returns the lower triangle [L, L]: True where level k can be reached by t items."""
    return torch.ones(list_length, list_length, dtype=torch.bool, device=device).tril()


def prefix_values(logits: Tensor, first_slot: int = 0) -> Tensor:
    """Returns the expected clicks of every prefix, [..., t], of logits [..., t, L] from a zero-based slot on.

    Source: DeGRe (arXiv 2605.25749), Eq. 4.
    """
    triangle = reachable(logits.shape[-1], logits.device)[first_slot : first_slot + logits.shape[-2]]
    return (logits.sigmoid() * triangle).sum(-1)


def slot_value(logits: Tensor, slot: int) -> Tensor:
    """Returns the expected clicks, [...], of lists that end at a zero-based slot, of its logits [..., L]."""
    return logits[..., : slot + 1].sigmoid().sum(-1)
