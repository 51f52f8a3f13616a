"""Every line names its process, and no line holds a secret."""

import io
import json
import logging

import pytest

from appliance.shell import logs


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.setattr(logs, "_secrets", ())
    yield
    root.handlers[:], root.level = before
    logs._handler = None
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    ("stream", "json_asked", "is_json"),
    [(io.StringIO(), None, True), (_Terminal(), None, False), (_Terminal(), True, True), (io.StringIO(), False, False)],
)
def test_terminals_get_words_and_everything_else_json_unless_asked(stream, json_asked, is_json):
    logs.setup("guard", "info", json_asked, stream)
    logging.getLogger("x").info("hello")
    assert stream.getvalue().startswith("{") is is_json
    assert "guard" in stream.getvalue()


def test_a_json_line_names_process_logger_cause_and_traceback():
    stream = io.StringIO()
    logs.setup("host@trend", "info", True, stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("turn").exception("cannot %s", "go on", extra={"cause": "feed/bars:1:7"})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line.pop("error").endswith("ValueError: broken")
    assert line == {
        "level": "error", "process": "host@trend", "logger": "turn", "text": "cannot go on", "cause": "feed/bars:1:7",
    }  # fmt: skip


def test_a_line_on_a_terminal_ends_with_its_cause():
    stream = _Terminal()
    logs.setup("feed", "info", None, stream)
    logging.getLogger("x").warning("gap", extra={"cause": "feed/bars:1:7"})
    assert stream.getvalue().endswith("WARNING feed: gap (feed/bars:1:7)\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked_in_text_arguments_cause_and_traceback_even_inside_each_other(as_json):
    stream = io.StringIO()
    logs.setup("gateway", "info", as_json, stream)
    logs.hide("tiger", 'tiger"lily', "")
    try:
        raise ValueError("key tiger")
    except ValueError:
        logging.getLogger("x").exception("login %s", 'tiger"lily', extra={"cause": "tiger"})
    assert "tiger" not in stream.getvalue()
    assert "lily" not in stream.getvalue()
    assert stream.getvalue().count(logs.MASK) >= 3


def test_a_second_setup_replaces_the_first_and_levels_below_are_left_out():
    first, second = io.StringIO(), io.StringIO()
    logs.setup("a", "info", True, first)
    logs.setup("b", "warning", True, second)
    logging.getLogger("x").info("quiet")
    logging.getLogger("x").warning("loud")
    assert first.getvalue() == ""
    assert [json.loads(line)["text"] for line in second.getvalue().splitlines()] == ["loud"]


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="LOUD"):
        logs.setup("a", "loud", True, io.StringIO())
