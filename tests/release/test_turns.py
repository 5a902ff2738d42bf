"""Moves of several processes at once: each sees what the one before it did."""

import subprocess
import sys

import pytest

from degre_pipeline.release import ledger, turns
from degre_pipeline.release.aliases import CHAMPION, notice, positions
from degre_pipeline.release.promotion import promote
from degre_pipeline.release.turns import in_turn

MODEL = "reranker"
ANN = {"who": "ann", "why": "better lists"}
PROMOTE = """
import sys
import mlflow
from degre_pipeline.release.promotion import promote
promote(mlflow.MlflowClient(sys.argv[1]), "reranker", int(sys.argv[2]), who="ann", why="at once", force=True)
"""


def test_moves_at_once_are_a_chain_whose_end_is_the_champion(versions, tmp_path):
    notice(versions, MODEL)
    promote(versions, MODEL, 1, **ANN)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    words = [sys.executable, "-c", PROMOTE, uri]
    started = [subprocess.Popen([*words, str(version)], stderr=subprocess.PIPE) for version in (2, 3, 4)]
    for process in started:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()
    moves = [entry.move for entry in reversed(ledger.entries(versions, MODEL, CHAMPION))]
    assert [move.from_version for move in moves] == [None, *(move.to_version for move in moves[:-1])]
    assert {move.to_version for move in moves} == {1, 2, 3, 4}
    assert positions(versions, MODEL)[CHAMPION] == moves[-1].to_version
    assert positions(versions, MODEL)["previous_champion"] == moves[-1].from_version
    assert notice(versions, MODEL) == []


def test_a_turn_that_never_ends_blocks_nobody_for_good(versions, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.1)
    hold = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)"
    hold += "; print('held', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", hold, str(tmp_path / "mlflow.db.moves")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        promote(versions, MODEL, 1, **ANN)
        holder.stdin.close()
    assert positions(versions, MODEL)[CHAMPION] == 1
    assert "another process has moved aliases for 0.1 seconds" in caplog.text


def test_turns_may_be_nested_and_end_with_an_error(versions, tmp_path):
    with pytest.raises(RuntimeError, match="half way"), in_turn(versions), in_turn(versions):
        raise RuntimeError("half way")
    promote(versions, MODEL, 1, **ANN)
    assert (tmp_path / "mlflow.db.moves").exists()


def test_a_server_has_a_lock_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setattr(turns.tempfile, "gettempdir", lambda: str(tmp_path))
    one, other = (turns._lock_file(f"http://127.0.0.1:{port}") for port in (5000, 5001))
    assert one.parent == other.parent == tmp_path
    assert one != other
