"""NLGR-E: an evaluator that sees whole lists, in both directions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.losses import slot_click_loss
from degre_pipeline.reranker.models.feature_layer import FieldEmbedding
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.schema import FieldSize

CHUNK = 2048  # lists encoded together


@dataclass(frozen=True)
class NlgrEvaluatorConfig:
    """Shape of NLGR-E.

    Attributes:
        embedding_dim: Width d of a field's embedding; the paper's is 8.
        hidden: Width of the layers over an item and its list.
        dropout: Of those layers.
        id_dropout: Share of categorical values shown as unknown in training.
    """

    embedding_dim: int = 8
    hidden: int = 128
    dropout: float = 0.1
    id_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("embedding_dim", "hidden"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("dropout", "id_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "0 up to, not including, 1")


class NlgrEvaluator(nn.Module):
    """Attention by field over all items of a list, pooled to one vector of the list; clicks by slot.

    Fields decide how items attend to each other; what is pooled are the items' embeddings. A list's value is
    the sum of its slots' click probabilities. It knows a list only as a whole, so it cannot guide a
    search slot by slot; as a judge it is of another family than the causal evaluators.
    Source: NLGR (Wang et al., WWW Companion 2025), D-Attention. Differs: all item fields are pooled, not only
        an id, which a log need not have; without sessions the user's own embeddings stand for them.
    """

    def __init__(self, sizes: Sequence[FieldSize], list_length: int, config: NlgrEvaluatorConfig) -> None:
        super().__init__()
        d = config.embedding_dim
        static = [size for size in sizes if not size.per_candidate]
        candidate = [size for size in sizes if size.per_candidate]
        self.static = FieldEmbedding(static, d, config.id_dropout) if static else None
        self.candidate = FieldEmbedding(candidate, d, config.id_dropout)
        fields = len(candidate)
        self.query = nn.Parameter(torch.randn(fields, d, d) * d**-0.5)
        self.key = nn.Parameter(torch.randn(fields, d, d) * d**-0.5)
        self.value = nn.Linear(fields * d, config.hidden)
        self.slots = nn.Parameter(torch.randn(list_length, d) * d**-0.5)
        width = fields * d + config.hidden + len(static) * d + d
        self.head = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, 1),
        )

    def forward(self, static: Tensor, items: Tensor, mask: Tensor) -> Tensor:
        """Returns the logit of a click at every slot, [b, t].

        Args:
            static: Indices of user and context fields, [b, columns].
            items: Indices of the listed items' fields, in order, [b, t, columns].
            mask: True for filled slots, [b, t].
        """
        return self._of_embedded(self._request(static, len(items)), self.candidate(items), mask)

    def list_clicks(self, requests: Requests, sequences: Tensor) -> Tensor:
        """Returns the click probability at every slot of lists, [b, s, t]; 0 for empty slots.

        Args:
            requests: b requests, on the device of the evaluator, which is in eval mode.
            sequences: Candidate indices, [b, s, t]; -1 at the end of shorter lists.
        """
        b, s, t = sequences.shape
        candidates = self.candidate(requests.candidates)
        request = self._request(requests.static, b).repeat_interleave(s, 0)
        embedded = gather_candidates(candidates, sequences.clamp(min=0)).flatten(0, 1)
        mask = (sequences >= 0).flatten(0, 1)
        parts = zip(request.split(CHUNK), embedded.split(CHUNK), mask.split(CHUNK), strict=True)
        logits = torch.cat([self._of_embedded(*part) for part in parts])
        return (logits.sigmoid() * mask).view(b, s, t)

    def _request(self, static: Tensor, b: int) -> Tensor:
        return self.slots.new_zeros(b, 0) if self.static is None else self.static(static).flatten(1)

    def _of_embedded(self, request: Tensor, embedded: Tensor, mask: Tensor) -> Tensor:
        t, d = embedded.shape[1], embedded.shape[-1]
        by_field = embedded.transpose(1, 2)  # [b, f, t, d]
        scores = (by_field @ self.query) @ (by_field @ self.key).transpose(-1, -2) * d**-0.5
        scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
        attention = scores.softmax(-1).mean(1)
        flat = embedded.flatten(2)
        real = mask[..., None].to(flat.dtype)
        pooled = (attention @ self.value(flat) * real).sum(1) / real.sum(1).clamp(min=1)
        around = torch.cat([pooled, request], -1)[:, None].expand(-1, t, -1)
        slots = self.slots[:t].expand(len(flat), -1, -1)
        logits: Tensor = self.head(torch.cat([flat, around, slots], -1))[..., 0]
        return logits


def nlgr_evaluator_loss(model: nn.Module, requests: Requests) -> Tensor:
    """Binary cross-entropy of the clicks on the exposed lists of a batch."""
    items = gather_candidates(requests.candidates, requests.exposed)
    logits = model(requests.static, items, requests.exposed_mask)
    return slot_click_loss(logits, requests.clicks, requests.exposed_mask)


def store_nlgr_evaluator(
    model: NlgrEvaluator,
    sizes: Sequence[FieldSize],
    list_length: int,
    config: NlgrEvaluatorConfig,
    encoding: str = "",
) -> TrainedWeights:
    """Returns the weights with what rebuilds the model; see `models.builders.store`."""
    described = {
        "model": "nlgr_evaluator",
        "list_length": list_length,
        "sizes": [size.as_dict() for size in sizes],
        "settings": asdict(config),
        "feature_space": encoding,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return TrainedWeights(weights, described)


def restore_nlgr_evaluator(trained: TrainedWeights) -> NlgrEvaluator:
    """Returns the stored evaluator in eval mode. Raises: ValueError: If the weights are another model's."""
    kind = trained.config.get("model")
    require(kind == "nlgr_evaluator", "model of the stored weights", kind, "nlgr_evaluator")
    sizes = [FieldSize(**size) for size in trained.config["sizes"]]
    config = NlgrEvaluatorConfig(**trained.config["settings"])
    model = NlgrEvaluator(sizes, int(trained.config["list_length"]), config)
    model.load_state_dict(dict(trained.weights))
    return model.eval()
