"""The commands `dht token`: who may use the service over the network."""

import os

import click

from app.settings import Settings

# The rooms are imported on use, as in `app.cli`.


@click.group()
def token() -> None:
    """Make, list and revoke the tokens that programs and people need.

    As soon as there is one, every request needs one; while there is none, the service answers its own machine only.
    Changes hold at once, also in a service that runs. Run this with the STORAGE_DIR of the service.
    """


@token.command()
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 36500), help="Days after which it expires.  [default: never]")
def create(name: str, days: int | None) -> None:
    """Make a token for NAME and print it, once.

    Only a hash is stored: whoever loses the token needs a new one. NAME is what the audit log tells of who did what.
    """
    from app.access.tokens import stored_tokens

    click.echo(stored_tokens(Settings.from_environment()).create(name, days))
    _note("create", name)
    click.echo("This is shown only now. Send it as the header  Authorization: Bearer <token>", err=True)


@token.command("list")
def list_tokens() -> None:
    """List the tokens by name, with when they were made and expire."""
    from app.access.tokens import is_expired, stored_tokens

    records = stored_tokens(Settings.from_environment()).all()
    width = max((len(record["name"]) for record in records), default=0)
    for record in records:
        expiry = f"expires {record['expires']}" if record["expires"] else "never expires"
        ended = "  (expired)" if is_expired(record) else ""
        click.echo(f"{record['name']:<{width}}  made {record['created']}  {expiry}{ended}")
    if not records:
        click.echo("There is no token: the service answers its own machine only, and everyone there.", err=True)


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Revoke the token of NAME: from now on it is refused."""
    from app.access.tokens import stored_tokens

    tokens = stored_tokens(Settings.from_environment())
    tokens.revoke(name)
    _note("revoke", name)
    click.echo(f"Revoked {name}.")
    if not tokens.exist():
        click.echo("No token is left: the service answers its own machine only, and everyone there.", err=True)


def _note(verb: str, name: str) -> None:
    """Leave a line where those of the requests are."""
    from app.access.audit_log import AuditLog
    from app.runs.layout import StorageLayout

    log = AuditLog(StorageLayout(Settings.from_environment().storage_dir).audit_log)
    log.write(who=f"user {os.getuid()}", method="dht token", path=verb, id=name)
