"""Promotions at once, with wrong clocks, and killed half way: one chain, a champion, and a way back."""

import random
import time
from collections import Counter
from pathlib import Path

import mlflow
import pytest
from promoters import MODEL, VERSIONS, ready
from tortured_runs import check_chain

from degre_pipeline.release.aliases import CHAMPION, PREVIOUS_CHAMPION, notice, positions
from degre_pipeline.release.promotion import promote, roll_back

RACES, RACERS = 50, 4
KILLS = 40
ANN = {"who": "ann", "why": "to begin with", "force": True}


@pytest.fixture
def client(registry: mlflow.MlflowClient) -> mlflow.MlflowClient:
    """A registry with four versions, of which the second is champion."""
    registry.create_registered_model(MODEL)
    for _ in VERSIONS:
        registry.create_model_version(MODEL, "file:///nowhere")
    notice(registry, MODEL)
    for version in (1, 2):
        promote(registry, MODEL, version, **ANN)
    return registry


def test_promotions_at_once_are_one_chain_whatever_their_clocks_say(
    client: mlflow.MlflowClient, tmp_path: Path, draw: random.Random, figures: Counter[str]
) -> None:
    for _ in range(RACES):
        started = ready(mlflow.get_tracking_uri(), draw, RACERS)
        for one in started:
            one.join(120)
        assert [one.exitcode for one in started] == [0] * RACERS
        check_chain(client, MODEL)
        assert notice(client, MODEL) == []
    figures["races of promotions, one chain"] += RACES


def test_after_a_killed_promotion_there_is_a_champion_and_a_way_back(
    client: mlflow.MlflowClient, draw: random.Random, figures: Counter[str]
) -> None:
    (one,) = ready(mlflow.get_tracking_uri(), draw, 1)
    begun = time.monotonic()
    one.join(120)
    seconds, half_way = time.monotonic() - begun, 0
    for _ in range(KILLS):
        before = positions(client, MODEL)
        (one,) = ready(mlflow.get_tracking_uri(), draw, 1)
        time.sleep(draw.uniform(0, seconds))
        one.kill()
        one.join()
        half_way += one.exitcode != 0
        left = positions(client, MODEL)
        figures["  that had moved an alias and not written it down"] += bool(notice(client, MODEL))
        assert left[CHAMPION] in VERSIONS
        check_chain(client, MODEL)
        roll_back(client, MODEL, who="ben", why="back")
        assert positions(client, MODEL)[CHAMPION] != left[CHAMPION]
        if left[CHAMPION] != before[CHAMPION]:
            assert positions(client, MODEL)[CHAMPION] == before[CHAMPION]
        assert positions(client, MODEL)[PREVIOUS_CHAMPION] == left[CHAMPION]
        check_chain(client, MODEL)
    assert half_way > KILLS / 4
    figures["kills -9 of a promotion, each with a way back"] += half_way
