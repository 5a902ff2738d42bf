"""Which versions served before a day: what a day that is run again must find as it did the first time."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.promotion import ledger
from degre_pipeline.promotion.aliases import CHAMPION
from degre_pipeline.promotion.ledger import version_or_none


def champions_before(model: str, run_date: str) -> list[ModelVersion]:
    """Returns the champions whose own day was before another one, the last one first, each once.

    A day that is run again, after its own version or a later one became the champion, finds the same.

    Args:
        model: Name of the registered model.
        run_date: The day, as an ISO date.
    """
    return _served_before(model, run_date, newest_first=True)


def first_champion_before(model: str, run_date: str) -> ModelVersion | None:
    """Returns the first version that ever became champion, of those whose own day was before another one."""
    return next(iter(_served_before(model, run_date, newest_first=False)), None)


def _served_before(model: str, run_date: str, *, newest_first: bool) -> list[ModelVersion]:
    client = MlflowClient()
    moved_to = [entry.move.to_version for entry in ledger.entries(client, model, CHAMPION)]
    in_order = dict.fromkeys(moved_to if newest_first else reversed(moved_to))
    versions = (version_or_none(client, model, version) for version in in_order)
    return [one for one in versions if one is not None and one.tags.get("run_date", run_date) < run_date]
