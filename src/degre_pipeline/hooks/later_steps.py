"""Checks what training, mining and registration need of the data and of one another, before they start."""

from collections.abc import Mapping
from typing import Any

from kedro.io import DataCatalog

COSTLY = ("evaluator_training", "mining", "generator_distillation")
"""The slow ones of the daily pipelines."""


def check_later_steps(catalog: DataCatalog, settings: Mapping[str, Any]) -> None:
    """Raises ValueError where a later pipeline would end in an error that is certain by now.

    Args:
        catalog: Holds what list building has written.
        settings: The checked parameters of all daily pipelines.
    """
    # Imported here so that commands that run no pipeline do not load the science.

    requests = catalog.load("request_tensors")
    space = catalog.load("feature_space")
    _check_models(space, requests, settings)
    _check_mining(requests, settings["mining"]["search"])
    _check_example(catalog, space)


def _check_models(space: Any, requests: Any, settings: Mapping[str, Any]) -> None:
    """Builds the models as they will be built, and joins them as they will be joined."""
    from degre_pipeline.reranker.head_choice import with_first_head
    from degre_pipeline.reranker.models.builders import build_evaluator
    from degre_pipeline.reranker.models.generator import build_generator
    from degre_pipeline.reranker.models.stored_models import start_from_evaluator, store
    from degre_pipeline.reranker.training.loop import seeded

    evaluator, distilled = settings["evaluator_training"].model, settings["generator_distillation"]
    one, sizes = with_first_head(evaluator.single), space.sizes()
    list_length = requests.list_length
    with seeded(0):  # leaves the process's random numbers as they are
        teacher = store(build_evaluator(sizes, list_length, one), sizes, list_length, one)
        generator = build_generator(sizes, list_length, distilled.model)
        if distilled.distillation.warm_start:
            start_from_evaluator(generator, teacher)


def _check_mining(requests: Any, search: Any) -> None:
    from degre_pipeline.reranker.lookahead_mining import check_search, rows_to_mine

    check_search(requests, search)
    rows_to_mine(requests, search)


def _check_example(catalog: DataCatalog, space: Any) -> None:
    """Puts together and checks the requests by which registration will describe and compare the model."""
    from degre_pipeline.serving.model.example_requests import COMPARED, example_requests, lists_to_compare
    from degre_pipeline.serving.model.request_schema import RequestSchema
    from degre_pipeline.serving.model.signature import request_signature
    from degre_pipeline.sources.splits import first_and_last_day, learned_from

    tables, lists = catalog.load("feature_tables"), catalog.load("lists")
    first_and_last_day(tables.requests, learned_from(lists))
    examples = example_requests(lists_to_compare(lists, COMPARED), tables, space)
    schema = RequestSchema.of(space)
    for position, request in enumerate(examples):
        schema.check(request, position)
    request_signature(schema, examples)
