"""The page that shows people what the service takes; it loads nothing from anywhere."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 60em; }}
td, th {{ text-align: left; padding: .2em 1em .2em 0; vertical-align: top; }}
pre {{ background: #f4f4f4; padding: 1em; overflow: auto; }}</style></head>
<body><h1>{title} {version}</h1>
<table><tr><th>Call</th><th>Does</th></tr>{rows}</table>
{forms}
</body></html>
"""


def document_page(document: Mapping[str, Any]) -> str:
    """Returns an HTML page of an OpenAPI document."""
    rows = "".join(
        f"<tr><td><code>{escape(method.upper())} {escape(path)}</code></td>"
        f"<td>{escape(operation.get('description', ''))}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    forms = "".join(
        f"<h2>{escape(name)}</h2><pre>{escape(json.dumps(form, indent=1))}</pre>"
        for name, form in document["components"]["schemas"].items()
    )
    info = document["info"]
    return _PAGE.format(title=escape(info["title"]), version=escape(info["version"]), rows=rows, forms=forms)
