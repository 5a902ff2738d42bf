"""The whole project, from `kedro run` to a list reranked by the registered model."""

import pytest
import project_runs

def test_a(finished_run):
    pass
