"""Streams: numbered without gaps, taken once and in order, whatever the wire does in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.streams import HELD_MAX, Reader, Writer, Writers
from appliance.domain.messages import Event, EventType
from appliance.domain.operations import Head, Inhibit, Spot

S = "feed/bars"
BODY = Inhibit("x", True)


def message(epoch: int, seq: int, after: Spot | None = None) -> Event:
    first = Spot() if (epoch, seq) == (1, 1) else None
    return Event(EventType.INHIBIT, BODY, S, epoch, seq, after=after or first)


def drain(reader: Reader) -> list[Spot]:
    taken = []
    while (event := reader.take()) is not None:
        taken.append(event.spot)
    return taken


def reader(*messages: Event, cursor: Spot = Spot()) -> Reader:  # noqa: B008 - frozen
    made = Reader(S, cursor)
    for one in messages:
        made.offer(one)
    return made


# --- the writer -----------------------------------------------------------------------------------


def test_seq_has_no_gaps_and_goes_on_across_epochs() -> None:
    writer = Writer(S, Head())
    spots = [writer.event(BODY, 0, "").spot for _ in range(2)]
    writer.raise_epoch(7)
    spots += [writer.event(BODY, 0, "").spot for _ in range(2)]
    assert spots == [Spot(1, 1), Spot(1, 2), Spot(7, 3), Spot(7, 4)]


def test_only_an_epochs_first_message_and_the_head_say_after() -> None:
    writer = Writer(S, Head(Spot(1, 5), 1))
    assert writer.event(BODY, 0, "").after is None
    writer.raise_epoch(2)
    assert writer.head == Head(Spot(1, 6), 2, Spot(1, 6))
    assert [writer.event(BODY, 0, "").after for _ in range(2)] == [Spot(1, 6), None]
    assert writer.head == Head(Spot(2, 8), 2, Spot(1, 6))


def test_a_writer_goes_on_from_its_saved_head() -> None:
    head = Head(Spot(3, 9), 4, Spot(3, 9))
    event = Writers((S,), {S: head}).event(S, BODY, 0, "")
    assert (event.spot, event.after) == (Spot(4, 10), Spot(3, 9))


@pytest.mark.parametrize(
    ("cursor", "beyond"),
    [(Spot(2, 8), 0), (Spot(2, 7), 0), (Spot(1, 99), 0), (Spot(2, 9), 2), (Spot(5, 1), 5)],
)
def test_a_cursor_beyond_our_head_is_noticed(cursor: Spot, beyond: int) -> None:
    assert Writers((S,), {S: Head(Spot(2, 8), 2)}).beyond({S: cursor, "other": Spot(99, 99)}) == beyond


def test_a_cursor_beyond_is_noticed_once_and_not_again_before_the_new_epochs_first_message() -> None:
    writers = Writers((S,), {S: Head(Spot(1, 8), 1)})
    assert writers.beyond({S: Spot(1, 10)}) == 1
    writers.raise_epoch(2)
    assert writers.beyond({S: Spot(1, 10)}) == 0


# --- the reader -----------------------------------------------------------------------------------


def test_duplicates_are_dropped_and_counted() -> None:
    made = reader(message(1, 1), message(1, 1))
    assert drain(made) == [Spot(1, 1)]
    assert not made.offer(message(1, 1))
    assert made.duplicates == 2


def test_a_gap_is_held_asked_for_and_healed() -> None:
    made = reader(message(1, 1), message(1, 3))
    assert drain(made) == [Spot(1, 1)]
    assert made.wants(100, 10)
    assert not made.wants(105, 10), "asked a moment ago"
    assert made.wants(110, 10), "asked again after the patience"
    made.offer(message(1, 2))
    assert drain(made) == [Spot(1, 2), Spot(1, 3)]
    assert (made.healed, made.wants(200, 10)) == (1, False)


def test_a_lost_last_message_is_known_from_the_head() -> None:
    made = reader(message(1, 1))
    drain(made)
    made.head = Head(Spot(1, 2), 1)
    assert made.wants(0, 10)


def test_a_new_epoch_is_entered_only_by_its_first_message() -> None:
    made = reader(message(2, 8), cursor=Spot(1, 6))
    assert drain(made) == []
    assert made.behind()
    made.offer(message(2, 7, Spot(1, 6)))
    assert drain(made) == [Spot(2, 7), Spot(2, 8)]


def test_a_consumer_short_of_after_takes_the_missing_ones_first() -> None:
    made = reader(message(2, 9, Spot(1, 8)), cursor=Spot(1, 6))
    assert drain(made) == []
    assert made.wants(0, 1)
    made.offer(message(1, 8))
    made.offer(message(1, 7))
    assert drain(made) == [Spot(1, 7), Spot(1, 8), Spot(2, 9)]
    assert made.unreproducible == 0


def test_a_consumer_beyond_after_goes_on_and_marks_the_span() -> None:
    made = reader(message(2, 9, Spot(1, 8)), message(2, 10), cursor=Spot(1, 10))
    assert drain(made) == [Spot(2, 9), Spot(2, 10)]
    assert made.unreproducible == 1


def test_epochs_are_not_skipped() -> None:
    made = reader(message(3, 4, Spot(2, 3)), cursor=Spot(1, 2))
    assert drain(made) == []
    made.offer(message(2, 3, Spot(1, 2)))
    assert drain(made) == [Spot(2, 3), Spot(3, 4)]


def test_what_is_held_of_a_past_that_was_rolled_back_does_not_make_us_ask_for_ever() -> None:
    made = reader(message(1, 7), message(1, 8), cursor=Spot(1, 5))  # 6 was lost, and then the publisher's memory too
    made.offer(message(2, 6, Spot(1, 5)))
    assert drain(made) == [Spot(2, 6)]
    assert not made.behind()
    assert made.held == {}


def test_there_is_room_for_so_many_beyond_a_gap_but_always_for_the_next() -> None:
    made = reader(*(message(1, seq) for seq in range(2, HELD_MAX + 2)))
    assert not made.offer(message(1, HELD_MAX + 2))
    assert len(made.held) == HELD_MAX
    assert made.offer(message(1, 1))
    assert len(drain(made)) == HELD_MAX + 1


def test_a_jump_goes_on_after_the_snapshot_and_never_back() -> None:
    made = reader(message(1, 4), message(1, 9))
    made.jump(Spot(1, 8))
    assert drain(made) == [Spot(1, 9)]
    made.jump(Spot(1, 2))
    assert made.cursor == Spot(1, 9)


@st.composite
def journeys(draw: st.DrawFn) -> tuple[list[Event], list[int]]:
    """What a publisher wrote, over a few epochs, and the order in which it arrives: lost, twice, late."""
    writer = Writer(S, Head())
    written = []
    for _ in range(draw(st.integers(1, 3))):
        written += [writer.event(BODY, n, "") for n in range(draw(st.integers(0, 8)))]
        writer.raise_epoch(writer.epoch + draw(st.integers(1, 3)))
    arrivals = draw(st.lists(st.integers(0, max(0, len(written) - 1)), max_size=40)) if written else []
    return written, arrivals


@given(journeys(), st.data())
def test_each_message_is_delivered_once_and_in_order_whatever_the_wire_does(
    journey: tuple[list[Event], list[int]], data: st.DataObject
) -> None:
    written, arrivals = journey
    made = Reader(S)
    taken: list[Spot] = []
    for index in arrivals:
        made.offer(written[index])
        if data.draw(st.booleans()):
            taken += drain(made)
    taken += drain(made)
    if written:
        made.head = Head(written[-1].spot, written[-1].epoch)
    while made.wants(len(taken) * 100, 0):  # what the publisher answers: messages beyond our cursor, in order
        beyond = [event for event in written if event.spot > made.cursor]
        for event in beyond[: data.draw(st.integers(1, 4))]:
            made.offer(event)
        taken += drain(made)
    assert taken == [event.spot for event in written]
    assert made.unreproducible == 0
