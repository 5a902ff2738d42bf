"""Several Lookahead Evaluators as one: trained in one pass, and averaged."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.evaluator import Cache, Evaluator, LookaheadEvaluator


class EvaluatorEnsemble(Evaluator):
    """M evaluators of one shape; a list is worth the mean of their values.

    To a search it is one evaluator: vectors of a candidate lie side by side, [.., M w], and the cache
    holds the layers of one member after those of another.
    Source: Lakshminarayanan et al. 2017 (deep ensembles).
    """

    def __init__(self, members: Sequence[LookaheadEvaluator]) -> None:
        super().__init__()
        require(len(members) >= 1, "members", len(members), "1 or more")
        _check_alike(members)
        self.parts = nn.ModuleList(members)
        self.list_length = members[0].list_length

    @property
    def members(self) -> list[LookaheadEvaluator]:
        """The evaluators, each of which works alone."""
        return list(self.parts)  # type: ignore[arg-type]

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the members' mean probability that the first t clicks reach k, [b, t, L]."""
        return torch.stack([member.levels(static, items) for member in self.members]).mean(0)

    def project(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns the vectors of each candidate, [b, n, M w], without its slot."""
        return torch.cat([member.project(static, candidates) for member in self.members], -1)

    def values_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the value of every prefix, [b, t], as `Evaluator.values_of`."""
        pasts = self._shares(past) if past else [None] * len(self.parts)
        parts = zip(self.members, vectors.chunk(len(self.parts), -1), pasts, strict=True)
        return _mean([member.values_of(own, before) for member, own, before in parts])

    def extend(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Values alternatives for the next slot, [p, m], as `Evaluator.extend`."""
        values: list[Tensor] = []
        grown: Cache = []
        parts = zip(self.members, vectors.chunk(len(self.parts), -1), self._shares(cache), strict=True)
        for member, own, share in parts:
            value, stored = member.extend(own.contiguous(), share, slot)
            values.append(value)
            grown += stored
        return _mean(values), grown

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the caches of empty prefixes of all members."""
        return [pair for member in self.members for pair in member.empty_cache(prefixes, like)]

    def _shares(self, cache: Cache) -> list[Cache]:
        layers = len(cache) // len(self.parts)
        return [cache[start : start + layers] for start in range(0, len(cache), layers)]


class MembersInOnePass(nn.Module):
    """Evaluators of one shape whose parameters are stacked, so that one forward and backward trains them all.

    They see the same batches; initial weights and dropout are their own.
    """

    def __init__(self, members: Sequence[LookaheadEvaluator]) -> None:
        super().__init__()
        parameters, buffers = stack_module_state(list(members))
        self._parameter_names, self._buffer_names = list(parameters), list(buffers)
        for name, parameter in parameters.items():
            self.register_parameter(_flat(name), nn.Parameter(parameter.detach()))
        for name, buffer in buffers.items():
            self.register_buffer(_flat(name), buffer, persistent=False)
        # Not a submodule: it lends its forward, not its weights.
        self._shape = [members[0]]
        self.count = len(members)

    def forward(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns every member's logits, [M, b, t, L]; inputs as of `LookaheadEvaluator.forward`."""
        shape = self._shape[0].train(self.training)
        stacked = {
            **{name: self.get_parameter(_flat(name)) for name in self._parameter_names},
            **{name: self.get_buffer(_flat(name)) for name in self._buffer_names},
        }

        def one(own: dict[str, Tensor]) -> Any:
            return functional_call(shape, own, (static, items))

        # The CPU's fused attention cannot be stacked; the written-out form can.
        backends = [SDPBackend.MATH] if static.device.type == "cpu" else list(_BACKENDS)
        with sdpa_kernel(backends):
            logits: Tensor = torch.vmap(one, randomness="different")(stacked)
        return logits

    def clip_gradients(self, most: float) -> None:
        """Makes each member's gradient that of its own loss, not of the mean, and limits it to a norm."""
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        squares = torch.stack([grad.flatten(1).square().sum(1) for grad in gradients]).sum(0)
        factor = self.count * (most / (self.count * squares.sqrt() + 1e-6)).clamp(max=1.0)
        for grad in gradients:
            grad.mul_(factor.view(-1, *[1] * (grad.ndim - 1)))

    def separate(self) -> list[LookaheadEvaluator]:
        """Returns the members as evaluators of their own, on the CPU, in eval mode."""
        members = []
        for index in range(self.count):
            member = copy.deepcopy(self._shape[0])
            for name, parameter in member.named_parameters():
                parameter.data.copy_(self.get_parameter(_flat(name))[index])
            members.append(member.eval())
        return members


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean(0)


def _check_alike(members: Sequence[LookaheadEvaluator]) -> None:
    shapes = [{name: tuple(p.shape) for name, p in member.state_dict().items()} for member in members]
    differing = {
        name: sorted({str(shape.get(name)) for shape in shapes})
        for name in shapes[0]
        if any(shape.get(name) != shapes[0][name] for shape in shapes)
    }
    if differing:
        raise ValueError(f"members differ in {differing}; allowed: one shape and one vocabulary for all")


_BACKENDS = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


def _flat(name: str) -> str:
    return name.replace(".", "__")
