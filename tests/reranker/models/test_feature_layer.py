import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_modules import randomized, seeded
from torch import Tensor, nn

from degre_pipeline.reranker.models.feature_layer import (
    FeatureLayer,
    FieldEmbedding,
    GroupLayerNorm,
    InterDomainAttention,
)
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.training.compilation import has_compiler

GROUPS = ["user", "context", "item", "item"]


class TestFieldEmbedding:
    sizes = (
        FieldSize("category", "categorical", "item", 1, 3),
        FieldSize("tags", "tags", "item", 3, 4),
        FieldSize("price", "numeric", "item", 1, 3),
    )

    def test_every_field_has_its_own_rows_and_real_tags_are_averaged(self) -> None:
        layer = FieldEmbedding(self.sizes, 2)
        nn.init.normal_(layer.table.weight)
        table = layer.table.weight.detach()
        tags = layer(torch.tensor([[[2, 1, 3, 0, 1]]])).detach()[0, 0]

        assert tags[0].tolist() == table[2].tolist()
        assert tags[1].tolist() == pytest.approx(((table[3 + 1] + table[3 + 3]) / 2).tolist())
        assert tags[2].tolist() == table[3 + 4 + 1].tolist()

    def test_unknown_values_start_at_zero(self) -> None:
        layer = FieldEmbedding(self.sizes, 2)

        assert layer(torch.zeros(1, 5, dtype=torch.int32)).abs().sum() == 0
        assert layer(torch.ones(1, 5, dtype=torch.int32)).abs().min() > 0

    def test_dropped_ids_train_the_unknown_index_of_categorical_fields_alone(self) -> None:
        torch.manual_seed(0)
        layer = FieldEmbedding(self.sizes, 2, id_dropout=0.5)
        shown = torch.ones(200, 5, dtype=torch.int32)
        layer(shown).sum().backward()
        counts = layer.table.weight.grad[:, 0]

        assert 60 < counts[0] < 140
        assert counts[0] + counts[1] == 200
        assert counts[3] == counts[7] == 0
        assert torch.equal(layer.eval()(shown), layer(shown))
        layer.zero_grad()
        layer(shown).sum().backward()
        assert layer.table.weight.grad[0].abs().sum() == 0

    def test_without_dropout_the_unknown_index_is_untouched(self) -> None:
        layer = FieldEmbedding(self.sizes, 2)
        layer(torch.ones(20, 5, dtype=torch.int32)).sum().backward()

        assert layer.table.weight.grad[0].abs().sum() == 0


class TestGroupLayerNorm:
    def by_hand(
        self, layer: GroupLayerNorm, tokens: NDArray[np.float64], per_group: bool
    ) -> NDArray[np.float64]:
        gamma, beta = layer.gamma.detach().numpy(), layer.beta.detach().numpy()
        row = {"user": 0, "item": 1, "context": 2}
        out = np.empty_like(tokens)
        for position in np.ndindex(tokens.shape[:-2]):
            for field, group in enumerate(GROUPS):
                members = [f for f, other in enumerate(GROUPS) if other == group] if per_group else [field]
                channels = tokens[position][members]
                scaled = (tokens[position][field] - channels.mean()) / np.sqrt(channels.var() + 1e-5)
                out[position][field] = gamma[row[group]] * scaled + beta[row[group]]
        return out

    @pytest.mark.parametrize("statistics", ["token", "group"])
    def test_by_hand(self, statistics: str) -> None:
        layer = randomized(GroupLayerNorm(GROUPS, 6, statistics))
        tokens = 2 * seeded(2, 3, 4, 6) + 1
        expected = self.by_hand(layer, tokens.numpy(), per_group=statistics == "group")

        assert layer.gamma.shape == (3, 6)
        assert np.allclose(layer(tokens).detach().numpy(), expected, atol=1e-6)

    def test_of_one_group_by_token_is_layer_norm(self) -> None:
        layer, reference = randomized(GroupLayerNorm(["item"] * 3, 6)), nn.LayerNorm(6).double()
        reference.weight.data, reference.bias.data = layer.gamma.data[0], layer.beta.data[0]
        tokens = seeded(2, 5, 3, 6)

        assert torch.allclose(layer(tokens), reference(tokens), atol=1e-6)

    def test_the_two_readings_differ_where_a_group_has_two_fields(self) -> None:
        tokens = seeded(1, 1, 4, 6)
        token, group = (GroupLayerNorm(GROUPS, 6, name).double()(tokens)[0, 0] for name in ("token", "group"))

        assert torch.allclose(token[:2], group[:2])
        assert not torch.allclose(token[2:], group[2:], atol=1e-2)


class TestInterDomainAttention:
    def by_hand(self, layer: InterDomainAttention, tokens: Tensor) -> NDArray[np.float64]:
        """The attention of one position's tokens [f, d], head by head."""
        x, d = tokens.numpy(), tokens.shape[-1]
        parts = np.split(
            x @ layer.project.weight.detach().numpy().T, 4 if layer.mode == "mtgr" else 3, axis=-1
        )
        mixed = np.zeros_like(x)
        for head in range(layer.heads):
            columns = slice(head * d // layer.heads, (head + 1) * d // layer.heads)
            query, key, value = (part[:, columns] for part in parts[:3])
            affinity = query @ key.T
            if layer.mode == "mtgr":
                mixed[:, columns] = affinity / (1 + np.exp(-affinity)) / len(x) @ value
                continue
            weights = np.exp(affinity / math.sqrt(d / layer.heads))
            if layer.mode == "cross_only":
                weights *= [[one != other for other in GROUPS] for one in GROUPS]
            mixed[:, columns] = weights / weights.sum(1, keepdims=True) @ value
        out = layer.out.weight.detach().numpy().T
        if layer.mode != "mtgr":
            return mixed @ out
        gated = layer.gated_norm(torch.from_numpy(mixed * parts[3])).detach().numpy()
        return x + gated @ out

    @pytest.mark.parametrize("mode", ["full", "cross_only", "mtgr"])
    def test_by_hand(self, mode: str) -> None:
        layer = randomized(InterDomainAttention(GROUPS, 6, 2, mode))
        tokens = seeded(2, 3, 4, 6)
        attended = layer(tokens).detach().numpy()

        for position in np.ndindex(2, 3):
            assert np.allclose(attended[position], self.by_hand(layer, tokens[position]), atol=1e-6)

    @pytest.mark.parametrize("mode", ["full", "cross_only", "mtgr"])
    def test_positions_do_not_mix(self, mode: str) -> None:
        layer = randomized(InterDomainAttention(GROUPS, 6, 2, mode))
        tokens, changed = seeded(2, 3, 4, 6), seeded(2, 3, 4, 6)
        changed[:, 1] += 1
        before, after = layer(tokens), layer(changed)

        assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
        assert not torch.allclose(before[:, 1], after[:, 1])

    @pytest.mark.parametrize(("mode", "sees"), [("full", True), ("cross_only", False)])
    def test_cross_only_hides_fields_of_the_own_group(self, mode: str, sees: bool) -> None:
        layer = randomized(InterDomainAttention(GROUPS, 6, 2, mode))
        tokens, changed = seeded(1, 1, 4, 6), seeded(1, 1, 4, 6)
        changed[..., 3, :] += 1
        before, after = layer(tokens)[0, 0], layer(changed)[0, 0]

        assert torch.equal(before[2], after[2]) != sees
        assert not torch.allclose(before[0], after[0])

    def test_cross_only_of_a_single_group_falls_back_to_all_fields(self) -> None:
        alone = [
            randomized(InterDomainAttention(["item"] * 3, 6, 2, mode)) for mode in ("cross_only", "full")
        ]
        tokens = seeded(1, 2, 3, 6)

        assert torch.equal(alone[0](tokens), alone[1](tokens))

    @pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="no C++ compiler")
    @pytest.mark.parametrize("mode", ["full", "cross_only", "mtgr"])
    def test_compiled_it_gives_the_same(self, mode: str) -> None:
        layer, tokens = randomized(InterDomainAttention(GROUPS, 6, 2, mode)), seeded(2, 3, 4, 6)

        assert torch.allclose(torch.compile(layer)(tokens), layer(tokens), atol=1e-6)


class TestFeatureLayer:
    def build(self, sizes: tuple[FieldSize, ...], attention: str = "full") -> FeatureLayer:
        return randomized(
            FeatureLayer(
                sizes,
                embedding_dim=4,
                width=6,
                field_attention=attention,
                field_heads=2,
                norm_statistics="token",
                id_dropout=0.0,
            )
        )

    @pytest.mark.parametrize("attention", ["full", "none"])
    def test_joins_raw_and_attended_embeddings(self, sizes, make_requests, attention: str) -> None:
        layer, requests = self.build(sizes, attention), make_requests(2, n=3, slots=2)
        vectors, user = layer(requests.static, requests.candidates)
        request, items = layer.static(requests.static), layer.candidate(requests.candidates)
        joined = torch.cat([request[:, None].expand(-1, 3, -1, -1), items], 2)
        attended = layer.norm(joined) if attention == "none" else layer.attention(layer.norm(joined))
        expected = layer.project(torch.cat([joined.flatten(2), attended.flatten(2)], -1))

        assert layer.project.in_features == 2 * len(sizes) * 4
        assert torch.allclose(vectors, expected)
        assert torch.equal(user, request[:, 0])

    def test_works_without_fields_of_the_request(self, sizes, make_requests) -> None:
        layer, requests = self.build(sizes[2:]), make_requests(2, n=3, slots=2)
        vectors, user = layer(requests.static[:, :0], requests.candidates)

        assert (vectors.shape, user.shape) == ((2, 3, 6), (2, 0))
