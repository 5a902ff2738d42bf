import subprocess
import sys

import pytest

from degre_pipeline.service.command_line import read_settings


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
    command = [sys.executable, "-W", "error::SyntaxWarning", "-m", "degre_pipeline.service", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for option in ("--tracking-uri", "--alias", "--deadline-ms", "--runner", "--shadow-share", "--token"):
        assert option in done.stdout
    assert done.stderr == ""


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit):
        read_settings(["--colour", "red"])
    assert "--colour" in capsys.readouterr().err
