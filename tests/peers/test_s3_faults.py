"""A real S3 server whose disk becomes read-only and full, and which dies and comes back: everything is in the bucket in the end."""

import os
import time

import pytest

from peers.disk import Disk
from peers.holes import heard_throughout
from peers.program import wait_for
from peers.versitygw import BINARY, VersityGateway


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    yield disk
    disk.close()


@pytest.fixture
def gateway(disk, tmp_path):
    if not BINARY.exists():
        pytest.skip("#### no versitygw: Go was missing when tests/peers/setup.sh ran ####")
    gateway = VersityGateway(tmp_path, disk.path)
    yield gateway
    gateway.stop()


def test_a_disk_that_fails_under_the_bucket_loses_nothing(product, disk, gateway, crowd, receiver, room, tmp_path):
    lasts = 60 if os.environ.get("FAULTS_LONG") else 5
    alice = crowd.join(product.url, product.token(room, "alice"), tone=440)
    mix = product.record(room, "mix", bucket=gateway.bucket)
    time.sleep(4)
    for break_it, mend_it in (
        (lambda: disk.read_only(True), lambda: disk.read_only(False)),
        (disk.fill, disk.make_room),
        (gateway.kill, gateway.start_again),
    ):
        break_it()
        time.sleep(lasts)
        status, answer = mix.query()
        assert status == 200 and answer["state"] == "recording", answer
        mend_it()
        wait_for("uploads to go again", lambda: mix.query()[1]["upload"]["state"] == "ok", seconds=90)
        time.sleep(2)
    recorded, _ = mix.finish(tmp_path / "mix", seconds=150, late=True)
    sound, start, end = heard_throughout(recorded, recorded.mix, "alice", 440, alice)
    assert end - start > sound.seconds - 2.0, (start, end)
    receiver.wait(mix.sid, 11, seconds=150)
    receiver.check(mix.sid)
    assert gateway.bucket.s3.list_multipart_uploads(Bucket=gateway.bucket.name).get("Uploads", []) == []
