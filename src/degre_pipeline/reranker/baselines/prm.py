"""PRM: a Transformer over the ranking order gives every candidate a score, and the list is their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.models.feature_layer import build_feature_layer
from degre_pipeline.reranker.models.model_config import NetworkConfig
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.schema import FieldSize

NAME = "prm"


@dataclass(frozen=True)
class PrmConfig:
    """Shape of PRM; what it shares with DeGRe has the same names and defaults.

    Attributes:
        embedding_dim: Width of a field's embedding.
        width: Width of the Transformer.
        blocks: N_x Transformer blocks.
        heads: Attention heads.
        feedforward: Hidden width of the feed-forward blocks.
        dropout: Of the Transformer.
        id_dropout: Share of categorical values shown as unknown in training.
    Source: the settings that public toolkits share; the paper's depend on its data.
    """

    embedding_dim: int = 16
    width: int = 64
    blocks: int = 4
    heads: int = 4
    feedforward: int = 256
    dropout: float = 0.1
    id_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.blocks >= 1, "blocks", self.blocks, "1 or more")
        self.features()

    def features(self) -> NetworkConfig:
        """Returns the settings of the feature layer. Raises: ValueError: On one that is not allowed."""
        return NetworkConfig(
            embedding_dim=self.embedding_dim,
            width=self.width,
            heads=self.heads,
            feedforward=self.feedforward,
            dropout=self.dropout,
            id_dropout=self.id_dropout,
        )


class PersonalizedReranker(nn.Module):
    """Scores every candidate of a request in the light of all others.

    The input row of a candidate is `[x ; pv] + pe`: its features, the last hidden layer of a click model that
    was trained before and stays as it is, and a learned vector of its place in the ranking order.

    Args:
        click_model: Trained beforehand on the same lists; frozen here.
        sizes: Sizes of the encoded fields.
        places: Places of the ranking order that have a vector of their own; later ones share the last.
        list_length: Slots of a list, L.
        config: The shape.
    Source: PRM (arXiv 1904.06813), 4.1 to 4.3. Differs: x goes through DeGRe's feature layer, so that both
        know the same of a candidate.
    """

    def __init__(
        self,
        click_model: PointwiseClickModel,
        sizes: Sequence[FieldSize],
        *,
        places: int,
        list_length: int,
        config: PrmConfig,
    ) -> None:
        super().__init__()
        self.list_length, self.places = list_length, places
        self.click_model = click_model.requires_grad_(False)
        self.features = build_feature_layer(sizes, config.features())
        row = config.width + click_model.hidden_width
        self.place = nn.Embedding(places, row)
        self.combine = nn.Linear(row, config.width)
        block = nn.TransformerEncoderLayer(
            config.width, config.heads, config.feedforward, config.dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(block, config.blocks, enable_nested_tensor=False)
        self.score = nn.Linear(config.width, 1)

    def train(self, mode: bool = True) -> Self:
        """Switches to training, all but the click model."""
        super().train(mode)
        self.click_model.eval()
        return self

    def forward(self, static: Tensor, candidates: Tensor, mask: Tensor) -> Tensor:
        """Returns the scores of candidates, [b, n]; minus infinity where there is none.

        Args:
            static: Indices of user and context fields, [b, columns].
            candidates: Indices of item and score fields in the ranking order, best first, [b, n, columns].
            mask: True for real candidates, [b, n].
        """
        items, _ = self.features(static, candidates)
        personal = self.click_model.hidden(static, candidates)
        places = torch.arange(mask.shape[1], device=mask.device).clamp(max=self.places - 1)
        rows = self.combine(torch.cat([items, personal], -1) + self.place(places))
        encoded = self.encoder(rows, src_key_padding_mask=~mask)
        scores: Tensor = self.score(encoded).squeeze(-1).masked_fill(~mask, -torch.inf)
        return scores

    @torch.no_grad()
    def decode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the best by score, [b, L], -1 at the end of shorter lists, and log-probabilities [b, L, n].

        Those are of a list that is drawn by the scores' softmax, one item after another without repetition.
        """
        scores = self(static, candidates, mask)
        best = scores.argsort(dim=1, descending=True, stable=True)[:, : self.list_length]
        filled = gather_candidates(mask, best)
        earlier = torch.zeros_like(mask)
        steps = []
        for slot in range(best.shape[1]):
            steps.append(scores.masked_fill(earlier, -torch.inf).log_softmax(1))
            earlier = earlier.scatter(1, best[:, slot, None], True)
        return best.masked_fill(~filled, -1), torch.stack(steps, 1)


def prm_loss(model: nn.Module, requests: Requests) -> Tensor:
    """Cross-entropy of the clicked among the exposed items, in nats a list; one without clicks adds nothing.

    Args:
        model: A `PersonalizedReranker`.
        requests: With the candidates in the ranking order, as `in_ranking_order` returns them.
    Source: PRM (arXiv 1904.06813), Eq. 10. Differs: the softmax runs over the exposed items, since only those
        could be clicked; the encoder sees all candidates.
    """
    scores = model(requests.static, requests.candidates, requests.mask)
    shown = gather_candidates(scores, requests.exposed).masked_fill(~requests.exposed_mask, -torch.inf)
    clicked = (requests.clicks > 0) & requests.exposed_mask
    return -shown.log_softmax(1).masked_fill(~clicked, 0.0).sum() / len(requests)


def in_ranking_order(requests: Requests) -> Requests:
    """Returns the requests with their candidates by descending ranking score, padding last."""
    scores = requests.scores.masked_fill(~requests.mask, -torch.inf)
    order = scores.argsort(dim=1, descending=True, stable=True)
    place = order.argsort(1)
    return replace(
        requests,
        candidates=gather_candidates(requests.candidates, order),
        mask=gather_candidates(requests.mask, order),
        scores=gather_candidates(requests.scores, order),
        exposed=gather_candidates(place, requests.exposed).masked_fill(~requests.exposed_mask, 0),
    )


def store_prm(
    model: PersonalizedReranker, sizes: Sequence[FieldSize], config: PrmConfig, feature_space: str
) -> TrainedWeights:
    """Returns the trained weights, on the CPU, with the settings that rebuild the model."""
    described = {
        "model": NAME,
        "list_length": model.list_length,
        "places": model.places,
        "sizes": [size.as_dict() for size in sizes],
        "settings": asdict(config),
        "feature_space": feature_space,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return TrainedWeights(weights, described)


def restore_prm(trained: TrainedWeights) -> PersonalizedReranker:
    """Returns the stored model in eval mode. Raises: ValueError: If the weights are another model's."""
    require(trained.config.get("model") == NAME, "model of stored weights", trained.config.get("model"), NAME)
    sizes = [FieldSize(**size) for size in trained.config["sizes"]]
    config = PrmConfig(**trained.config["settings"])
    model = PersonalizedReranker(
        PointwiseClickModel(sizes, config.embedding_dim),
        sizes,
        places=trained.config["places"],
        list_length=trained.config["list_length"],
        config=config,
    )
    model.load_state_dict(dict(trained.weights))
    return model.eval()
