"""The real broker with the configuration we write: who may come in, who may say what."""

import os
import subprocess
import tempfile
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from appliance.domain import topics
from appliance.errors import EnvironmentFault
from appliance.shell import mosquitto
from appliance.shell.child import Spec
from appliance.shell.paths import SOCKET_PATH_MAX, StatePaths
from appliance.shell.supervisor import Supervisor

ROOT = "appliance/1/box/"
USERS = ("feed", "guard", "gateway", "monitor", "host@trend", "cli")


def _has_mosquitto():
    try:
        return bool(mosquitto.find_binary())
    except EnvironmentFault:
        return False


pytestmark = pytest.mark.skipif(not _has_mosquitto(), reason="mosquitto is not installed")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    root = tmp_path_factory.mktemp("mosquitto") / ("a-long-name-" * 8)
    near = tempfile.TemporaryDirectory()  # pytest's own are too long for sockets
    state = StatePaths(root, {"XDG_RUNTIME_DIR": near.name})
    state.prepare()
    mosquitto.write_config(state, USERS, ROOT)
    supervisor = Supervisor(state)
    supervisor.start(mosquitto.spec(state))
    assert supervisor.until_ready(5), supervisor.failed
    yield state
    supervisor.stop()
    supervisor.close()
    near.cleanup()


@pytest.fixture
def state(tmp_path):
    with tempfile.TemporaryDirectory() as near:
        state = StatePaths(tmp_path / "s", {"XDG_RUNTIME_DIR": near})
        state.prepare()
        yield state


class Client:
    """paho driven by hand, as the bus does it: one thread, no waiting without a deadline."""

    def __init__(self, paths, user, password):
        self.reasons, self.connected, self.received = {}, None, []
        self.mqtt = paho.Client(CallbackAPIVersion.VERSION2, user, transport="unix", protocol=paho.MQTTv5)
        self.mqtt.username_pw_set(user, password)
        self.mqtt.on_connect = lambda c, u, f, reason, p: setattr(self, "connected", reason)
        self.mqtt.on_publish = lambda c, u, mid, reason, p: self.reasons.update({mid: reason})
        self.mqtt.on_message = lambda c, u, message: self.received.append((message.topic, message.payload))
        self.mqtt.connect(str(paths.mqtt_socket))
        self.until(lambda: self.connected is not None)

    def until(self, done):
        deadline = time.monotonic() + 5
        while not done():
            assert time.monotonic() < deadline, "the broker did not answer"
            self.mqtt.loop(0.05)

    def publish(self, topic, payload=b"{}"):
        mid = self.mqtt.publish(ROOT + topic, payload, qos=1).mid
        self.until(lambda: mid in self.reasons)
        return self.reasons[mid]


@pytest.fixture
def connect(paths):
    clients = []

    def make(user, password=None):
        clients.append(Client(paths, user, password or mosquitto.password(paths, user)))
        return clients[-1]

    yield make
    for client in clients:
        client.mqtt.disconnect()


@pytest.mark.parametrize("user", USERS)
def test_each_process_comes_in_with_its_own_password(connect, user):
    assert not connect(user).connected.is_failure


@pytest.mark.parametrize(("user", "password"), [("guard", "wrong"), ("nobody", "wrong")])
def test_a_wrong_password_or_user_is_refused(connect, user, password):
    assert connect(user, password).connected.getName() == "Not authorized"


def test_one_process_does_not_come_in_with_the_password_of_another(connect, paths):
    assert connect("guard", mosquitto.password(paths, "feed")).connected.is_failure


@pytest.mark.parametrize(
    ("user", "topic", "allowed"),
    [
        ("guard", "guard/decisions", True),
        ("host@trend", "guard/decisions", False),
        ("host@trend", "host/trend/intents", True),
        ("host@trend", "host/other/intents", False),
        ("gateway", "gateway/orders", True),
        ("monitor", "gateway/orders", False),
        ("cli", "command", True),
        ("feed", "command", False),
        ("feed", "heartbeat/feed", True),
        ("feed", "heartbeat/guard", False),
    ],
)
def test_the_acl_lets_each_publish_its_own_and_denies_the_rest_by_reason_code(connect, user, topic, allowed):
    reason = connect(user).publish(topic)
    assert reason.is_failure is not allowed
    assert allowed or reason.getName() == "Not authorized"


def test_a_reader_hears_what_the_guard_says_up_to_the_longest_payload(connect):
    gateway, guard = connect("gateway"), connect("guard")
    heard = []
    gateway.mqtt.on_subscribe = lambda *args: heard.append(args)
    gateway.mqtt.subscribe(ROOT + "guard/decisions", 1)
    gateway.until(lambda: heard)
    payload = b"x" * topics.PAYLOAD_MAX
    guard.publish("guard/decisions", payload)
    gateway.until(lambda: gateway.received)
    assert gateway.received == [(ROOT + "guard/decisions", payload)]


def test_a_long_state_directory_gets_a_short_socket(paths):
    assert len(os.fsencode(paths.run / "mqtt.sock")) > SOCKET_PATH_MAX >= len(os.fsencode(paths.mqtt_socket))


def test_passwords_are_private_differ_and_stay_over_a_second_start(paths):
    before = {user: mosquitto.password(paths, user) for user in USERS}
    mosquitto.write_config(paths, USERS, ROOT)
    assert {user: mosquitto.password(paths, user) for user in USERS} == before
    assert len(set(before.values())) == len(USERS)
    files = [*(paths.credential(user) for user in USERS), paths.mosquitto_passwords, paths.mosquitto_acl]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_hash_has_the_form_mosquitto_reads_and_depends_on_its_salt():
    made = mosquitto.hashed("secret", salt=bytes(12))
    assert made.startswith("$7$101$AAAAAAAAAAAAAAAA$")
    assert len(made.split("$")[4]) == 88  # 64 bytes in base64
    assert made != mosquitto.hashed("secret", salt=bytes([1] * 12))


def test_a_missing_mosquitto_says_how_to_install_it(tmp_path):
    with pytest.raises(EnvironmentFault, match="sudo apt install mosquitto") as caught:
        mosquitto.find_binary(str(tmp_path))
    assert caught.value.exit_code == 5


def test_a_missing_password_names_the_file(tmp_path):
    with pytest.raises(EnvironmentFault, match="credentials/mqtt-guard: the MQTT password of guard cannot be read"):
        mosquitto.password(StatePaths(tmp_path), "guard")


def test_a_mosquitto_that_does_not_start_is_not_tried_again_and_quoted(state):
    mosquitto.write_config(state, USERS, ROOT)
    state.mosquitto_conf.write_text("no_such_setting true\n")
    supervisor = Supervisor(state)
    supervisor.start(mosquitto.spec(state))
    assert not supervisor.until_ready(5)
    _, lines = supervisor.failed["mosquitto"]
    fault = mosquitto.start_fault(lines)
    assert "no_such_setting" in str(fault)
    assert (fault.exit_code, supervisor.child("mosquitto").restarts) == (5, 0)
    supervisor.close()


def test_mosquitto_comes_back_by_itself_after_kill_9(state):
    mosquitto.write_config(state, USERS, ROOT)
    supervisor = Supervisor(state)
    supervisor.start(mosquitto.spec(state))
    assert supervisor.until_ready(5)
    first = supervisor.child("mosquitto").pid
    os.kill(first, 9)
    deadline = time.monotonic() + 5
    while supervisor.child("mosquitto").restarts == 0 or not supervisor.ready():
        assert time.monotonic() < deadline
        supervisor.poll(0.1)
    again = Client(state, "guard", mosquitto.password(state, "guard"))
    assert not again.connected.is_failure
    again.mqtt.disconnect()
    supervisor.stop()
    supervisor.close()


def test_without_an_argument_the_sbin_directories_are_searched(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert subprocess.run([mosquitto.find_binary(), "-h"], capture_output=True, text=True).stdout.startswith(
        "mosquitto"
    )


def test_the_spec_waits_for_the_socket_and_does_not_expect_sd_notify(paths):
    spec = mosquitto.spec(paths)
    assert isinstance(spec, Spec)
    assert (spec.socket, spec.watchdog, spec.must_start) == (paths.mqtt_socket, 0, True)
