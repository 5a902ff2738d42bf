"""What a search finds for what it costs, with the exact optimum as the ceiling, on an environment's data.

    python -m benchmarks.search_quality --env ml1m

Needs the mining evaluator of that environment (`kedro run --env=… --pipelines=evaluator_training`). Writes
`docs/benchmarks/search_quality_<name>.json` and the picture beside it.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from torch import Tensor
from tqdm.auto import tqdm

from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.stored_models import restore_evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.exact import all_list_values, tree_size
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.search.strategies import build_search, requests_at_once
from degre_pipeline.reranker.search.valuation import list_values
from degre_pipeline.reranker.training.compilation import fuse_steps

PROJECT = Path(__file__).resolve().parents[1]
TARGET = PROJECT / "docs" / "benchmarks"
WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)
TRUNCATIONS = (6, 8, 10, 15, 20, 30, 40, 60, 80)
BEAM = 8
MOST_STEPS = 2_000_000
SAME = 1e-6  # values that differ by less are those of equally good lists
Row = dict[str, Any]


def study(evaluator: LookaheadEvaluator, requests: Requests) -> list[Row]:
    """Returns one row a search: what it spends a request, and how near its best list comes to the best known.

    That is the optimum where all lists can be valued, and else the best list that any of the searches found.
    """
    searches = list(_searches(requests.mask.shape[1]))
    progress = tqdm(searches, desc="searches", unit="search")
    found = [_best_lists(evaluator, requests, config) for _, config in progress]
    uncut = next(lists for (_, config), (lists, _) in zip(searches, found, strict=True) if _is_paper(config))
    values = torch.stack([list_values(evaluator, requests, lists[:, None])[:, 0] for lists, _ in found])
    exact = tree_size(requests.mask.shape[1], evaluator.list_length) <= MOST_STEPS
    best = _optimum(evaluator, requests) if exact else values.max(0).values
    rows = []
    for (name, config), (lists, expansions), value in zip(searches, found, values, strict=True):
        shared = (lists[:, :, None] == uncut[:, None, :]).any(2).float().mean()
        rows.append(
            {
                "search": name,
                "beam_size": config.beam_size,
                "top_k": config.top_k,
                "candidates": requests.mask.shape[1],
                "expansions": float(expansions.float().mean()),
                "regret": float((best - value).mean()),
                "found_best": float((best - value < SAME).float().mean()),
                "item_recall_of_uncut_beam": float(shared),
                "best_value": float(best.mean()),
                "best_is_optimum": exact,
                "requests": len(requests),
            }
        )
    return rows


def _optimum(evaluator: LookaheadEvaluator, requests: Requests) -> Tensor:
    ones = [requests.select(slice(row, row + 1)) for row in range(len(requests))]
    every = tqdm(ones, desc="all lists", unit="request")
    return torch.tensor([all_list_values(evaluator, one, most_steps=MOST_STEPS).best()[1] for one in every])


def _is_paper(config: MiningConfig) -> bool:
    return config.strategy == "beam" and config.beam_size == BEAM and not config.top_k


def _searches(candidates: int) -> Iterator[tuple[str, MiningConfig]]:
    for width in WIDTHS:
        yield "beam", MiningConfig(beam_size=width)
        yield "diverse_beam", MiningConfig(strategy="diverse_beam", beam_size=width)
    for top_k in TRUNCATIONS:
        if top_k < candidates:
            yield "top_k", MiningConfig(beam_size=BEAM, top_k=top_k)


def _best_lists(
    evaluator: LookaheadEvaluator, requests: Requests, config: MiningConfig
) -> tuple[Tensor, Tensor]:
    search = build_search(config)
    together = requests_at_once(config, requests.mask.shape[1], requests.list_length, torch.device("cpu"))
    found = [search(evaluator, batch) for batch in requests.batches(together)]
    return torch.cat([one.sequences[:, 0] for one in found]), torch.cat([one.expansions for one in found])


def plot(rows: list[Row], path: Path) -> None:
    """Draws regret and the share of found optima against expansions."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name, marker in (("beam", "o"), ("diverse_beam", "s"), ("top_k", "^")):
        some = [row for row in rows if row["search"] == name]
        spent = [row["expansions"] for row in some]
        axes[0].plot(spent, [row["regret"] for row in some], marker=marker, label=name)
        axes[1].plot(spent, [row["found_best"] for row in some], marker=marker, label=name)
    axes[0].set(xscale="log", xlabel="scored prefixes a request", ylabel="regret to the best list, clicks")
    axes[1].set(
        xscale="log", xlabel="scored prefixes a request", ylabel="share of requests with the best list"
    )
    axes[1].legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Run the study on test requests of an environment."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--env", default="base", help="configuration environment (default: base)")
    parser.add_argument(
        "--requests", type=int, default=50, help="test requests, drawn at random (default: 50)"
    )
    parser.add_argument("--name", help="of the files that are written (default: the environment's)")
    options = parser.parse_args()
    name = options.name or options.env
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env=options.env) as session:
        catalog = session.load_context().catalog
        tensors, trained = catalog.load("request_tensors"), catalog.load("mining_evaluator")
    evaluator = restore_evaluator(trained)
    fuse_steps(evaluator, "on", 0.0)
    requests = tensors.of("test")
    order = torch.randperm(len(requests), generator=torch.Generator().manual_seed(0))
    rows = study(evaluator, requests.select(order[: options.requests]))
    TARGET.mkdir(exist_ok=True)
    (TARGET / f"search_quality_{name}.json").write_text(json.dumps(rows, indent=2) + "\n")
    plot(rows, TARGET / f"search_quality_{name}.svg")
    for row in rows:
        found = f"regret {row['regret']:.5f}  optimum {row['found_best']:.2f}"
        spent = f"B={row['beam_size']:<4} K={row['top_k']:<3} {row['expansions']:8.0f} prefixes"
        print(f"{row['search']:13} {spent}  {found}  recall {row['item_recall_of_uncut_beam']:.3f}")


if __name__ == "__main__":
    main()
