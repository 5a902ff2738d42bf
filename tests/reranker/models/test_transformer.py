from collections.abc import Callable

import pytest
import torch
from random_modules import randomized, seeded
from torch import nn

from degre_pipeline.reranker.models.transformer import TransformerLayer

Layer = Callable[..., TransformerLayer]


class TestTransformerLayer:
    """The layer is PyTorch's pre-norm layer, with another way to store its keys."""

    memory, memory_mask = seeded(2, 4, 8, seed=3), torch.tensor([[True] * 4, [True, True, False, False]])

    def layer(self, cross_attention: bool = False) -> TransformerLayer:
        return randomized(TransformerLayer(8, 2, 16, 0.1, cross_attention))

    def reference(self, layer: TransformerLayer) -> nn.Module:
        cross = layer.memory_norm is not None
        kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
        reference = kind(8, 2, 16, activation="gelu", batch_first=True, norm_first=True).double().eval()
        names = {
            "self_attn.in_proj_": "query_key_value.",
            "self_attn.out_proj.": "out.",
            "linear1.": "expand.",
            "linear2.": "contract.",
            "norm1.": "attention_norm.",
            "norm3." if cross else "norm2.": "feedforward_norm.",
        }
        if cross:
            names |= {"norm2.": "memory_norm.", "multihead_attn.out_proj.": "memory_out."}
        own = layer.state_dict()
        weights = {a + end: own[b + end] for a, b in names.items() for end in ("weight", "bias")}
        for end in ("weight", "bias") if cross else ():
            parts = [own["memory_query." + end], own["memory_key_value." + end]]
            weights["multihead_attn.in_proj_" + end] = torch.cat(parts)
        reference.load_state_dict(weights)
        return reference

    def test_is_the_reference_encoder(self) -> None:
        layer, x = self.layer(), seeded(2, 4, 8)
        padded = self.reference(layer)(x, src_key_padding_mask=~self.memory_mask)

        assert torch.allclose(layer(x, mask=self.memory_mask)[self.memory_mask], padded[self.memory_mask])

    def test_is_the_reference_causal_encoder(self) -> None:
        layer, x = self.layer(), seeded(2, 5, 8)
        causal = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)

        assert torch.allclose(layer(x, causal=True), self.reference(layer)(x, src_mask=causal))

    def test_is_the_reference_decoder_for_several_sequences_of_one_memory(self) -> None:
        layer, x = self.layer(cross_attention=True), seeded(6, 5, 8)
        causal = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
        memory, mask = (rows.repeat_interleave(3, 0) for rows in (self.memory, self.memory_mask))
        expected = self.reference(layer)(x, memory, tgt_mask=causal, memory_key_padding_mask=~mask)
        decoded = layer(x, causal=True, memory=self.memory, memory_mask=self.memory_mask)

        assert torch.allclose(decoded, expected)

    @pytest.mark.parametrize("cross", [False, True])
    def test_steps_equal_the_whole_sequence(self, cross: bool) -> None:
        layer, x = self.layer(cross), seeded(2, 4, 8)
        seen = {"memory": self.memory, "memory_mask": self.memory_mask} if cross else {}
        whole = layer(x, causal=True, **seen)
        keys = values = x.new_empty(2, 0, 8)
        for slot in range(4):
            out, key, value = layer.step(x[:, slot : slot + 1], keys, values, **seen)
            keys, values = torch.cat([keys, key], 1), torch.cat([values, value], 1)
            assert torch.allclose(out[:, 0], whole[:, slot])

    def test_alternatives_of_a_step_do_not_see_each_other(self) -> None:
        layer, prefix, options = self.layer(), seeded(2, 3, 8), seeded(2, 5, 8, seed=1)
        _, keys, values = layer.step(prefix, *[prefix.new_empty(2, 0, 8)] * 2)
        together, _, _ = layer.step(options, keys, values)
        alone = [layer.step(options[:, m : m + 1], keys, values)[0] for m in range(5)]

        assert torch.allclose(together, torch.cat(alone, 1))

    def test_a_sequence_continues_stored_keys(self) -> None:
        layer, x = self.layer(), seeded(2, 5, 8)
        _, key, value = layer.query_key_value(layer.attention_norm(x[:, :2])).chunk(3, -1)

        assert torch.allclose(layer(x[:, 2:], causal=True, past=(key, value)), layer(x, causal=True)[:, 2:])
