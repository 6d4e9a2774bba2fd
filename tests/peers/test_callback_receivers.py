"""A strict receiver behind a real recording: both products, both signatures, both ways to check them, order, and one noticeId for each
event over all attempts, while the receiver fails now and then."""

import subprocess
import time

import pytest
import requests
from peers.callbacks import StrictReceiver
from peers.places import PRODUCT
from peers.product import EMBEDDED, Product, customer_of

# What the receiver answers first: refusals of every kind between some that are right.
TROUBLE = [500, 200, 503, 404, 200, 200, 302, 200, 204, 200, 500, 500]


@pytest.fixture
def strict(tmp_path):
    receivers = []

    def start(script=(), app_keys=""):
        receiver = StrictReceiver(script)
        folder = tmp_path / f"product{len(receivers)}"
        folder.mkdir()
        product = Product(folder, receiver.url, app_keys=app_keys)
        receivers.append((receiver, product))
        return receiver, product

    yield start
    for receiver, product in receivers:
        product.stop()
        receiver.close()


def types(events):
    return [event["eventType"] for event in events]


def test_recording_and_channel_events_reach_a_strict_receiver(strict, crowd, room, tmp_path):
    receiver, product = strict(TROUBLE, 'callback_channel_events = "all"')
    talker = crowd.join(product.url, product.token(room, "4711"), tone=440)
    recording = product.record(room, "mix")
    time.sleep(4)
    listener = crowd.join(product.url, product.token(room, "listener"))
    time.sleep(2)
    listener.leave()
    crowd.talkers.remove(listener)
    recording.finish(tmp_path / "recorded")
    talker.leave()
    crowd.talkers.remove(talker)

    receiver.wait("the recording's last event", lambda: 11 in types(receiver.of(recording.sid)))
    session = receiver.wait(
        "the channel's end", lambda: next((one for one in receiver.channels(room) if 102 in types(one)), None), 60
    )
    assert not receiver.faults, "\n".join(receiver.faults)
    assert receiver.attempts >= len(receiver.taken) + 6, "what was refused came again"
    assert [event["payload"]["sequence"] for event in receiver.of(recording.sid)] == list(range(len(receiver.of(recording.sid))))

    # docs/protocol/agora.md section 6: created, joined, left, destroyed; a recorder is told by its clientType.
    assert types(session)[0] == 101 and types(session)[-1] == 102, types(session)
    people = [event for event in session if event["eventType"] in (107, 108)]
    story = [(event["eventType"], event["payload"]["account"]) for event in people if "clientType" not in event["payload"]]
    assert story == [(107, "4711"), (107, "listener"), (108, "listener"), (108, "4711")], story
    recorders = [event["payload"] for event in people if "clientType" in event["payload"]]
    assert len(recorders) == 2 and all((one["platform"], one["clientType"]) == (6, 10) for one in recorders)
    assert session[1]["payload"]["uid"] == 4711
    assert people[-1]["payload"]["reason"] == 1, "it quit"
    sequences = [event["payload"]["clientSeq"] for event in people]
    assert sequences == sorted(set(sequences)), "clientSeq rises"
    joined, left = [event["payload"] for event in people if event["payload"]["account"] == "4711"]
    assert abs(left["ts"] - joined["ts"] - left["duration"]) <= 1, "seconds"
    assert session[-1]["payload"]["lastUid"] == 4711

    # The delivery log says what the receiver knows.
    url = f"{product.origin}/v1/apps/{EMBEDDED}/callbacks?state=delivered"

    def complete():
        listed = requests.get(url, auth=customer_of(EMBEDDED), timeout=10).json()["callbacks"]
        return listed if {entry["noticeId"] for entry in listed} == {event["noticeId"] for event in receiver.taken} else None

    listed = receiver.wait("the delivery log", complete)
    assert {entry["productId"] for entry in listed} == {1, 3}
    assert all(entry["log"][-1]["status"] in (200, 204) for entry in listed)
    assert sum(len(entry["log"]) for entry in listed) == receiver.attempts


def test_channels_of_a_killed_worker_are_ended_by_its_next_run(strict, crowd, room):
    receiver, product = strict(app_keys='callback_channel_events = "all"')
    crowd.join(product.url, product.token(room, "4711"), tone=440)
    receiver.wait("the member", lambda: [one for one in receiver.channels(room) if 107 in types(one)])
    product.program.kill()
    product.program.start()
    receiver.wait("the end", lambda: [one for one in receiver.channels(room) if 102 in types(one)])
    session = receiver.channels(room)[0]
    assert types(session) == [101, 107, 108, 102]
    assert session[2]["payload"]["reason"] == 4, "the server's doing"
    assert session[2]["payload"]["clientSeq"] > session[1]["payload"]["clientSeq"]
    assert not receiver.faults, receiver.faults


def test_only_the_chosen_events_are_posted(strict, crowd, room, tmp_path):
    receiver, product = strict(app_keys="callback_events = [1, 11, 12, 31, 40]")
    crowd.join(product.url, product.token(room, "1"), tone=440)
    recording = product.record(room, "mix")
    time.sleep(3)
    recording.finish(tmp_path / "recorded")
    receiver.wait("the last event", lambda: 11 in types(receiver.of(recording.sid)))
    assert types(receiver.taken) == [40, 31, 11]
    url = f"{product.origin}/v1/apps/{EMBEDDED}/recordings/{recording.sid}/events"
    log = requests.get(url, auth=customer_of(EMBEDDED), timeout=10).json()["events"]
    own = {event["payload"]["sequence"]: event["noticeId"] for event in log}
    assert {30, 41, 42, 43} <= set(types(log)), "the log has everything"
    assert all(own[event["payload"]["sequence"]] == event["noticeId"] for event in receiver.taken)


def test_the_command_tries_a_receiver(strict):
    receiver, product = strict([200, 503])

    def run(*more):
        command = [PRODUCT, "test-event", "--config", product.config, "--app", EMBEDDED, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    good = run()
    assert good.returncode == 0, good.stderr
    assert "200" in good.stdout and "private" not in good.stdout, "the URL may hold a key"
    assert receiver.taken[0]["eventType"] == 40 and receiver.taken[0]["payload"]["details"]["test"] is True
    refused = run("--event", "31")
    assert refused.returncode == 1 and "503" in refused.stdout, refused
    unknown = run("--event", "44")
    assert unknown.returncode == 1 and "44" in unknown.stderr, unknown
    assert run("--event", "x").returncode == 2
    assert not receiver.faults, receiver.faults
