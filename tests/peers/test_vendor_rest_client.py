"""The vendor's REST client from PyPI, unchanged but for its base URL: each of its mix and individual calls."""

import pytest
from agora_rest_client.core import domain, exceptions
from agora_rest_client.services.cloud_recording.v1 import api
from agora_rest_client.services.cloud_recording.v1.individual_recording import api_start as individual
from agora_rest_client.services.cloud_recording.v1.individual_recording import api_update as individual_update
from agora_rest_client.services.cloud_recording.v1.individual_recording.individual_recording_client import (
    IndividualRecordingClient,
)
from agora_rest_client.services.cloud_recording.v1.mix_recording import api_start as mix
from agora_rest_client.services.cloud_recording.v1.mix_recording import api_update as mix_update
from agora_rest_client.services.cloud_recording.v1.mix_recording import api_update_layout as layout
from agora_rest_client.services.cloud_recording.v1.mix_recording.mix_recording_client import MixRecordingClient
from agora_rest_client.services.cloud_recording.v1.web_recording.web_recording_client import WebRecordingClient

from peers.product import EMBEDDED, customer_of
from peers.program import wait_for
from peers.vendor_tokens import build

UID = "4000000000"


class Here(domain.Domain):
    """The base URL: one host, and no look for the nearest of the vendor's."""

    def __init__(self, host, service_region=None):
        super().__init__(domain.EndpointRegion.US.value, service_region)
        self._domain_list = [host]

    def run(self, logger):
        self.set_logger(logger)


def client(kind, product, **place):
    class OverHttp(kind):
        def get_api_url(self, host, url, service_region=None):
            return super().get_api_url(host, url, service_region).replace("https://", "http://", 1)

    built = OverHttp().with_app_id(EMBEDDED).with_credential_basic_auth(*customer_of(EMBEDDED))
    return built.with_domain(Here(product.origin.removeprefix("http://"), **place)).build()


def storage(kind, product, prefix):
    config = product.bucket.storage_config(prefix)
    return kind.StorageConfig(**config)


def is_playlist(key):
    return key.endswith(".m3u8")


def names_of(answer):
    return answer.cname, answer.uid, answer.resourceId, answer.sid


def refused(status, code):
    """What the client raises for an answer with this status and code."""

    class Expected:
        def __enter__(self):
            self.raises = pytest.raises(exceptions.ServiceResponseException)
            self.caught = self.raises.__enter__()
            return self

        def __exit__(self, *outcome):
            held = self.raises.__exit__(*outcome)
            assert (self.caught.value.status_code, self.caught.value.error_code) == (status, code), self.caught.value
            return held

    return Expected()


@pytest.mark.parametrize("mode", ["mix", "individual"])
def test_acquire_start_query_stop(mode, product, crowd, room):
    crowd.join(product.url, product.token(room, "7"), tone=440)
    kind, module = {"mix": (MixRecordingClient, mix), "individual": (IndividualRecordingClient, individual)}[mode]
    vendor, prefix = client(kind, product), f"vendor{mode}"
    acquired = vendor.acquire(room, UID)
    config = module.RecordingConfig(channelType=0, streamTypes=0, maxIdleTime=30)
    if mode == "individual":
        config.subscribeUidGroup, config.streamMode = 0, "original"
    started = vendor.start(acquired.resourceId, room, UID, None, storage(module, product, prefix), config)
    assert len(started.sid) == 32

    def status():
        return vendor.query(acquired.resourceId, started.sid).serverResponse

    assert status()["status"] == 5
    playlists = f"{prefix}/{started.sid}_"
    wait_for("a playlist in the bucket", lambda: any(map(is_playlist, product.bucket.keys_under(playlists))))
    assert status()["fileList"]
    stopped = vendor.stop(acquired.resourceId, started.sid, room, UID, False)
    assert stopped.serverResponse["uploadingStatus"] == "uploaded"
    assert any(map(is_playlist, product.bucket.keys_under(playlists)))
    with refused(404, 404):
        vendor.query(acquired.resourceId, started.sid)
    with refused(404, 404):
        vendor.stop(acquired.resourceId, started.sid, room, UID, False)


def token(room):
    """For the recorder, another one each time."""
    return build("RtcTokenBuilder2", "RtcTokenBuilder", "buildTokenWithUid", room, int(UID), 1, 3600, 3600)


def subscriptions(kind, **lists):
    return kind.StreamSubscribe(audioUidList=kind.AudioUidList(**lists))


def left_out(vendor, acquired, started, uid):
    """How much of a member is not recorded because it was left out, in ms, as query tells beside what the client knows."""
    ledger = vendor.query(acquired.resourceId, started.sid).ledger
    members = [member for member in ledger["uids"] if member["uid"] == uid]
    return members and members[0]["causesMs"].get("excluded", 0)


def test_every_call_of_a_mix(product, crowd, room):
    crowd.join(product.url, product.token(room, "7"), tone=440)
    vendor = client(MixRecordingClient, product, service_region=domain.ServiceRegion.EU.value)
    first = vendor.acquire(room, UID)
    acquired = vendor.acquire(
        room, UID, resource_expired_hour=24, exclude_resource_ids=[first.resourceId], region_affinity=api.RegionAffinity.EUROPE.value
    )
    assert (acquired.cname, acquired.uid) == (room, UID) and acquired.resourceId != first.resourceId
    region = {"uid": "7", "x_axis": 0.0, "y_axis": 0.0, "width": 1.0, "height": 1.0, "alpha": 1.0, "render_mode": 0}
    video = {"width": 640, "height": 360, "fps": 15, "bitrate": 500, "mixedVideoLayout": 3, "layoutConfig": [region]}
    config = mix.RecordingConfig(
        channelType=api.ChannelType.COMMUNICATION.value,
        streamTypes=api.StreamTypes.AUDIO_AND_VIDEO.value,
        audioProfile=api.AudioProfile.SAMPLE_RATE_48_STEREO_ENCODING_192.value,
        decryptionMode=api.DecryptionMode.NO_ENCRYPTION.value,
        videoStreamType=api.VideoStreamType.SMALL_STREAM.value,
        maxIdleTime=120,
        transcodingConfig=video,
        subscribeAudioUids=["#allstream#"],
        subscribeVideoUids=["#allstream#"],
    )
    place = storage(mix, product, "vendoreverymix")
    started = vendor.start(acquired.resourceId, room, UID, token(room), place, config)
    who = (room, UID, acquired.resourceId, started.sid)
    assert names_of(started) == who
    again = vendor.start(acquired.resourceId, room, UID, token(room), place, config)
    assert again.sid == started.sid, "the same start is the same recording"

    task = (acquired.resourceId, started.sid, room, UID)
    assert names_of(vendor.update(*task, stream_subscribe=subscriptions(mix_update, unsubscribeAudioUids=["7"]))) == who
    wait_for("the member to be left out", lambda: left_out(vendor, acquired, started, "7"))
    assert names_of(vendor.update(*task, stream_subscribe=subscriptions(mix_update, subscribeAudioUids=["#allstream#"]))) == who
    with refused(400, 2):
        vendor.update(*task)
    told = vendor.update_layout(
        *task,
        max_resolution_uid="7",
        mixed_video_layout=api.MixedVideoLayout.CUSTOM.value,
        background_color="#FF0000",
        background_image="https://example.com/a.jpg",
        default_user_background_image="https://example.com/b.jpg",
        layout_config=[layout.LayoutConfig(**region)],
        background_config=[layout.BackgroundConfig(uid="7", image_url="https://example.com/c.jpg", render_mode=1)],
    )
    assert names_of(told) == who
    assert names_of(vendor.update_layout(*task)) == who, "all of it falls back to the defaults"
    with refused(400, 2):
        vendor.update_layout(*task, mixed_video_layout=4)
    server = vendor.query(acquired.resourceId, started.sid).serverResponse
    assert (server["fileListMode"], server["status"]) == ("json", 5), "the client asks for hls and mp4"
    stopped = vendor.stop(*task, async_stop=True)
    assert stopped.serverResponse["fileListMode"] == "json"


def test_every_call_of_individual_tracks(product, crowd, room):
    crowd.join(product.url, product.token(room, "7"), tone=440)
    vendor = client(IndividualRecordingClient, product)
    # With enable_postpone_transcoding_mix the client fails by itself: it names a scene that its own list lacks.
    acquired = vendor.acquire(room, UID, resource_expired_hour=1, region_affinity=api.RegionAffinity.CHINA.value)
    config = individual.RecordingConfig(
        channelType=api.ChannelType.COMMUNICATION.value,
        streamTypes=api.StreamTypes.AUDIO_ONLY.value,
        streamMode=api.StreamMode.STANDARD.value,
        subscribeUidGroup=api.SubscribeUidGroup.UID_32_49.value,
        unsubscribeAudioUids=["9"],
    )
    place = storage(individual, product, "vendoreveryindividual")
    mixing = individual.TranscodeOptions(
        transConfig=individual.api_start.TransConfig(transMode=api.PostponeTranscodeMode.AUDIO_MIX.value),
        container=individual.api_start.Container(format=api.ContainerFormat.MP3.value),
    )
    start = (acquired.resourceId, room, UID, "", place, config)
    with refused(400, 2):
        vendor.start(*start, transcode_options=mixing)
    # What leaves the sound recordable is taken with a note: pictures are not made, and the MP4 files of transcoding later are.
    started = vendor.start(
        *start,
        snapshot_config=individual.SnapshotConfig(captureInterval=5, fileType=[api.SnapshotFileType.JPG.value]),
        apps_collection=individual.AppsCollection(combinationPolicy=api.CombinationPolicy.POSTPONE_TRANSCODING.value),
    )
    who = (room, UID, acquired.resourceId, started.sid)
    assert names_of(started) == who
    task = (acquired.resourceId, started.sid, room, UID)

    def playable():
        return any(file["isPlayable"] for file in vendor.query(acquired.resourceId, started.sid).serverResponse["fileList"])

    wait_for("something of the member in the bucket", playable)
    assert names_of(vendor.update(*task, stream_subscribe=subscriptions(individual_update, subscribeAudioUids=["8"]))) == who
    wait_for("the member to be left out", lambda: left_out(vendor, acquired, started, "7"))
    server = vendor.query(acquired.resourceId, started.sid).serverResponse
    assert (server["fileListMode"], server["status"]) == ("json", 5)
    stopped = vendor.stop(*task, async_stop=False)
    assert stopped.serverResponse["uploadingStatus"] == "uploaded"


def test_a_web_page_is_refused_with_a_reason(product, room):
    with refused(400, 2) as told:
        client(WebRecordingClient, product).acquire(room, UID)
    assert "web page recording" in told.caught.value.error_msg
