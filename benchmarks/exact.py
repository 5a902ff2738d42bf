"""The exact search, and the Monte Carlo comparison with and without shared prefixes."""

import torch

from benchmarks import shapes
from benchmarks.mining import same_products
from benchmarks.timing import Figure, Figures, Work, in_turn, ratios
from degre_pipeline.reranker.models.evaluator import prefix_values
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.exact import ROWS, all_list_values, tree_size
from degre_pipeline.reranker.search.strategies import beam_expansions
from degre_pipeline.reranker.search.valuation import list_values, random_lists
from degre_pipeline.reranker.training.compilation import fuse_steps

LISTS, BEAM, CHUNK, ROUNDS = 10_000, 8, 2048, 10


def measure(repeats: int) -> Figures:
    """Returns seconds a request of the exact search, and its cost a node against the beam's."""
    evaluator, batch = shapes.evaluator(), shapes.made_up_requests(85)
    fuse_steps(evaluator, "on", 0.0)
    one = batch.select(slice(0, 1))
    drawn = random_lists(one.mask.numpy(), one.request_id.numpy(), LISTS, shapes.SLOTS, 0)
    lists = torch.from_numpy(drawn)
    products = same_products(evaluator, ROWS)
    works: dict[str, Work] = {
        "products": lambda: [products() for _ in range(ROUNDS)],
        "exact": lambda: all_list_values(evaluator, one),
        "beam": lambda: beam_search(evaluator, batch, beam_size=BEAM),
        "shared": lambda: list_values(evaluator, one, lists),
        "whole": lambda: whole_values(evaluator, one, lists),
    }
    seconds = in_turn(works, repeats)
    options = [shapes.CANDIDATES - slot for slot in range(shapes.SLOTS)]
    nodes = {
        "exact": tree_size(shapes.CANDIDATES, shapes.SLOTS),
        "beam": len(batch) * beam_expansions(options, BEAM),
    }
    per_node = {name: [second / count for second in seconds[name]] for name, count in nodes.items()}
    a_step = [second / (ROWS * ROUNDS) for second in seconds["products"]]
    return {
        "search.exact_fraction_of_matmul": Figure(ratios(a_step, per_node["exact"]), "share"),
        "search.exact_seconds_per_request": Figure(seconds["exact"], "s"),
        "search.exact_node_over_beam_node": Figure(ratios(per_node["exact"], per_node["beam"]), "times"),
        "comparison.shared_over_whole_lists": Figure(ratios(seconds["whole"], seconds["shared"]), "times"),
    }


@torch.no_grad()
def whole_values(evaluator, request, lists: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Values lists without sharing prefixes."""
    vectors = evaluator.project(request.static, request.candidates)[0]
    parts = [prefix_values(evaluator.logits_of(vectors[some])) for some in lists[0].split(CHUNK)]
    return torch.cat(parts)[:, -1]
