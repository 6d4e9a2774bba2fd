"""A real S3 server takes a recording, dies in the middle and comes back: nothing is missing."""

import time

from peers.holes import heard_throughout
from peers.program import wait_for


def test_an_outage_of_the_bucket_loses_nothing(product, versitygw, crowd, receiver, room, tmp_path):
    alice = crowd.join(product.url, product.token(room, "alice"), tone=440)
    mix = product.record(room, "mix", bucket=versitygw.bucket)
    wait_for("the first segments in the bucket", lambda: len(versitygw.bucket.keys_under(mix.prefix)) >= 3)
    versitygw.kill()
    time.sleep(5)
    assert mix.query()[1]["serverResponse"]["status"] == 5, "the recording goes on"
    versitygw.start_again()
    time.sleep(4)
    recorded, answer = mix.finish(tmp_path / "mix", seconds=150, late=True)

    sound, start, end = heard_throughout(recorded, recorded.mix, "alice", 440, alice)
    assert end - start > sound.seconds - 2.0, (start, end)
    assert answer["serverResponse"]["fileList"].endswith(recorded.mix.path.name)
    receiver.wait(mix.sid, 31, seconds=150)
    receiver.wait(mix.sid, 11, seconds=150)
    receiver.check(mix.sid)
