"""What `dht verify-storage` prints."""

from pathlib import Path

import click

from app.errors import Conflict
from app.launcher import storage_lock
from app.upkeep.finding import LOST_AND_FOUND
from app.upkeep.verify import Verified, open_storage, verify


def verify_and_show(root: Path, *, is_repairing: bool) -> bool:
    """Look at everything, mend what can be mended when asked to, and return whether all is well in the end.

    Raises:
        NotFound: if this is no storage folder.
        Conflict: if it is to be mended and is served.
    """
    open_storage(root)
    if is_repairing:
        with storage_lock(root):
            verified = _repaired(root)
    else:
        verified = verify(root, is_served=_is_served(root))
    for finding in verified.findings:
        click.echo(str(finding))
    click.echo(_summary(verified, is_repairing=is_repairing))
    return not verified.findings


def _repaired(root: Path) -> Verified:
    found = verify(root, is_served=False)
    for finding in found.findings:
        if finding.mend is not None:
            finding.mend()
            click.echo(f"Mended {finding.place}: {finding.fault}")
    return verify(root, is_served=False) if found.findings else found


def _is_served(root: Path) -> bool:
    try:
        with storage_lock(root):
            return False
    except Conflict:
        return True


def _summary(verified: Verified, *, is_repairing: bool) -> str:
    looked_at = f"{verified.record_count:,} records and {verified.run_count:,} runs: "
    count, mendable = len(verified.findings), sum(finding.mend is not None for finding in verified.findings)
    if not count:
        return looked_at + "all is well."
    faults = "1 fault" if count == 1 else f"{count:,} faults"
    if is_repairing or not mendable:
        return looked_at + f"{faults}, for a person to mend."
    return looked_at + f"{faults}, of which --repair mends {mendable:,} (nothing is deleted; see {LOST_AND_FOUND}/)."
