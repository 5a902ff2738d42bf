"""How lookahead sequences are mined."""

from dataclasses import dataclass
from typing import Literal

from degre_pipeline.reranker.checked_settings import Switch, check_types, require, require_choice

SearchStrategy = Literal["beam", "diverse_beam", "bounded"]
MinedRoles = Literal["mining", "all"]


@dataclass(frozen=True)
class MiningConfig:
    """How lookahead sequences are mined.

    Attributes:
        strategy: `beam`, the paper's; `diverse_beam`, which spreads over sets of items before it keeps a
            second order of one; `bounded`, the widest within `most_expansions`, exact where all lists fit.
        beam_size: B, sequences that are found; also the breadth of `beam` and `diverse_beam`.
        kept: The best sequences of a request that are stored and distilled, at most B; 0: all B.
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
        seed: Of the draw.
    Source: DeGRe (arXiv 2605.25749), 4.2; B = 8 is its best setting.
    """

    strategy: SearchStrategy = "beam"
    beam_size: int = 8
    kept: int = 0
    orders_per_set: int = 1
    most_expansions: int = 2000
    top_k: int = 0
    batch_size: int = 0
    shard_size: int = 8192
    most_requests: int = 0
    roles: MinedRoles = "mining"
    compile: Switch = "auto"
    bfloat16: Switch = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(1 <= self.beam_size <= 10_000, "beam_size", self.beam_size, "1 to 10,000")
        for name in ("orders_per_set", "most_expansions", "shard_size"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("kept", "top_k", "batch_size", "most_requests"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require_choice("strategy", self.strategy, SearchStrategy)
        require_choice("roles", self.roles, MinedRoles)
        require_choice("compile", self.compile, Switch)
        require_choice("bfloat16", self.bfloat16, Switch)
