"""The command `dht`: what people do without a browser."""

from pathlib import Path

import click

from app.errors import ToolkitError
from app.settings import CLONE_FOLDER, Settings


class Commands(click.Group):
    """A group whose commands end with one sentence instead of a traceback when the project refuses something."""

    def invoke(self, context: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(context)
        except ToolkitError as error:
            raise click.ClickException(error.message) from error


# The rooms are imported on use: `dht --help` answers at once, and `dht redis` needs none of them.


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deephealth-backend")
def main() -> None:
    """Train and run deep-learning models on a lab's own images.

    Settings come from the environment; docs/settings.md lists them.
    """


@main.command()
def init() -> None:
    """Make the storage folder, and what is missing in it.

    That is the records of tasks, models, properties and shipped datasets; what you changed stays as it is.
    """
    from app.jobs.initialisation import initialise
    from app.jobs.services import open_services

    settings = Settings.from_environment()
    initialise(open_services(settings))
    click.echo(f"The storage folder {settings.storage_dir} is ready.")


@main.command()
@click.option(
    "--procfile",
    type=click.Path(path_type=Path),
    default=CLONE_FOLDER / "Procfile",
    help="File of the programs to run, one `name: command` a line.  [default: the Procfile of the clone]",
)
def serve(procfile: Path) -> None:
    """Run the service until Ctrl-C.

    Web server, workers and, unless REDIS_URL names one, a Redis, all in the foreground.
    """
    from app.launcher import serve as run_service

    run_service(Settings.from_environment(), procfile)


@main.command()
def redis() -> None:
    """Run the embedded Redis alone."""
    from app.embedded_redis import run

    run(Settings.from_environment())


@main.command()
def demo() -> None:
    """Train and test on real images by REST.

    A service of its own is started for it, with all files in the folder demo/ of the clone.
    """
    from app.demo.story import run_demo

    run_demo()


@main.command("check-dataset")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(["classification", "segmentation"]), help="[default: what the labels fit]")
@click.option("--group-by", metavar="FEATURE", help="Feature that names patients.  [default: patient_id or the like]")
@click.option("--json", "is_json", is_flag=True, help="Print the report as JSON.")
def check_dataset(file: Path, task: str | None, group_by: str | None, is_json: bool) -> None:
    """Look at every image of a dataset before it is trained on.

    FILE is a description in the DeepHealth dataset format. Prints counts, sizes, mean and deviation, and every problem
    with its file. The exit code is 1 if there are errors.
    """
    from app.report_screen import check_and_show

    if not check_and_show(file, Settings.from_environment(), task, group_by, is_json=is_json):
        raise SystemExit(1)


if __name__ == "__main__":
    main(prog_name="dht")
