"""What goes wrong, how often: every rate is drawn from the seed, so that some worlds are calm and some are not."""

from __future__ import annotations

from random import Random

from msgspec import Struct

SECOND = 1_000_000_000
MILLI = 1_000_000


class Faults(Struct):
    """Rates of one world: probabilities per message, commit or request; mean seconds between larger events."""

    drop: float
    duplicate: float
    slow: float
    crash_before_commit: float
    crash_after_commit: float
    crash_in_publish: float
    kill_every: float
    pause_every: float
    broker_restart_every: float
    power_cut_every: float
    command_every: float
    link_down_every: float
    submit_lost: float
    answer_lost: float
    submit_late: float
    submit_very_late: float
    hint_lost: float
    hint_twice: float
    fill_partly: float
    refuses_duplicates: bool
    torn_looks: float
    strangers_every: float
    never_sent: float

    @classmethod
    def draw(cls, random: Random, brokers: Random) -> Faults:
        """One world's rates; those of real ``brokers`` have a source of their own."""

        def rate(most: float, source: Random = random) -> float:
            return source.choice((0.0, source.uniform(0, most / 4), source.uniform(0, most)))

        def every(least: float, source: Random = random) -> float:
            return source.choice((0.0, source.uniform(least, 6 * least), source.uniform(least, 2 * least)))

        refuses_duplicates = random.random() < 0.5
        # Only a venue that burns ids meets the order that arrives after it said "never had it".
        very_late = 0.0 if refuses_duplicates else rate(0.06)
        return cls(
            drop=rate(0.2), duplicate=rate(0.3), slow=rate(0.3), crash_before_commit=rate(0.004),
            crash_after_commit=rate(0.006), crash_in_publish=rate(0.006), kill_every=every(6), pause_every=every(10),
            broker_restart_every=every(12), power_cut_every=every(14), command_every=every(10),
            link_down_every=every(15), submit_lost=rate(0.2), answer_lost=rate(0.25), submit_late=rate(0.15),
            submit_very_late=very_late,
            hint_lost=rate(0.25), hint_twice=rate(0.3), fill_partly=rate(0.6), refuses_duplicates=refuses_duplicates,
            torn_looks=rate(0.8, brokers), strangers_every=every(4, brokers), never_sent=rate(1.0, brokers),
        )  # fmt: skip

    def heal(self) -> None:
        """No more faults from now on: the liveness phase."""
        for name in self.__struct_fields__:
            if name != "refuses_duplicates":
                setattr(self, name, 0.0)
