"""Shapes of evaluators and generators, with the papers' values as defaults."""

from dataclasses import dataclass, replace
from typing import Literal

from degre_pipeline.reranker.checked_settings import check_types, require, require_choice

FieldAttention = Literal["full", "cross_only", "mtgr", "none"]
NormStatistics = Literal["token", "group"]
ItemInput = Literal["encoder", "feature"]
EvaluatorHead = Literal[
    "cumulative",
    "monotone",
    "slot_clicks",
    "hindsight",
    "survival",
    "company",
    "page_company",
    "leaving_company",
    "appeal",
    "discriminator",
    "by_support",
    "by_data",
]
LEFT_OPEN = ("by_support", "by_data")
"""Heads that stand for the one that `head_choice.train_by_data` takes."""

ADDITIVE_HEADS = ("slot_clicks", "hindsight", "survival", "company", "page_company", "leaving_company")
"""Heads with logits of the clicks of slots, to which something can be added."""
MOST_MEMBERS, MOST_BEAMS, MOST_DECAY, MOST_FACTORS, MOST_CHANNELS = 64, 16, 3, 256, 1024


@dataclass(frozen=True)
class NetworkConfig:
    """What the evaluator and the generator have in common: the feature layer and the Transformer.

    Attributes:
        embedding_dim: Width d of a field's embedding; a multiple of `field_heads`.
        width: Width d_model of the Transformer; a multiple of `heads`.
        layers: Transformer layers: N_E of the evaluator; N_G in each of the generator's encoder and decoder.
        heads: Attention heads over slots.
        feedforward: Hidden width of the feed-forward blocks.
        dropout: Dropout of attention outputs and feed-forward blocks.
        position_dim: Width d_pos of the slot embedding.
        field_attention: Inter-domain attention: `full`, `cross_only` (other groups only), `mtgr` (a gated
            SiLU block) or `none`.
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
            `hindsight`, the clicks of all slots as the last item of a prefix sees them; `survival`, the click
            of each slot and whether users go on to the next one; `company`, `page_company` and
            `leaving_company`, the same three predictions without a Transformer, from an item by itself and
            the sum of the items above it, on a page also of those below;
            `appeal`, the click of each item wherever it stands; `discriminator`, whether a list is of the
            log, which no evaluator of clicks has; `by_support`, `slot_clicks` where the log shows
            every rank in every slot often enough, else `appeal` (docs/explanation/log_support.md);
            `by_data`, the same, but where slots vary the head that the clicks of held-out lists surprise
            least.
        additive_factors: Width of a factor model of the user's and the item's additive fields; 0: none.
        company_channels: Width r of the sums of the heads of company; as wide as kinds of items matter.
        examination_decay: Of `appeal`: slot t is assumed to be looked at with the chance t^-decay.
        members: M evaluators, trained side by side and averaged; 1 is the paper's single one.
        in_one: Distils the members into one evaluator of their shape, which mines in their place.
        pessimism: kappa: the clicks that mining gives for a nat of closeness to the lists of the log, as a
            discriminator sees it; 0 trains none.
    """

    head: EvaluatorHead = "cumulative"
    additive_factors: int = 0
    company_channels: int = 32
    examination_decay: float = 0.05
    members: int = 1
    in_one: bool = False
    pessimism: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("head", self.head, EvaluatorHead)
        require(
            0 <= self.additive_factors <= MOST_FACTORS,
            "additive_factors",
            self.additive_factors,
            f"0 to {MOST_FACTORS}",
        )
        channels, allowed = self.company_channels, f"1 to {MOST_CHANNELS}"
        require(1 <= channels <= MOST_CHANNELS, "company_channels", channels, allowed)
        decay = self.examination_decay
        require(0 < decay <= MOST_DECAY, "examination_decay", decay, f"above 0, at most {MOST_DECAY}")
        require(1 <= self.members <= MOST_MEMBERS, "members", self.members, f"1 to {MOST_MEMBERS}")
        allowed = "false with a single member; give it more members"
        require(not self.in_one or self.members > 1, "in_one", self.in_one, allowed)
        require(0 <= self.pessimism <= 100, "pessimism", self.pessimism, "0 to 100")

    @property
    def single(self) -> "EvaluatorConfig":
        """The same with one member."""
        return replace(self, members=1, in_one=False)


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
