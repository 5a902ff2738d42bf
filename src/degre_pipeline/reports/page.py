"""What all pages share: one environment of templates, one frame with one style, and what was run."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import jinja2

from degre_pipeline.run_facts import RunFacts

Filters = Mapping[str, Callable[[Any], str]]


def render(template: str, facts: RunFacts, content: Mapping[str, Any], filters: Filters | None = None) -> str:
    """Returns a page that needs nothing but itself: no other file, no other host, no script.

    All data in it is escaped. Characters beyond ASCII are written as references, because the page is then the
    same in whichever encoding it is stored.

    Args:
        template: File beside this one, which extends `frame.html.j2`.
        facts: What was run; the head of the page says it.
        content: What the template lays out, by name.
        filters: Filters of the template by name.
    Raises: jinja2.UndefinedError: If the template names what is not there.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= filters or {}
    page = environment.get_template(template).render(facts=facts, style=_text("style.css"), **content)
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
