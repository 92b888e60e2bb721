"""The command `dht`: what people do without a browser."""

from pathlib import Path

import click

from app.commands.greedy_option import GreedyCommand
from app.commands.token_commands import token
from app.errors import AugmentationError, ToolkitError
from app.settings import CLONE_FOLDER, Settings


class Commands(click.Group):
    """A group whose commands end with one sentence instead of a traceback when the project refuses something.

    Of an augmentation text all problems are shown.
    """

    def invoke(self, context: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(context)
        except AugmentationError as error:
            from app.commands.augmentation_screen import told

            raise click.ClickException(f"The augmentation text cannot be used.\n{told(error)}".rstrip()) from error
        except ToolkitError as error:
            raise click.ClickException(error.message) from error


LARGEST_SEED = 2**32 - 1  # as the property Seed has it
SEED = click.option(
    "--seed", type=click.IntRange(0, LARGEST_SEED), default=0, show_default=True, help="Seed of the random draws."
)

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


@main.command("verify-storage")
@click.option("--repair", is_flag=True, help="Mend what can be mended safely; the service has to be stopped.")
def verify_storage(repair: bool) -> None:
    """Look at everything that is stored.

    That is each record and what it refers to, the files of weights with their checksums, datasets and runs. Prints what
    is wrong, where, and how to mend it; the exit code is 1 then. Nothing is deleted: what nothing needs is moved into
    lost+found/ of the storage folder.
    """
    from app.commands.upkeep_screen import verify_and_show

    if not verify_and_show(Settings.from_environment().storage_dir, is_repairing=repair):
        raise SystemExit(1)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy all that is stored into FILE, also while the service runs.

    A name that ends in .tar.gz makes it a compressed archive. It holds everything but the queue, which is made again
    from the runs, and your images, which lie elsewhere.
    """
    from app.upkeep.backup import back_up

    count = back_up(Settings.from_environment().storage_dir, file)
    click.echo(f"Wrote {file}: {count:,} files, {file.stat().st_size / 1e6:,.1f} MB.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> None:
    """Put the backup FILE into an empty storage folder.

    All of it is checked against its checksums, then put in place, or nothing is.
    """
    from app.launcher import storage_lock
    from app.upkeep.restore import restore as put_back

    folder = Settings.from_environment().storage_dir
    with storage_lock(folder):
        count = put_back(file, folder)
    click.echo(f"Restored {count:,} files into {folder}.")


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
    from app.commands.report_screen import check_and_show

    if not check_and_show(file, Settings.from_environment(), task, group_by, is_json=is_json):
        raise SystemExit(1)


@main.command("check-augmentation")
@click.argument("file", type=click.Path(path_type=Path))
def check_augmentation(file: Path) -> None:
    """Check an augmentation text.

    Prints the text as the toolkit writes it, or every problem with its line and a caret under the place. The exit code
    is 1 if there are problems.
    """
    from app.commands.augmentation_screen import checked, read_text

    is_sound, told = checked(read_text(file))
    click.echo(told, nl=False)
    if not is_sound:
        raise SystemExit(1)


@main.command("preview-augmentation")
@click.argument("text_file", type=click.Path(path_type=Path))
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--mask", type=click.Path(path_type=Path), help="The image's mask; its outlines are drawn.")
@click.option("--out", metavar="PNG", required=True, type=click.Path(path_type=Path), help="File for the picture.")
@click.option("--count", type=click.IntRange(1, 48), default=8, show_default=True, help="Number of results.")
@click.option("--size", type=click.IntRange(32, 512), default=192, show_default=True, help="Longest side, in pixels.")
@SEED
def preview_augmentation(
    text_file: Path, image: Path, mask: Path | None, out: Path, count: int, size: int, seed: int
) -> None:
    """Draw what an augmentation text does to an image.

    PNG becomes one picture: the original, and what a training with this seed makes of it in its first COUNT epochs.
    """
    from app.commands.augmentation_screen import draw_preview, read_text

    draw_preview(read_text(text_file), image, mask, out, Settings.from_environment(), (seed, count, size))
    click.echo(f"Wrote {out}.")


@main.command("apply-augmentation", cls=GreedyCommand, greedy="--masks")
@click.argument("text_file", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--masks",
    metavar="MASK...",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Masks, one for each image in the same order: several after one flag, or the flag before each.",
)
@click.option("--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@SEED
@click.option("--epoch", type=click.IntRange(1), default=1, show_default=True, help="Epoch whose draws are shown.")
def apply_augmentation(
    text_file: Path, images: tuple[Path, ...], masks: tuple[Path, ...], out: Path, seed: int, epoch: int
) -> None:
    """Apply an augmentation text to images.

    Each result is written under the name of its IMAGE into DIR. An array (.npy: `(H, W)`, `(H, W, 1)` or RGB
    `(H, W, 3)`, uint8 or float32) gives the exact array, an image file one of 8 bits. The first image gets the draw of
    sample 0 in a training with this seed and epoch, and so on.
    """
    from app.commands.augmentation_screen import read_text
    from app.jobs.augmentation.augmented_files import apply_to_files

    max_pixels = Settings.from_environment().max_image_pixels
    text = read_text(text_file)
    for note in apply_to_files(text, images, masks, out, seed=seed, epoch=epoch, max_pixels=max_pixels):
        click.echo(note, err=True)
    results = f"{len(images)} images" + (f" and {len(masks)} masks" if masks else "")
    click.echo(f"Wrote {results} to {out}.")


main.add_command(token)

if __name__ == "__main__":
    main(prog_name="dht")
