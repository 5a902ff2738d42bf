"""`kedro run` ends by a code that says whether another try can help."""

import errno
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from kedro.io import DatasetError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

import project_runs
from degre_pipeline.cli import MAY_PASS, UNKNOWN, WRONG, cli, exit_code, with_exit_code
from degre_pipeline.validation.validator import InvalidTableError


def saving(error: Exception) -> Exception:
    """Returns the error as Kedro raises it while saving."""
    wrapped = DatasetError("Failed while saving data to dataset 'a'")
    wrapped.__cause__ = error
    return wrapped


CODES = {
    "a wrong setting": (ValueError("beam_size is 0"), WRONG),
    "a wrong table": (saving(InvalidTableError("breaks 1 of 4 rules")), WRONG),
    "a missing file": (FileNotFoundError("requests.parquet"), WRONG),
    "a missing file, while loading": (saving(FileNotFoundError("requests.parquet")), WRONG),
    "data that no pipeline has written": (DatasetError("does not exist; run the pipeline"), WRONG),
    "a full disk": (saving(OSError(errno.ENOSPC, "No space left on device")), MAY_PASS),
    "a full disk, told by safetensors": (RuntimeError("I/O error: No space left on device"), MAY_PASS),
    "no connection": (ConnectionRefusedError("127.0.0.1"), MAY_PASS),
    "no memory": (MemoryError(), MAY_PASS),
    "what MLflow refuses": (MlflowException("Invalid name", INVALID_PARAMETER_VALUE), WRONG),
    "an MLflow in trouble": (MlflowException("API request failed"), UNKNOWN),
    "anything else": (RuntimeError("CUDA error"), UNKNOWN),
}


@pytest.mark.parametrize(("error", "code"), CODES.values(), ids=CODES)
def test_the_cause_decides(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_the_error_is_still_told(capsys: pytest.CaptureFixture[str]) -> None:
    @with_exit_code
    def fails() -> None:
        raise ValueError("beam_size is 0; allowed: 1 to 10,000")

    with pytest.raises(SystemExit) as ended:
        fails()
    assert ended.value.code == WRONG
    assert "ValueError: beam_size is 0; allowed: 1 to 10,000" in capsys.readouterr().err


def test_a_wrong_word_on_the_command_line_stays_click_s() -> None:
    @with_exit_code
    def fails() -> None:
        raise click.UsageError("no such option")

    with pytest.raises(click.UsageError):
        fails()
    assert CliRunner().invoke(cli, ["run", "--colour=red"]).exit_code == 2


SAID = {
    "a setting": (
        "--params=run_date=yesterday",
        "run_date is 'yesterday'; allowed: a date such as 2026-01-31",
    ),
    "a runner": (
        "--runner=ParallelRunner",
        "runner is ParallelRunner; allowed: SequentialRunner, the default",
    ),
    "settings": ("--env=../elsewhere", "env is '../elsewhere'; allowed: a folder inside "),
}


@pytest.mark.parametrize(("word", "named"), SAID.values(), ids=SAID)
def test_the_command_line_says_what_is_wrong(
    mlflow_database: Path, tmp_path: Path, word: str, named: str
) -> None:
    project = project_runs.lay_out(tmp_path / "project", mlflow_database)
    done = project_runs.kedro(project, "run", "--pipeline=ingestion", word)
    assert done.returncode == WRONG, done.stderr
    assert named in done.stderr
