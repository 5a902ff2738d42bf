"""Slot embedding and Transformer layer shared by the evaluator and the generator.

Dimension letters: b requests, p prefixes, m alternatives, t slots, n candidates, w model width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class SlotEmbedding(nn.Module):
    """The slot's share of Eq. 5: a learned position embedding times its columns of the linear layer."""

    def __init__(self, slots: int, position_dim: int, width: int) -> None:
        super().__init__()
        self.position = nn.Embedding(slots, position_dim)
        self.project = nn.Linear(position_dim, width, bias=False)

    def forward(self) -> Tensor:
        """Returns one vector for each slot, [t, w]."""
        projected: Tensor = self.project(self.position.weight)
        return projected


class TransformerLayer(nn.Module):
    """Pre-norm Transformer layer with GELU; optionally attends to a memory.

    `forward` runs over whole sequences; `step` runs over alternatives for the next position against
    stored keys and values, and both give the same numbers.
    """

    def __init__(
        self, width: int, heads: int, feedforward: int, dropout: float, cross_attention: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.memory_norm = nn.LayerNorm(width) if cross_attention else None
        if cross_attention:
            self.memory_query = nn.Linear(width, width)
            self.memory_key_value = nn.Linear(width, 2 * width)
            self.memory_out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)

    def forward(
        self,
        x: Tensor,
        *,
        causal: bool = False,
        mask: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """Returns the layer's output.

        Args:
            x: Inputs, [b, t, w].
            causal: Each position sees itself and earlier ones only.
            mask: True for positions that may be seen, [b, t].
            past: Keys and values of earlier positions, [b, s, w] each, that all may see; needs `causal`.
            memory: What cross-attention sees, [m, n, w], where b is a multiple of m.
            memory_mask: True for real rows of the memory, [m, n].
        """
        query, key, value = self.query_key_value(self.attention_norm(x)).chunk(3, -1)
        visible = None if mask is None else mask[:, None, None, :]
        if past is not None:
            t, s = x.shape[1], past[0].shape[1]
            key, value = torch.cat([past[0], key], 1), torch.cat([past[1], value], 1)
            visible = torch.ones(t, s + t, dtype=torch.bool, device=x.device).tril(diagonal=s)
        mixed = functional.scaled_dot_product_attention(
            self._split(query),
            self._split(key),
            self._split(value),
            attn_mask=visible,
            is_causal=causal and past is None,
        )
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        if memory is not None:
            x = x + self._attend_to_memory(x, memory, memory_mask)
        return x + self._feedforward(x)

    def step(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Runs one position for several alternatives that share a prefix.

        Args:
            x: Alternatives for the next position of every prefix, [p, m, w].
            keys: Keys of the prefix, [p, t, w]; t may be 0.
            values: Values of the prefix, [p, t, w].
            memory: What cross-attention sees, [p, n, w].
            memory_mask: True for real rows of the memory, [p, n].
        Returns: Outputs [p, m, w]; keys and values of the alternatives themselves, [p, m, w] each.
        """
        projected = _product_then_bias(self.query_key_value, self.attention_norm(x))
        query, key, value = projected.chunk(3, -1)
        x = x + _product_then_bias(self.out, self._attend_to_prefix(query, key, value, keys, values))
        if memory is not None:
            x = x + self._attend_to_memory(x, memory, memory_mask)
        hidden = functional.gelu(_product_then_bias(self.expand, self.feedforward_norm(x)))
        return x + _product_then_bias(self.contract, hidden), key, value

    def _attend_to_prefix(
        self, query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """Mixes each alternative's own value, [p, m, w], with those of its prefix, [p, t, w].

        A prefix has a handful of items, too few for matrix products: written out element by element,
        which a compiler fuses into one loop.
        """
        if keys.shape[1] == 0:
            return value
        split = (self.heads, query.shape[-1] // self.heads)
        query = query.unflatten(-1, split) / math.sqrt(split[1])
        own = (query * key.unflatten(-1, split)).sum(-1)
        past = (query.unsqueeze(2) * keys.unflatten(-1, split).unsqueeze(1)).sum(-1)
        largest = torch.maximum(past.amax(2), own)
        past, own = (past - largest.unsqueeze(2)).exp(), (own - largest).exp()
        mixed = (past.unsqueeze(-1) * values.unflatten(-1, split).unsqueeze(1)).sum(2)
        mixed = mixed + own.unsqueeze(-1) * value.unflatten(-1, split)
        normal: Tensor = mixed / (past.sum(2) + own).unsqueeze(-1)
        return normal.flatten(-2)

    def _split(self, rows: Tensor) -> Tensor:
        heads: Tensor = rows.unflatten(-1, (self.heads, -1))
        return heads.transpose(1, 2)

    def _feedforward(self, x: Tensor) -> Tensor:
        hidden = functional.gelu(self.expand(self.feedforward_norm(x)))
        contracted: Tensor = self.dropout(self.contract(hidden))
        return contracted

    def _attend_to_memory(self, x: Tensor, memory: Tensor, memory_mask: Tensor | None) -> Tensor:
        assert self.memory_norm is not None, "a memory needs cross_attention"
        groups = x.shape[0] // memory.shape[0]
        queries = self.memory_query(self.memory_norm(x)).unflatten(0, (memory.shape[0], groups)).flatten(1, 2)
        key, value = self.memory_key_value(memory).chunk(2, -1)
        visible = None if memory_mask is None else memory_mask[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(
            self._split(queries), self._split(key), self._split(value), attn_mask=visible
        )
        attended = self.dropout(self.memory_out(mixed.transpose(1, 2).flatten(2)))
        ungrouped: Tensor = attended.unflatten(1, (groups, -1)).flatten(0, 1)
        return ungrouped


def _product_then_bias(linear: nn.Linear, x: Tensor) -> Tensor:
    """Returns the linear map of x with its bias added last, where a compiler fuses it into what follows.

    Together they would first copy the bias to every row, a tenth of a search's time.
    """
    return functional.linear(x, linear.weight) + linear.bias
