from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from degre_pipeline.sources.request_log import RequestLog

# Made-up lines in MovieLens' format. User 1 has 7 ratings, user 2 has 9, user 3 has 2, user 4 has 4.
RATINGS = """\
1::10::5::100
1::11::3::90
1::12::5::100
1::13::4::110
1::14::1::120
1::15::5::130
1::16::2::140
2::10::5::86400
2::12::1::86401
2::14::5::86402
2::16::5::86403
2::17::2::86404
2::18::5::86405
2::19::5::86406
2::20::3::86407
2::21::5::86408
3::10::5::7
3::21::5::8
4::22::1::1
4::23::1::2
4::24::1::3
4::25::1::4
"""
USERS = """\
1::F::25::3::12345
2::M::56::16::AB1-2C
3::M::1::0::00000
4::F::50::7::54321
"""


@pytest.fixture
def movielens_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "movies"
    folder.mkdir()
    movies = "".join(f"{number}::Film {number} ({1900 + number})::Drama|Noir\n" for number in range(10, 30))
    (folder / "ratings.dat").write_text(RATINGS, encoding="latin-1")
    (folder / "users.dat").write_text(USERS, encoding="latin-1")
    (folder / "movies.dat").write_text(movies.replace("Film 29", "Été, L'"), encoding="latin-1")
    return folder


@pytest.fixture
def small_log() -> RequestLog:
    """Two requests; item "d" is shown in the second though it was no candidate."""
    return RequestLog(
        requests=pd.DataFrame(
            {
                "request_id": [1, 2],
                "user_id": ["ann", "bob"],
                "requested_at": ["2024-05-17 09:30:00", "2024-05-18 21:00:00"],
                "hour": [9, 21],
            }
        ),
        candidates=pd.DataFrame(
            {
                "request_id": [1, 1, 1, 2, 2],
                "candidate_index": [0, 1, 2, 0, 1],
                "item_id": ["a", "b", "c", "b", "c"],
                "ranking_score": [0.5, 0.9, 0.5, None, 0.1],
            }
        ),
        exposures=pd.DataFrame(
            {
                "request_id": [1, 1, 2, 2],
                "slot": [1, 2, 1, 2],
                "item_id": ["c", "a", "d", "b"],
                "click": [1, 0, 0, 1],
            }
        ),
        users=pd.DataFrame({"user_id": ["ann", "bob"], "age": [31, 44]}),
        items=pd.DataFrame({"item_id": ["a", "b", "c", "d"], "tags": ["x|y", "x", "", "y"]}),
    )


@pytest.fixture
def sound_log(small_log: RequestLog) -> RequestLog:
    """The same two requests with a score for every candidate, and a candidate in every slot."""
    return replace(
        small_log,
        candidates=small_log.candidates.assign(ranking_score=[0.5, 0.9, 0.5, 0.2, 0.1]),
        exposures=small_log.exposures.assign(item_id=["c", "a", "c", "b"]),
    )
