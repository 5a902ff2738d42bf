"""Checks a downloaded ml-1m.zip and unpacks it, as `python -m degre_pipeline.sources.movielens` does."""

import argparse
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from degre_pipeline.sources.movielens_files import (
    DOWNLOAD_PAGE,
    FORMATS,
    LineFormat,
    parse_lines,
    split_lines,
)

ROWS = {"ratings.dat": 1_000_209, "users.dat": 6_040, "movies.dat": 3_883}
"""Lines of each file of MovieLens-1M, from its README."""

TERMS_OF_USE = "README"
_FIRST_LINES = 100


def unpack_archive(archive: Path, folder: Path) -> dict[str, int]:
    """Unpacks the three files and the terms of use, and returns the rows of each file.

    Everything is checked before the first file is put in place, and each file appears whole or not at all.

    Raises: FileNotFoundError if the archive is missing; ValueError if it is no zip file, lacks a file, or a
        file has another number of rows or first lines of another form.
    """
    if not archive.is_file():
        raise FileNotFoundError(f"Archive {archive} does not exist. Download ml-1m.zip from {DOWNLOAD_PAGE}.")
    if not zipfile.is_zipfile(archive):
        raise ValueError(f"Archive {archive} is not a zip file, expected ml-1m.zip from {DOWNLOAD_PAGE}.")
    with zipfile.ZipFile(archive) as opened:
        members = _find_members(opened, archive)
        contents = {name: opened.read(member) for name, member in members.items()}
    rows = {line_format.file_name: _check_file(contents, line_format, archive) for line_format in FORMATS}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        _write_whole(folder / name, content)
    return rows


def _find_members(opened: zipfile.ZipFile, archive: Path) -> dict[str, str]:
    """Finds the archive's member for each file, in whatever folder it lies."""
    wanted = (*ROWS, TERMS_OF_USE)
    members = {Path(member).name: member for member in opened.namelist() if Path(member).name in wanted}
    missing = [name for name in wanted if name not in members]
    if missing:
        raise ValueError(
            f"Archive {archive} lacks {missing}: it has {opened.namelist()[:10]}, "
            f"required are {list(wanted)}. Download ml-1m.zip from {DOWNLOAD_PAGE}."
        )
    return members


def _check_file(contents: dict[str, bytes], line_format: LineFormat, archive: Path) -> int:
    """Checks the form of a file's first lines and counts its rows."""
    name = line_format.file_name
    lines = split_lines(contents[name])
    parse_lines(lines[:_FIRST_LINES], line_format, f"{archive}:{name}")
    if len(lines) != ROWS[name]:
        raise ValueError(f"{archive}:{name} has {len(lines)} rows, expected {ROWS[name]}.")
    return len(lines)


def _write_whole(path: Path, content: bytes) -> None:
    """Writes beside the path first, so that a broken run never leaves half a file under its name."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as unfinished:
        try:
            unfinished.write(content)
            unfinished.close()
            Path(unfinished.name).chmod(0o644)
            os.replace(unfinished.name, path)
        except BaseException:
            Path(unfinished.name).unlink(missing_ok=True)
            raise


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; exits with a message when the archive is missing or not as it should be."""
    parser = argparse.ArgumentParser(
        prog="python -m degre_pipeline.sources.movielens",
        description="Check a downloaded ml-1m.zip (MovieLens-1M) and unpack it.",
        epilog=f"Download it from {DOWNLOAD_PAGE}: research use only, no redistribution.",
    )
    parser.add_argument("--zip", type=Path, help="the downloaded ml-1m.zip")
    default = Path("data/01_raw/ml-1m")
    parser.add_argument("--to", type=Path, default=default, help="folder, default: %(default)s")
    chosen = parser.parse_args(arguments)
    if chosen.zip is None:
        sys.exit(f"Download ml-1m.zip from {DOWNLOAD_PAGE}, then run `make ml1m-data ZIP=path/to/ml-1m.zip`.")
    try:
        rows = unpack_archive(chosen.zip, chosen.to)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(str(error))
    counted = ", ".join(f"{name} {count:,} rows" for name, count in rows.items())
    print(f"Unpacked into {chosen.to}: {counted}")
