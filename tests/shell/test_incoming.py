import pytest

from appliance.domain.messages import Ask, Event, EventType, local
from appliance.domain.operations import Alert, Head, Latch, LatchState, Peer, Progress, Severity, Spot
from appliance.domain.wire import WireError
from appliance.shell.incoming import placed

ALERT = Alert("C", Severity.INFO, "t", 1, 1)
LATCH = Latch(LatchState.ACTIVE, 1)
PROGRESS = Progress("guard", {}, {"guard/decisions": Head(Spot(1, 7))})


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("view/latch", LATCH),
        ("progress/guard", PROGRESS),
        ("replay/host@trend", PROGRESS),
        ("ask/gateway", Ask("host@trend")),
        ("ask/gateway", Ask("monitor")),
    ],
)
def test_a_message_outside_the_streams_gets_the_topic_it_came_on(name, body):
    event = placed(name, local(body, ts=5))
    assert (event.topic, event.body, event.ts) == (name, body, 5)


def test_a_stream_message_stays_as_it_is():
    event = Event(EventType.ALERT, ALERT, "monitor/alerts", 1, 1)
    assert placed("monitor/alerts", event) is event


@pytest.mark.parametrize(
    ("name", "event", "text"),
    [
        ("gateway/orders", Event(EventType.ALERT, ALERT, "monitor/alerts", 1, 1), "belongs to 'monitor/alerts'"),
        ("monitor/alerts", local(ALERT), "does not belong there"),
        ("view/latch", local(Peer("guard", True)), "does not belong there"),
        ("nowhere/at/all", local(LATCH), "no such topic"),
        ("progress/feed", local(PROGRESS), "speaks for 'guard'"),
        ("ask/gateway", local(Ask("+")), "no process to answer to"),
        ("ask/gateway", local(Ask("guard/decisions")), "no process to answer to"),
        ("ask/gateway", local(Ask("")), "no process to answer to"),
    ],
)
def test_a_message_that_claims_what_its_topic_does_not_allow_is_refused(name, event, text):
    with pytest.raises(WireError, match=text):
        placed(name, event)
