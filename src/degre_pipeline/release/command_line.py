"""The command `degre`: promote a version, go back to the one before, and who moved what when."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from degre_pipeline.run_facts import WORKFLOW_RUN

NOT_SO = 99
"""Exit code of `degre check` where the answer is no; Airflow's operators skip on it."""
WRONG, TEMPORARY = 65, 75
"""Exit codes as of `kedro run`: another try cannot help; a later one may."""
HERE = "The project's folder; by default the working directory or the nearest one above it."


@dataclass(frozen=True)
class Place:
    """Which registered model of which MLflow a command is about."""

    model: str
    tracking_uri: str


class _OneLine(click.Group):
    """Reports errors in one line, also those of MLflow, such as a user who may not move an alias."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from mlflow.exceptions import MlflowException

            of_database = type(error).__module__.startswith(("sqlalchemy", "sqlite3"))
            if "database is locked" in str(error):
                raise Later(
                    "MLflow's database is locked by another process; try again in a moment"
                ) from error
            if isinstance(error, MlflowException) or of_database:
                raise click.ClickException(str(error).strip().splitlines()[0]) from error
            if isinstance(error, ValueError):
                raise click.ClickException(str(error)) from error
            raise


class Later(click.ClickException):
    """An error that may pass in a moment."""

    exit_code = TEMPORARY


class Wrong(click.ClickException):
    """An error that another try cannot help."""

    exit_code = WRONG


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Decide which registered version serves.

    The alias `champion` marks it. Every move of an alias is written to a ledger in MLflow, also one that was
    made elsewhere, as soon as a command or a registration finds it.
    """


def _of_a_project(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say which project and model."""
    for option in (
        click.option("--model", help="Registered model; by default the one that the settings name."),
        click.option("--tracking-uri", help="MLflow; by default as for `kedro run`."),
        click.option("--env", help="Folder of conf/ whose settings hold, as for `kedro run`."),
        click.option(
            "--project",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help=HERE,
        ),
    ):
        command = option(command)
    return command


def _said(_: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Returns a text without the blanks around it. Raises: click.BadParameter: If nothing else is left."""
    if text is None or text.strip():
        return text.strip() if text else None
    raise click.BadParameter(f"{option.name} is {text!r}; allowed: a text that says something")


_WHO = click.option(
    "--who", envvar="DEGRE_WHO", callback=_said, help="Who decides; by default the user of this machine."
)
_WHY = click.option("--why", required=True, callback=_said, help="The reason, for the ledger.")


@main.command()
@click.argument("version", type=click.IntRange(min=1), required=False)
@_WHY
@_WHO
@click.option("--run-date", help="Takes the version of a day, where none is named.")
@click.option("--force", is_flag=True, help="Promote even what the gate refused or did not judge.")
@_of_a_project
def promote(
    version: int | None, why: str, who: str | None, run_date: str | None, force: bool, **place: Any
) -> None:
    """Make VERSION the champion; without VERSION, that of --run-date; without both, the challenger.

    What the gate let through or held for a person needs a reason. What it refused needs --force too, and is
    flagged in the ledger like everything that did not pass.
    """
    from degre_pipeline.release import promotion
    from degre_pipeline.release.ledger import user

    client, model = _opened(place)
    _noticed(client, model)
    if version is None and run_date is not None:
        version = _asked_about(client, model, run_date)
    _told(
        lambda: promotion.promote(client, model, version, who=who or user(), why=why, force=force),
        f"{model}: that version is the champion already",
    )


@main.command()
@_WHY
@_WHO
@_of_a_project
def rollback(why: str, who: str | None, **place: Any) -> None:
    """Make the previous champion the champion again. A second time undoes the first."""
    from degre_pipeline.release import promotion
    from degre_pipeline.release.ledger import user

    client, model = _opened(place)
    _noticed(client, model)
    _told(
        lambda: promotion.roll_back(client, model, who=who or user(), why=why),
        f"{model}: the previous champion is the champion already",
    )


@main.command()
@click.argument("state", type=click.Choice(["waits", "serves"]))
@click.option("--run-date", required=True, help="The day whose version is meant.")
@_of_a_project
def check(state: str, run_date: str, **place: Any) -> None:
    """Say whether the version of a day waits for a person, or serves.

    The exit code is 0 if it does and 99 if it does not. A version waits if the gate let it through, if it is
    not the champion, and if it is no older than the champion. In a workflow, `degre promote --run-date` then
    promotes no other version than the one that was found waiting.
    """
    from degre_pipeline.release import day_version
    from degre_pipeline.release.versions import outcome_of

    client, model = _opened(place)
    version = _of_day(client, model, run_date)
    holds = {"waits": day_version.waits, "serves": day_version.serves}[state](client, model, version)
    if holds and state == "waits":
        day_version.ask_about(client, version, os.environ.get(WORKFLOW_RUN, ""))
    sentence = f"{model}, version {version.version} of {run_date}: {state if holds else f'not so: {state}'}"
    gate = f"{outcome_of(version)}, {version.tags.get('gate_decided_by', '')}"
    click.echo(printable(f"{sentence}. Gate: {gate}"))
    sys.exit(0 if holds else NOT_SO)


@main.command()
@click.option("--alias", help="Only this alias: challenger, champion or previous_champion.")
@click.option("--most", type=click.IntRange(min=1), default=20, show_default=True, help="Moves to show.")
@_of_a_project
def history(alias: str | None, most: int, **place: Any) -> None:
    """Show who moved which alias when, from where to where and why, newest first."""
    from degre_pipeline.release import ledger
    from degre_pipeline.release.aliases import positions

    client, model = _opened(place)
    _noticed(client, model)
    now = positions(client, model)
    click.echo(f"{model}: {', '.join(f'{name} is version {at}' for name, at in now.items()) or 'no alias'}")
    for entry in ledger.entries(client, model, alias)[:most]:
        click.echo(printable(_line(entry)))


def _opened(place: dict[str, Any]) -> tuple[Any, str]:
    """Returns a client of the project's MLflow and the name of the model."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # usage reports are off for everybody
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default minutes, while a person waits
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a server's page for every move
    import mlflow

    from degre_pipeline.locations import database_file
    from degre_pipeline.release.filters import quoted

    found = find_place(**place)
    file = database_file(found.tracking_uri)
    if file is not None and not file.exists():
        raise click.ClickException(f"there is no MLflow database {file}; allowed: one that a run has made")
    mlflow.set_tracking_uri(found.tracking_uri)
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name = {quoted(found.model)}"):
        known = [model.name for model in client.search_registered_models()]
        raise click.ClickException(
            f"model is {found.model!r}; allowed: {', '.join(known) or 'none is there'}"
        )
    return client, found.model


def find_place(project: Path | None, env: str | None, tracking_uri: str | None, model: str | None) -> Place:
    """Returns the model and the MLflow that a project's settings name; what is given wins.

    Raises: click.ClickException: If something is not given and there is no project to ask.
    """
    if tracking_uri and model:
        return Place(model, tracking_uri)
    folder = (project or Path.cwd()).resolve()
    root = next((one for one in (folder, *folder.parents) if (one / "conf" / "base").is_dir()), None)
    if root is None:
        raise click.ClickException(
            f"{folder} is in no project; allowed: one with conf/base, or both --tracking-uri and --model"
        )
    from degre_pipeline.locations import tracking_uri as resolved

    mlflow_settings, parameters = _settings(root, env or os.environ.get("KEDRO_ENV"))
    configured = tracking_uri or mlflow_settings["server"]["mlflow_tracking_uri"]
    return Place(model or parameters["registration"]["model_name"], resolved(configured, root))


def _settings(root: Path, env: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what mlflow.yml and the parameters say in an environment."""
    from degre_pipeline.configuration import ProjectConfigLoader

    settings = ProjectConfigLoader(str(root / "conf"), env)
    return settings["mlflow"], settings["parameters"]


def _of_day(client: Any, model: str, run_date: str) -> Any:
    """Returns the version of a day; an error becomes one line."""
    from degre_pipeline.release.day_version import version_of_day

    try:
        return version_of_day(client, model, run_date)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _asked_about(client: Any, model: str, run_date: str) -> int:
    """Returns the version of a day; in a workflow only the one that a person was asked about."""
    from degre_pipeline.release.day_version import check_asked

    version = _of_day(client, model, run_date)
    try:
        check_asked(version, os.environ.get(WORKFLOW_RUN, ""))
    except ValueError as error:
        raise Wrong(str(error)) from error
    return int(version.version)


def _noticed(client: Any, model: str) -> None:
    from degre_pipeline.release.aliases import notice

    _say(notice(client, model))


def _told(act: Callable[[], Sequence[Any]], otherwise: str) -> None:
    """Acts, and prints the moves; an error becomes one line."""
    try:
        done = act()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    _say(done)
    if not done:
        click.echo(otherwise)


def _say(moved: Sequence[Any]) -> None:
    for entry in moved:
        click.echo(printable(_line(entry)))


def _line(entry: Any) -> str:
    move = entry.move
    places = " -> ".join("none" if at is None else str(at) for at in (move.from_version, move.to_version))
    flag = "  [not passed by the gate]" if move.flagged else ""
    when = entry.when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{when}  {move.alias} {places}  gate: {move.gate_outcome}  by {move.who}: {move.why}{flag}"


def printable(line: str) -> str:
    """Returns the line with escapes in place of characters that would end it or command a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


if __name__ == "__main__":
    main()
