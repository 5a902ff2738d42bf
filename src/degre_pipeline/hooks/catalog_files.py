"""Where the catalog keeps a dataset."""

from pathlib import Path

from kedro.io import DataCatalog


def dataset_file(catalog: DataCatalog, name: str) -> Path | None:
    """Return the dataset's file or folder, or None if it has none (in memory, or not in the catalog)."""
    if name not in catalog:
        return None
    described = catalog[name]._describe()
    location = described.get("filepath") or described.get("path")
    return Path(location) if location else None
