"""kill -9 at any moment of the main job: the next run ends as if nothing had happened."""

import random
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tortured_runs import DAY, Finished, check_equal, check_registry, started

PROJECTS, KILLS = 6, 6
AT_ONCE = 2


def test_after_any_kill_the_same_command_gives_the_same_files(
    finished: Finished, place: Path, draw: random.Random, figures: Counter[str]
) -> None:
    """Each project is killed several times before it may finish; what all of them leave must not matter."""

    def torture(number: int) -> None:
        project, own = finished.empty(place / str(number)), random.Random(seeds[number])
        killed = 0
        while killed < KILLS:
            killed += started(project, DAY).kill(own.uniform(0, finished.seconds))
        code, said = started(project, DAY).end()
        assert code == 0, said
        check_equal(project, finished.written)
        check_registry(project)
        shutil.rmtree(project)

    seeds = [draw.random() for _ in range(PROJECTS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = len(list(pool.map(torture, range(PROJECTS))))
    figures["kills -9 of a whole run"] += KILLS * done
    figures["runs after them that gave the same files and champion"] += done
