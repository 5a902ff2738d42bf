"""The tables whose columns are features: one for each group of fields."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class FeatureTables:
    """What is known of requests before anything is shown: the request log without its exposures.

    Attributes:
        requests: One row a request; fields of group `context` are columns of it.
        candidates: One row a candidate of a request; group `score`.
        users: One row a user; group `user`.
        items: One row an item; group `item`.
    """

    requests: pd.DataFrame
    candidates: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
