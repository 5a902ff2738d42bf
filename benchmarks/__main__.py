"""Runs the benchmarks, prints their figures and stores them in `benchmarks/results.json`."""

import argparse
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import abuse, decode, exact, growth, mining, orchestration, picture, service, training
from benchmarks.timing import Figures

RESULTS = Path(__file__).with_name("results.json")
GROUPS: Mapping[str, Callable[[int], Figures]] = {
    "mining": mining.measure,
    "exact": exact.measure,
    "training": training.measure,
    "decode": decode.measure,
    "growth": growth.measure,
    "requests": growth.measure_requests,
    "service": service.measure,
    "soak": service.soak,
    "switch": service.switch,
    "abuse": abuse.measure,
    "day": orchestration.measure,
}
ONLY_BY_NAME = ("service", "soak", "switch", "abuse", "day")
"""Groups that need the `serving` extra, or Airflow, and many minutes."""


def main() -> None:
    """Measure the chosen groups; figures of the others stay as they are stored."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", help=f"of {', '.join(GROUPS)}; by default all but {' and '.join(ONLY_BY_NAME)}"
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median is reported (default: 5)")
    options = parser.parse_args()
    unknown = sorted(set(options.groups) - set(GROUPS))
    if unknown or options.repeats < 1:
        parser.error(f"{unknown or options.repeats} given; allowed: groups {list(GROUPS)}, 1 repeat or more")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    for name in options.groups or [name for name in GROUPS if name not in ONLY_BY_NAME]:
        figures = GROUPS[name](options.repeats)
        for figure, samples in figures.items():
            found = samples.summary()
            spread = f"[{found['low']:.3f}, {found['high']:.3f}]"
            print(f"{figure:42} {found['median']:10.3f} {found['unit']:11}{spread}")
        picture.draw(_store(figures))


def _store(figures: Figures) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    stored |= {name: figure.summary() for name, figure in figures.items()}
    RESULTS.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
    return stored


if __name__ == "__main__":
    main()
