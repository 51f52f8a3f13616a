"""`appliance up --reload`: a strategy's file that has changed is told to its host, as `strategy reload` would."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Sequence
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from appliance.domain.messages import Event, EventType, local
from appliance.domain.operations import Command, CommandResult, Verb
from appliance.errors import StrategyError
from appliance.making import source_of
from appliance.runs import StrategySpec

SECOND = 1_000_000_000
LOOK_EVERY = SECOND
"""Files are looked at this often (ns)."""
ASK_EVERY = SECOND
"""A command nobody answered is said again this often (ns); its id makes it one."""
ANSWER_WITHIN = 15 * SECOND
"""A host may take so long (ns) to import the new code."""
Stamp = tuple[int, int]


class Changed(Struct, frozen=True):
    """A strategy's file has another text now: ``source``, or ``why`` that is no use."""

    strategy: StrategySpec
    source: str = ""
    why: str = ""


class FileWatch:
    """Notices that files of strategies have changed, each change once and when its writer has finished.

    ``stamp`` gives what shows a change cheaply (time and size), or None while there is no file.
    """

    def __init__(self, strategies: Sequence[StrategySpec], stamp: Callable[[str], Stamp | None]) -> None:
        self._strategies = tuple(strategies)
        self._stamp = stamp
        self._stamps = {one.file: stamp(one.file) for one in strategies}
        self._restless: dict[str, None] = {}
        self._digests = {one.name: _digest(one.source or "") for one in strategies}

    def look(self) -> list[Changed]:
        """What has changed and been left alone since the last look."""
        quiet = [file for file in self._stamps if self._is_quiet(file)]
        return [found for one in self._strategies if one.file in quiet and (found := self._read(one)) is not None]

    def _is_quiet(self, file: str) -> bool:
        """Whether a file that has changed has not changed again since."""
        stamp, before = self._stamp(file), self._stamps[file]
        self._stamps[file] = stamp
        if stamp != before:
            self._restless[file] = None
            return False
        if file not in self._restless or stamp is None:
            return False
        del self._restless[file]
        return True

    def _read(self, strategy: StrategySpec) -> Changed | None:
        try:
            source = source_of(replace(strategy, source=None))
        except StrategyError as error:
            return Changed(strategy, why=error.text)
        digest = _digest(source)
        if digest == self._digests[strategy.name]:
            return None  # touched, or written back
        self._digests[strategy.name] = digest
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 1
            return Changed(strategy, why=f"{strategy.file}:{line}: does not compile: {error}")
        return Changed(strategy, source)


class Asked(Struct, frozen=True):
    """A command under way: asked since, and last, at these ticks (ns)."""

    command: Command
    since: int
    again: int = 0

    @property
    def last(self) -> int:
        """When it was asked last."""
        return self.again or self.since


class Reloader:
    """Tells hosts of new code until they answer, and ``say`` in a line what they say.

    ``publish`` takes an event for the bus, ``ticks`` is the machine's clock (ns), ``wall`` its time (ns UTC),
    ``mint`` makes an id that there never was.
    """

    def __init__(
        self,
        watch: FileWatch,
        publish: Callable[[Event], None],
        say: Callable[[str], None],
        ticks: Callable[[], int],
        wall: Callable[[], int],
        mint: Callable[[], str],
    ) -> None:
        self._watch = watch
        self._publish = publish
        self._say = say
        self._ticks = ticks
        self._wall = wall
        self._mint = mint
        self._looked = ticks()
        self._asked: dict[str, Asked] = {}

    def tend(self) -> None:
        """Look at the files once a second, and ask again where nobody has answered."""
        ticks = self._ticks()
        if ticks - self._looked >= LOOK_EVERY:
            self._looked = ticks
            for changed in self._watch.look():
                self._tell(changed, ticks)
        for asked in list(self._asked.values()):
            self._ask_again(asked, ticks)

    def heard(self, event: Event) -> None:
        """Take an answer; what is no answer to us is ignored."""
        if event.type is not EventType.RESULT or event.body.id not in self._asked:
            return
        result: CommandResult = event.body
        asked = self._asked.pop(result.id)
        self._say(f"{'reloaded' if result.done else 'refused'} {asked.command.strategy}: {result.text}")

    def _tell(self, changed: Changed, ticks: int) -> None:
        one = changed.strategy
        if changed.why:
            self._say(f"refused {one.name}: {changed.why}; the old version goes on")
            return
        for old in [key for key, asked in self._asked.items() if asked.command.strategy == one.name]:
            del self._asked[old]  # a newer text takes its place
        command = Command(
            id=self._mint(), verb=Verb.RELOAD_STRATEGY, by="cli", expires=self._wall() + ANSWER_WITHIN,
            target=f"host@{one.host or one.name}", strategy=one.name, source=changed.source,
        )  # fmt: skip
        self._asked[command.id] = Asked(command, ticks)
        self._send(command)

    def _ask_again(self, asked: Asked, ticks: int) -> None:
        command = asked.command
        if ticks - asked.since >= ANSWER_WITHIN:
            del self._asked[command.id]
            self._say(f"refused {command.strategy}: {command.target} did not answer within 15 s; see its log")
        elif ticks - asked.last >= ASK_EVERY:
            self._asked[command.id] = Asked(command, asked.since, ticks)
            self._send(command)

    def _send(self, command: Command) -> None:
        self._publish(local(command, self._wall(), "command"))


def stamp_of(file: str) -> Stamp | None:
    """When a file was changed (ns) and its size (bytes); None while there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _digest(source: str) -> str:
    return sha256(source.encode()).hexdigest()
