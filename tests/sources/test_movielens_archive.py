import zipfile
from pathlib import Path

import pytest

from degre_pipeline.sources import movielens_archive
from degre_pipeline.sources.movielens_archive import main, unpack_archive


@pytest.fixture(autouse=True)
def _small_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movielens_archive, "ROWS", {"ratings.dat": 22, "users.dat": 4, "movies.dat": 20})


def zip_of(folder: Path, *, without: str = "") -> Path:
    archive = folder.parent / "ml-1m.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in ("ratings.dat", "users.dat", "movies.dat", "README"):
            if name != without:
                content = (folder / name).read_bytes() if name != "README" else b"terms"
                opened.writestr(f"ml-1m/{name}", content)
    return archive


def test_files_are_unpacked_as_they_are(movielens_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "raw" / "ml-1m"

    rows = unpack_archive(zip_of(movielens_folder), target)

    assert rows == {"ratings.dat": 22, "users.dat": 4, "movies.dat": 20}
    assert sorted(path.name for path in target.iterdir()) == [
        "README",
        "movies.dat",
        "ratings.dat",
        "users.dat",
    ]
    assert (target / "movies.dat").read_bytes() == (movielens_folder / "movies.dat").read_bytes()


def test_a_lacking_file_is_named_and_nothing_unpacked(movielens_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "raw"

    with pytest.raises(ValueError, match=r"lacks \['users\.dat'\].*grouplens"):
        unpack_archive(zip_of(movielens_folder, without="users.dat"), target)

    assert not target.exists()


def test_another_number_of_rows_is_reported(movielens_folder: Path, tmp_path: Path) -> None:
    with (movielens_folder / "users.dat").open("a") as users:
        users.write("5::F::1::1::1\n")

    with pytest.raises(ValueError, match=r"users\.dat has 5 rows, expected 4"):
        unpack_archive(zip_of(movielens_folder), tmp_path / "raw")


def test_another_form_of_line_is_reported(movielens_folder: Path, tmp_path: Path) -> None:
    (movielens_folder / "ratings.dat").write_text("user,movie,rating\n1,10,5\n")

    with pytest.raises(ValueError, match=r"ratings\.dat, line 1: cannot read 'user,movie,rating'"):
        unpack_archive(zip_of(movielens_folder), tmp_path / "raw")


def test_command_unpacks(movielens_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--zip", str(zip_of(movielens_folder)), "--to", str(tmp_path / "raw")])

    assert "ratings.dat 22 rows" in capsys.readouterr().out


def test_command_without_an_archive_says_where_to_get_it() -> None:
    with pytest.raises(SystemExit, match=r"Download ml-1m\.zip from https://grouplens\.org.*make ml1m-data"):
        main([])


def test_command_names_what_is_wrong_with_the_archive(tmp_path: Path) -> None:
    (tmp_path / "page.zip").write_text("<html>")

    with pytest.raises(SystemExit, match=r"none\.zip does not exist"):
        main(["--zip", str(tmp_path / "none.zip")])
    with pytest.raises(SystemExit, match=r"page\.zip is not a zip file"):
        main(["--zip", str(tmp_path / "page.zip")])


def test_an_unpacking_that_breaks_leaves_no_half_file(
    movielens_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: Path) -> None:
        raise OSError(f"cannot place {target.name}")

    monkeypatch.setattr(movielens_archive.os, "replace", refuse)

    with pytest.raises(OSError, match="cannot place"):
        unpack_archive(zip_of(movielens_folder), tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []
