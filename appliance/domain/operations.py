"""How the box runs: heartbeats, progress, commands, alerts, the latch, peers."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct, field


class Spot(Struct, frozen=True, gc=False, array_like=True, order=True):
    """A position in a stream: ``(epoch, seq)``. ``seq`` has no gaps and goes on across epochs."""

    epoch: int = 0
    seq: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


class Head(Struct, frozen=True, gc=False, array_like=True):
    """The last position a publisher wrote, its current epoch, and after which position that epoch began."""

    last: Spot = Spot()
    epoch: int = 1
    after: Spot = Spot()


class ProcessState(Enum):
    """Where a process is in its life; see LIFE_CYCLE."""

    STARTING = "starting"
    RECOVERING = "recovering"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    LOST = "lost"  # told by others: the will, or silence


LIFE_CYCLE: dict[ProcessState, tuple[ProcessState, ...]] = {
    ProcessState.STARTING: (ProcessState.RECOVERING, ProcessState.STOPPING),
    ProcessState.RECOVERING: (ProcessState.READY, ProcessState.DEGRADED, ProcessState.STOPPING),
    ProcessState.READY: (ProcessState.RECOVERING, ProcessState.DEGRADED, ProcessState.STOPPING),
    ProcessState.DEGRADED: (ProcessState.RECOVERING, ProcessState.READY, ProcessState.STOPPING),
    ProcessState.STOPPING: (ProcessState.STOPPED,),
    ProcessState.STOPPED: (),
    ProcessState.LOST: (),
}
"""Which state may follow which, for a process's own life."""


class Progress(Struct, frozen=True):
    """Where a process stands after a commit: what it consumed and produced, and what it still waits for.

    ``deadline`` is the core's next wake-up (data time ns in replays) or None; ``unresolved`` counts what is in
    flight; ``held`` counts intents waiting for their round, ``poisoned`` the order
    messages set aside since the journal began.
    """

    process: str
    cursors: dict[str, Spot]
    heads: dict[str, Head]
    deadline: int | None = None
    unresolved: int = 0
    held: int = 0
    recovered: bool = False
    poisoned: int = 0


class Heartbeat(Struct, frozen=True):
    """A process's sign of life and work. ``instance`` is new at each start; counters are since the journal began;
    ``at`` is the machine's wall time (ns UTC), also in replays."""

    process: str
    state: ProcessState
    pid: int
    instance: str
    boot: str
    n: int
    progress: Progress
    counters: dict[str, int] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
    latency: tuple[int, ...] = ()
    build: str = ""
    settings: str = ""
    why: str = ""
    at: int = 0


class LatchState(Enum):
    """Whether new risk may be taken: yes; only less of it; nothing but the stops. ``severity`` is 0, 1 or 2."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    def __init__(self, text: str) -> None:
        self.severity = ("active", "reducing", "halted").index(text)


class Latch(Struct, frozen=True):
    """Whether new risk may be taken; each change has the next ``generation``. ``since`` is ns UTC;
    ``blocked`` are the symbols halted one by one, each with why."""

    state: LatchState = LatchState.ACTIVE
    generation: int = 0
    why: str = ""
    by: str = ""
    since: int = 0
    blocked: dict[str, str] = field(default_factory=dict)


def more_severe(a: LatchState, b: LatchState) -> LatchState:
    """The one that allows less."""
    return a if a.severity >= b.severity else b


class Verb(Enum):
    """What an operator can ask for."""

    HALT = "halt"
    REDUCE = "reduce"
    RESUME = "resume"
    FLATTEN = "flatten"
    CANCEL_ALL = "cancel-all"
    SNAPSHOT = "snapshot"
    STOP = "stop"
    PAUSE_STRATEGY = "pause-strategy"
    RESUME_STRATEGY = "resume-strategy"
    STOP_STRATEGY = "stop-strategy"
    RELOAD_STRATEGY = "reload-strategy"
    SET_PARAMETERS = "set-parameters"


class Command(Struct, frozen=True):
    """What an operator asks. Never retained; void after ``expires`` (ns UTC). ``target`` names a process or is "".

    ``strategy`` names the strategy that is meant; ``source`` is the new text of its file (reload), ``params`` are
    values as text (reload, set-parameters).
    """

    id: str
    verb: Verb
    by: str
    expires: int
    target: str = ""
    reason: str = ""
    symbol: str = ""
    generation: int = -1
    everything: bool = False
    strategy: str = ""
    source: str = ""
    params: dict[str, str] = {}


class CommandResult(Struct, frozen=True):
    """The answer to a command: done or not, and the words for the person who asked."""

    id: str
    done: bool
    text: str
    process: str = ""


class StrategyState(Enum):
    """Where a strategy is in its life; see STRATEGY_LIFE."""

    REGISTERED = "registered"
    RUNNING = "running"
    PAUSED = "paused"  # by the owner: indicators go on, hooks do not
    FAILED = "failed"  # by its own mistakes, or refused at its start
    STOPPED = "stopped"


STRATEGY_LIFE: dict[StrategyState, tuple[StrategyState, ...]] = {
    StrategyState.REGISTERED: (StrategyState.RUNNING, StrategyState.FAILED, StrategyState.STOPPED),
    StrategyState.RUNNING: (StrategyState.PAUSED, StrategyState.FAILED, StrategyState.STOPPED),
    StrategyState.PAUSED: (StrategyState.RUNNING, StrategyState.FAILED, StrategyState.STOPPED),
    StrategyState.FAILED: (StrategyState.RUNNING, StrategyState.STOPPED),
    StrategyState.STOPPED: (StrategyState.RUNNING, StrategyState.FAILED),
}
"""Which state may follow which. A strategy that is not in the settings any more is removed with its host."""


class Severity(Enum):
    """How soon the owner should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(Struct, frozen=True):
    """Something the owner should know; the text says what to do. Times ns UTC, ``resolved`` 0 while it lasts."""

    code: str
    severity: Severity
    text: str
    first_seen: int
    last_seen: int
    count: int = 1
    acknowledged: bool = False
    resolved: int = 0


class Notice(Struct, frozen=True):
    """What a process wants the owner to know: the monitor makes an alert of it, which lasts while it ``holds``."""

    code: str
    severity: Severity
    text: str
    holds: bool = True


class SourceState(Struct, frozen=True, tag="source_state"):
    """How a live source of market data does. ``state`` is the selection's word for it (``live``, ``resting``, ``mute``)
    and ``why`` its reason; ``tells`` is for how many symbols it is believed now, ``lacks`` how many it cannot tell.

    ``health`` is 0 to 1; ``failures`` counts attempts since it was last heard to work. Times are ns UTC (0: never):
    ``since`` when it is in this state, last ``heard``, ``due`` when it is tried again, and ``down`` when it was found
    to be, for as long as it tells nothing since.
    """

    source: str
    state: str
    tells: int = 0
    lacks: int = 0
    health: float = 1.0
    heard: int = 0
    since: int = 0
    failures: int = 0
    due: int = 0
    why: str = ""
    down: int = 0


class Peer(Struct, frozen=True):
    """A process began or ceased to be heard, missed a heartbeat (``late``), or said that it stops (``stopped``)."""

    process: str
    alive: bool
    poisoned: int = 0
    late: bool = False
    stopped: bool = False


class Death(Struct, frozen=True):
    """How our process died last time, by a cause of its own: ``cause`` in words ("exit code 3", "watchdog",
    "SIGSEGV", "out of memory"); ``strategy`` and ``hook`` are what it was in by its marker, or ""."""

    cause: str
    strategy: str = ""
    hook: str = ""


class Inhibit(Struct, frozen=True):
    """A condition of our own surroundings that blocks new risk while ``on``: bus lost, clock unsynchronised …"""

    code: str
    on: bool
    text: str = ""


class LatchFile(Struct, frozen=True):
    """What the latch files on disk say; they are read without MQTT and without the guard."""

    state: LatchState
    why: str = ""


class Wakeup(Struct, frozen=True):
    """The deadline a core asked for has come."""
