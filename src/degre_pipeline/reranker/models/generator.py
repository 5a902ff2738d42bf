"""The Online Generator: orders a request's candidates in one greedy decode, without the evaluator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.models.feature_layer import FeatureLayer, build_feature_layer
from degre_pipeline.reranker.models.model_config import GeneratorConfig
from degre_pipeline.reranker.models.transformer import SlotEmbedding, TransformerLayer
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.schema import FieldSize


@dataclass(frozen=True)
class Encoded:
    """What decoding needs: M [b, n, w], what a chosen item feeds back [b, n, w], the start and the mask."""

    memory: Tensor
    inputs: Tensor
    start: Tensor
    mask: Tensor


class OnlineGenerator(nn.Module):
    """Bidirectional candidate encoder, user-guided causal decoder, pointer over the remaining candidates.

    Source: DeGRe (arXiv 2605.25749), 4.3, Eq. 11 and 12.
    """

    def __init__(
        self,
        features: FeatureLayer,
        encoder: Sequence[TransformerLayer],
        decoder: Sequence[TransformerLayer],
        slots: SlotEmbedding,
        *,
        user_width: int,
        list_length: int,
        cross_attention: bool,
        feeds_encoder_rows: bool,
        pointer_scale: float,
    ) -> None:
        super().__init__()
        width = features.project.out_features
        self.features, self.slots = features, slots
        self.encoder, self.decoder = nn.ModuleList(encoder), nn.ModuleList(decoder)
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.start = nn.Linear(max(user_width, 1), width)
        self.combine = nn.Linear(width, width)
        self.list_length, self.cross_attention = list_length, cross_attention
        self.feeds_encoder_rows, self.pointer_scale = feeds_encoder_rows, pointer_scale

    def encode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> Encoded:
        """Encodes the candidates of each request.

        Args:
            static: Indices of user and context fields, [b, columns].
            candidates: Indices of item and score fields, [b, n, columns].
            mask: True for real candidates, [b, n].
        """
        vectors, user = self.features(static, candidates)
        x = vectors
        for layer in self.encoder:
            x = layer(x, mask=mask)
        memory = self.encoder_norm(x)
        # Without user fields every request starts alike, from a learned vector.
        start = self.start(user if user.shape[1] else user.new_ones(user.shape[0], 1))
        return Encoded(memory, memory if self.feeds_encoder_rows else vectors, start, mask)

    def forward(self, static: Tensor, candidates: Tensor, mask: Tensor, sequences: Tensor) -> Tensor:
        """Teacher forcing: log-probabilities of every candidate at every step of given sequences.

        Args:
            static: As in `encode`, and so are `candidates` and `mask`.
            candidates: [b, n, columns].
            mask: [b, n].
            sequences: Candidate indices, [b, k, t]; negative at the end of shorter lists.
        Returns: [b, k, t, n]; -inf for padded and already chosen candidates.
        """
        encoded = self.encode(static, candidates, mask)
        b, k, t = sequences.shape
        chosen = gather_candidates(encoded.inputs, sequences[..., :-1].clamp(min=0))
        start = encoded.start[:, None, None, :].expand(b, k, 1, -1)
        x = self.combine(torch.cat([start, chosen], 2)) + self.slots()[:t]
        x = x.flatten(0, 1)
        memory, memory_mask = (encoded.memory, mask) if self.cross_attention else (None, None)
        for layer in self.decoder:
            x = layer(x, causal=True, memory=memory, memory_mask=memory_mask)
        states = self.decoder_norm(x).unflatten(0, (b, k))
        selectable = mask[:, None, None, :] & ~chosen_before(sequences, mask.shape[1])
        flat = self._pointer(states.flatten(1, 2), encoded.memory, selectable.flatten(1, 2))
        log_probabilities: Tensor = flat.unflatten(1, (k, t))
        return log_probabilities

    @torch.no_grad()
    def greedy_decode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the list of each request with one cached greedy decode.

        Args:
            static: As in `encode`, and so are `candidates` and `mask`.
            candidates: [b, n, columns].
            mask: [b, n].
        Returns: Sequences [b, L], -1 where a request has no candidate left; log-probabilities at each step
            [b, L, n].
        """
        encoded = self.encode(static, candidates, mask)
        b, n = mask.shape
        selectable, x = mask.clone(), encoded.start
        width = encoded.memory.shape[-1]
        cache = [(x.new_empty(b, 0, width), x.new_empty(b, 0, width)) for _ in self.decoder]
        sequences, steps = [], []
        for slot in range(self.list_length):
            state, cache = self._decode_step(x, cache, slot, encoded)
            log_probabilities = self._pointer(state, encoded.memory, selectable[:, None, :])[:, 0]
            choice = log_probabilities.argmax(-1)
            sequences.append(torch.where(selectable.any(-1), choice, -1))
            steps.append(log_probabilities)
            selectable = selectable & (torch.arange(n, device=mask.device) != choice[:, None])
            x = gather_candidates(encoded.inputs, choice)
        return torch.stack(sequences, 1), torch.stack(steps, 1)

    @torch.no_grad()
    def beam_decode(
        self, static: Tensor, candidates: Tensor, mask: Tensor, beam_size: int
    ) -> tuple[Tensor, Tensor]:
        """Returns the list of each request with the highest product of probabilities that a beam finds.

        Args:
            static: As in `encode`, and so are `candidates` and `mask`.
            candidates: [b, n, columns].
            mask: [b, n].
            beam_size: Prefixes that are kept, B.
        Returns: As `greedy_decode`, of the best list.
        """
        encoded = self.encode(static, candidates, mask)
        b, n = mask.shape
        own = torch.arange(b, device=mask.device).repeat_interleave(beam_size)
        every = Encoded(encoded.memory[own], encoded.inputs[own], encoded.start[own], mask[own])
        first_row = (torch.arange(b, device=mask.device) * beam_size)[:, None]
        indices = torch.arange(n, device=mask.device)
        width = indices[-1:] + 1  # n as a tensor: ONNX has no remainder by a size
        selectable, x = every.mask, every.start
        # Empty slices and sums rather than new tensors of a size, which not every runner can make.
        cache = [(x[:, None][:, :0],) * 2 for _ in self.decoder]
        # All beams start alike, so all but the first are dead until it has been extended.
        dead = torch.where(torch.arange(beam_size, device=mask.device) > 0, float("-inf"), 0.0)
        score = 0 * mask[:, :1].to(x.dtype) + dead
        sequences = own[:, None][:, :0]
        steps = every.mask[:, None][:, :0].to(x.dtype)
        for slot in range(self.list_length):
            state, cache = self._decode_step(x, cache, slot, every)
            log_probabilities = self._pointer(state, every.memory, selectable[:, None, :])[:, 0]
            finished = ~selectable.any(-1)
            # A finished list is extended by nothing, at no cost: in the place of the first candidate.
            nothing = torch.where(indices == 0, 0.0, float("-inf"))
            gained = torch.where(finished[:, None], nothing, log_probabilities)
            score, flat = (score.view(-1, 1) + gained).view(b, -1).topk(beam_size, -1)
            rows, choice = (first_row + flat // width).view(-1), (flat % width).view(-1)
            placed = torch.where(finished[rows], -1, choice)
            sequences = torch.cat([sequences[rows], placed[:, None]], 1)
            steps = torch.cat([steps[rows], log_probabilities[rows][:, None]], 1)
            selectable = selectable[rows] & (indices != choice[:, None])
            cache = [(keys[rows], values[rows]) for keys, values in cache]
            x = gather_candidates(every.inputs, choice)
        best = first_row[:, 0]
        return sequences[best], steps[best]

    def _decode_step(
        self, x: Tensor, cache: list[tuple[Tensor, Tensor]], slot: int, encoded: Encoded
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        state = self.combine(x)[:, None, :] + self.slots()[slot]
        memory, memory_mask = (encoded.memory, encoded.mask) if self.cross_attention else (None, None)
        grown = []
        for layer, (keys, values) in zip(self.decoder, cache, strict=True):
            assert isinstance(layer, TransformerLayer)
            state, key, value = layer.step(state, keys, values, memory=memory, memory_mask=memory_mask)
            grown.append((torch.cat([keys, key], 1), torch.cat([values, value], 1)))
        return self.decoder_norm(state), grown

    def _pointer(self, states: Tensor, memory: Tensor, selectable: Tensor) -> Tensor:
        """Eq. 12: log-probabilities [b, s, n] of states [b, s, w] over memory [b, n, w]; -inf if not allowed.

        A state with nothing left to select gets -inf everywhere rather than NaN.
        """
        logits = (states @ memory.transpose(1, 2)) * self.pointer_scale
        logits = logits.masked_fill(~selectable, float("-inf"))
        nothing = ~selectable.any(-1, keepdim=True)
        normal = logits.masked_fill(nothing, 0.0).log_softmax(-1)
        return normal.masked_fill(~selectable, float("-inf"))


class Decoding(nn.Module):
    """A generator with the way its list is found: greedily, or by a beam over the lists' probabilities.

    Args:
        generator: In eval mode.
        beam_size: Prefixes that are kept; 1 is the greedy decode.
    """

    def __init__(self, generator: OnlineGenerator, beam_size: int = 1) -> None:
        super().__init__()
        self.generator, self.beam_size = generator, beam_size

    def forward(self, static: Tensor, candidates: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns sequences [b, L] and log-probabilities [b, L, n]; see `OnlineGenerator.greedy_decode`."""
        if self.beam_size == 1:
            return self.generator.greedy_decode(static, candidates, mask)
        return self.generator.beam_decode(static, candidates, mask, self.beam_size)

    def decode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the same: what serving asks of whatever stands in for a generator."""
        return self.forward(static, candidates, mask)


def chosen_before(sequences: Tensor, candidates: int) -> Tensor:
    """Returns True where a candidate was chosen at an earlier step, [..., t, n], of sequences [..., t]."""
    index = torch.arange(candidates, device=sequences.device)
    chosen = (sequences[..., None] == index).cumsum(-2) > 0
    return torch.cat([torch.zeros_like(chosen[..., :1, :]), chosen[..., :-1, :]], -2)


def build_generator(sizes: Sequence[FieldSize], list_length: int, config: GeneratorConfig) -> OnlineGenerator:
    """Builds the generator that a configuration describes, for the fitted sizes of the fields."""
    features = build_feature_layer(sizes, config)

    def layers(cross_attention: bool) -> list[TransformerLayer]:
        shape = (config.width, config.heads, config.feedforward, config.dropout)
        return [TransformerLayer(*shape, cross_attention) for _ in range(config.layers)]

    return OnlineGenerator(
        features,
        layers(False),
        layers(config.cross_attention),
        SlotEmbedding(list_length, config.position_dim, config.width),
        user_width=len(features.user_fields) * config.embedding_dim,
        list_length=list_length,
        cross_attention=config.cross_attention,
        feeds_encoder_rows=config.item_input == "encoder",
        pointer_scale=1 / math.sqrt(config.width) if config.pointer_scaling else 1.0,
    )
