"""Catalog dataset for a long computation that is made, stored and resumed shard by shard."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from tqdm import tqdm

from degre_pipeline.datasets.atomic import atomic_path, remove_leftovers
from degre_pipeline.datasets.shards import LoadedShards, Shards, shard_path
from degre_pipeline.datasets.tensor_files import read_header, write_tensors

_STARTED = "_STARTED.json"
_SUCCESS = "_SUCCESS.json"
_FINGERPRINT = "fingerprint"
_SHARD = "shard"


class ShardsDataset(AbstractDataset[Shards, LoadedShards]):
    """A folder of safetensors files, one a shard, with a success marker that is written last.

    A save makes one shard at a time, so memory holds one; it skips shards that are whole and have the same
    fingerprint, so an interrupted run goes on where it stopped; it removes shards of another fingerprint. The
    dataset exists, and can be loaded, only after every shard was written.
    """

    def __init__(
        self,
        path: str,
        description: str | None = None,
        resume_command: str = "kedro run",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            path: The folder; it belongs to this dataset alone.
            description: Label of the progress bar; the folder's name by default.
            resume_command: What the error of an unfinished folder tells the reader to run.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        self._folder = Path(path)
        self._description = description or self._folder.name
        self._resume_command = resume_command
        self.metadata = metadata

    def save(self, data: Shards) -> None:
        """Make and write every shard that is not there yet, then the success marker."""
        if self._is_finished(data):
            return
        # The marker goes first: from here on the folder is unfinished whatever happens.
        (self._folder / _SUCCESS).unlink(missing_ok=True)
        self._remove_strangers(data)
        self._write_json(_STARTED, {_FINGERPRINT: data.fingerprint, "names": list(data.names)})
        self._make_missing(data)
        sizes = {name: shard_path(self._folder, name).stat().st_size for name in data.names}
        self._write_json(
            _SUCCESS, {_FINGERPRINT: data.fingerprint, "names": list(data.names), "sizes": sizes}
        )

    def load(self) -> LoadedShards:
        """Return the finished shards, unread.

        Raises: DatasetError if the run did not finish or a shard is missing, damaged or not of this run.
        """
        manifest = self._read_json(_SUCCESS)
        if manifest is None:
            raise DatasetError(self.why_missing())
        for name in manifest["names"]:
            self._check_shard(name, manifest)
        return LoadedShards(self._folder, tuple(manifest["names"]), manifest[_FINGERPRINT])

    def _make_missing(self, data: Shards) -> None:
        missing = [name for name in data.names if not self._is_whole(name, data.fingerprint)]
        done = len(data.names) - len(missing)
        with tqdm(
            total=len(data.names), initial=done, desc=self._description, unit="shard", mininterval=1.0
        ) as progress:
            for name in missing:
                # One entry: safetensors writes several in no fixed order, and equal runs give equal bytes.
                header = {_SHARD: f"{name} {data.fingerprint}"}
                write_tensors(shard_path(self._folder, name), data.make(name), header)
                progress.update()

    def _is_finished(self, data: Shards) -> bool:
        manifest = self._read_json(_SUCCESS)
        return (
            manifest is not None
            and manifest[_FINGERPRINT] == data.fingerprint
            and manifest["names"] == list(data.names)
            and all(self._is_whole(name, data.fingerprint) for name in data.names)
        )

    def _is_whole(self, name: str, fingerprint: str) -> bool:
        try:
            header = read_header(shard_path(self._folder, name))
        except DatasetError:
            return False
        return header.get(_SHARD) == f"{name} {fingerprint}"

    def _remove_strangers(self, data: Shards) -> None:
        """Remove leftovers of interrupted writes and every shard that is not one of this run."""
        ours = {
            shard_path(self._folder, name) for name in data.names if self._is_whole(name, data.fingerprint)
        }
        shards = set(self._folder.glob("*.safetensors"))
        for path in shards - ours:
            path.unlink()
        remove_leftovers(self._folder)

    def _check_shard(self, name: str, manifest: dict[str, Any]) -> None:
        path = shard_path(self._folder, name)
        header = read_header(path)
        wanted = f"{name} {manifest[_FINGERPRINT]}"
        if header.get(_SHARD) != wanted:
            raise DatasetError(
                f"{path} is the shard and run {header.get(_SHARD)!r}, wanted {wanted!r}; "
                f"`{self._resume_command}` makes it again."
            )
        if path.stat().st_size != manifest["sizes"][name]:
            raise DatasetError(
                f"{path} has {path.stat().st_size} bytes, {_SUCCESS} lists {manifest['sizes'][name]}; "
                f"delete it, `{self._resume_command}` makes it again."
            )

    def why_missing(self) -> str:
        """Returns what of an unfinished folder is there, and the command that finishes it."""
        started = self._read_json(_STARTED)
        if started is None:
            return f"{self._folder} holds no shards; run `{self._resume_command}`."
        names, fingerprint = started["names"], started[_FINGERPRINT]
        whole = sum(self._is_whole(name, fingerprint) for name in names)
        return (
            f"The run that fills {self._folder} did not finish: {whole} of {len(names)} shards exist. "
            f"`{self._resume_command}` goes on from there."
        )

    def _read_json(self, name: str) -> dict[str, Any] | None:
        """Return a marker's content, or None if it is absent or not JSON."""
        try:
            content: dict[str, Any] = json.loads((self._folder / name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return content

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        with atomic_path(self._folder / name) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")

    def _exists(self) -> bool:
        return self._read_json(_SUCCESS) is not None

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.as_posix()}
