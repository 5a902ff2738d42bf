"""How mining's cost grows with candidates, beam, list length, width and requests."""

import tempfile
import time
from pathlib import Path

import torch
from tqdm.auto import tqdm

from benchmarks import shapes
from benchmarks.timing import Figure, Figures, Work, alone, in_turn, ratios
from degre_pipeline.datasets import RequestsDataset, ShardsDataset
from degre_pipeline.pipelines.mining.nodes import mine_lookahead_sequences
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import store
from degre_pipeline.reranker.schema import SPLITS
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.search.strategies import requests_at_once
from degre_pipeline.reranker.training.compilation import fuse_steps

BASE = {"n": 12, "b": 8, "l": 6, "width": 64}
GRID = {"n": (12, 30, 60), "b": (1, 2, 4, 8, 16), "l": (3, 6, 10), "width": (32, 64, 128)}
REQUESTS = (1_000, 10_000, 100_000)


def measure(repeats: int) -> Figures:
    """Returns cost a request relative to N = 12, B = 8, L = 6, width 64."""
    figures: Figures = {}
    for name, values in GRID.items():
        works = {str(value): _mining(**{**BASE, name: value}) for value in values}
        seconds = in_turn(works, repeats)
        for value in values:
            cost = ratios(seconds[str(value)], seconds[str(BASE[name])])
            figures[f"mining.cost_at_{name}_{value}"] = Figure(cost, "times")
    return figures


def _mining(n: int, b: int, l: int, width: int, count: int = 200) -> Work:  # noqa: E741 - the paper's letter
    evaluator, requests = shapes.evaluator(l, width), shapes.made_up_requests(count, max(n, l), l)
    fuse_steps(evaluator, "on", 0.0)
    together = requests_at_once(MiningConfig(beam_size=b), max(n, l), l, torch.device("cpu"))
    return lambda: [beam_search(evaluator, some, beam_size=b) for some in requests.batches(together)]


def measure_requests(repeats: int) -> Figures:
    """Returns growth of seconds a request and of memory, of the mining node with what it reads and writes."""
    with tempfile.TemporaryDirectory() as folder:
        found = [_mined(count, Path(folder)) for count in tqdm(REQUESTS, desc="requests", unit="size")]
    seconds, memory = zip(*found, strict=True)
    return {
        "mining.cost_growth_last_decade": Figure([seconds[-1] / seconds[-2]], "times"),
        "mining.peak_memory_growth_last_decade": Figure([memory[-1] / memory[-2]], "times"),
        **{
            f"mining.peak_memory_at_{count}": Figure([peak], "MiB")
            for count, peak in zip(REQUESTS, memory, strict=True)
        },
    }


def _mined(count: int, folder: Path) -> tuple[float, float]:
    requests = shapes.made_up_requests(count)
    requests.split[-count // 100 :] = SPLITS.index("validation")
    RequestsDataset(str(folder / "requests.safetensors")).save(requests)
    return alone(mine_from_file, folder, count)


def mine_from_file(folder: Path, count: int) -> tuple[float, float]:
    """Mines a file of requests into shards; returns seconds a request and this process's peak memory in MiB.

    The first shard is mined before, so that compiling, done once for any number of requests, is not counted.
    """
    requests = RequestsDataset(str(folder / "requests.safetensors")).load()
    trained = store(shapes.evaluator(), shapes.FIELDS, shapes.SLOTS, EvaluatorConfig())
    config = MiningConfig(beam_size=BASE["b"], compile="on")
    shards = mine_lookahead_sequences(requests, trained, config)
    shards.make(shards.names[0])
    started = time.perf_counter()
    ShardsDataset(str(folder / f"mined-{count}")).save(shards)
    seconds = (time.perf_counter() - started) / count
    return seconds, peak_memory()


def peak_memory() -> float:
    """Returns this process's largest resident memory in MiB. Linux; `getrusage` counts the parent's, too."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kib) / 1024
