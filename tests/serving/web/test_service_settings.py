import os
import subprocess
import sys

import pytest

from degre_pipeline.serving.web.service_settings import read_settings


def test_defaults_listen_on_loopback_and_follow_the_champion():
    settings = read_settings([])
    assert (settings.host, settings.port, settings.alias) == ("127.0.0.1", 8000, "champion")
    assert (settings.deadline_ms, settings.runner, settings.token) == (50.0, "auto", None)


def test_the_command_line_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("DEGRE_SERVICE_DEADLINE_MS", "20")
    monkeypatch.setenv("DEGRE_SERVICE_PORT", "9000")
    settings = read_settings(["--deadline-ms", "30"])
    assert (settings.deadline_ms, settings.port) == (30.0, 9000)


def test_each_setting_that_is_not_allowed_is_named(capsys):
    with pytest.raises(SystemExit) as ended:
        read_settings(["--deadline-ms", "soon", "--port", "99999", "--runner", "abacus"])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "--port (DEGRE_SERVICE_PORT) is '99999'",
        "--deadline-ms (DEGRE_SERVICE_DEADLINE_MS) is 'soon'",
        "--runner (DEGRE_SERVICE_RUNNER) is 'abacus'",
    ]
    assert "'aotinductor', 'onnxruntime' or 'eager'" in lines[2]


def test_a_token_is_not_printed(capsys):
    with pytest.raises(SystemExit):
        read_settings(["--token", "geheim"])
    error = capsys.readouterr().err
    assert "--token (DEGRE_SERVICE_TOKEN): " in error
    assert "geheim" not in error


def test_help_names_every_option():
    command = [sys.executable, "-W", "error::SyntaxWarning", "-m", "degre_pipeline.serving.web", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for option in ("--tracking-uri", "--alias", "--deadline-ms", "--runner", "--shadow-share", "--token"):
        assert option in done.stdout
    assert done.stderr == ""


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit):
        read_settings(["--colour", "red"])
    assert "--colour" in capsys.readouterr().err


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path):
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text(
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "def find_spec(name, package=None):\n"
        "    return None if name == 'pydantic_settings' else found(name, package)\n"
        "importlib.util.find_spec = find_spec\n"
        "sys.modules['pydantic_settings'] = None\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "degre_pipeline.serving.web", "--help"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("the service needs pydantic_settings, which is not installed; allowed: ")
    assert "pip install -e '.[serving]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


HOMELESS = (
    "import os, pathlib, runpy, sys\n"
    "def home():\n"
    "    if 'HOME' not in os.environ: raise RuntimeError('no home folder')\n"
    "    return pathlib.Path(os.environ['HOME'])\n"
    "pathlib.Path.home = home\n"
    "runpy.run_module('degre_pipeline.serving.web', run_name='__main__', alter_sys=True)\n"
)


def homeless(*options: str) -> subprocess.CompletedProcess[str]:
    """Starts the service as a user without a home folder."""
    path = os.pathsep.join(filter(None, sys.path))
    kept = {name: value for name, value in os.environ.items() if name != "HOME"}
    return subprocess.run(
        [sys.executable, "-c", HOMELESS, *options],
        env={**kept, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_needs_no_home_folder():
    done = homeless("--help")
    assert done.returncode == 0
    assert "--cache-folder" in done.stdout


def test_without_a_home_folder_the_cache_folder_must_be_given(tmp_path):
    done = homeless()
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "allowed: --cache-folder FOLDER" in done.stderr
    # An address to listen on that this machine has not got ends it right after everything was imported.
    done = homeless(
        "--cache-folder", str(tmp_path / "cache"), "--host", "192.0.2.1", "--token", "open sesame"
    )
    assert "address" in done.stderr
    assert "RuntimeError" not in done.stderr
