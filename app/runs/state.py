"""The state of a process as its run folder tells it."""

from dataclasses import asdict, dataclass, fields

QUEUED = "queued"
STARTED = "started"
STOPPING = "stopping"
STOPPED = "stopped"
FINISHED = "finished"
FAILED = "failed"

FINAL_STATES = frozenset({STOPPED, FINISHED, FAILED})
STATES = FINAL_STATES | {QUEUED, STARTED, STOPPING}


@dataclass(frozen=True)
class RunState:
    """What `state.json` holds.

    Attributes:
        state: one of the six words above.
        line: the newest progress line.
        progress: fraction of the whole process, 0 to 1.
        eta_seconds: expected time to the end, None where nothing is known yet.
        error: why it failed, one sentence.
        heartbeat: seconds since 1970 of the last sign of life.
        interruptions: how often its job died and it was queued again.
        machine: where its job began last, see `app.pids.machine_id`.
    """

    state: str
    line: str = ""
    progress: float = 0.0
    eta_seconds: float | None = None
    error: str | None = None
    heartbeat: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    interruptions: int = 0
    machine: str | None = None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    def to_dict(self) -> dict:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "RunState":
        """Read the JSON form; keys of other versions are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
