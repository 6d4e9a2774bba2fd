"""The vendor's REST client from PyPI, unchanged but for its base URL."""

import pytest
from agora_rest_client.core import domain, exceptions
from agora_rest_client.services.cloud_recording.v1.individual_recording import api_start as individual
from agora_rest_client.services.cloud_recording.v1.individual_recording.individual_recording_client import (
    IndividualRecordingClient,
)
from agora_rest_client.services.cloud_recording.v1.mix_recording import api_start as mix
from agora_rest_client.services.cloud_recording.v1.mix_recording.mix_recording_client import MixRecordingClient

from peers.product import EMBEDDED, customer_of
from peers.program import wait_for


class Here(domain.Domain):
    """The base URL: one host, and no look for the nearest of the vendor's."""

    def __init__(self, host):
        super().__init__(domain.EndpointRegion.US.value)
        self._domain_list = [host]

    def run(self, logger):
        self.set_logger(logger)


def client(kind, product):
    class OverHttp(kind):
        def get_api_url(self, host, url, service_region=None):
            return super().get_api_url(host, url, service_region).replace("https://", "http://", 1)

    built = OverHttp().with_app_id(EMBEDDED).with_credential_basic_auth(*customer_of(EMBEDDED))
    return built.with_domain(Here(product.origin.removeprefix("http://"))).build()


def storage(kind, product, prefix):
    config = product.bucket.storage_config(prefix)
    return kind.StorageConfig(**config)


def is_playlist(key):
    return key.endswith(".m3u8")


@pytest.mark.parametrize("mode", ["mix", "individual"])
def test_acquire_start_query_stop(mode, product, crowd, room):
    crowd.join(product.url, product.token(room, "7"), tone=440)
    kind, module = {"mix": (MixRecordingClient, mix), "individual": (IndividualRecordingClient, individual)}[mode]
    vendor, uid, prefix = client(kind, product), "4000000000", f"vendor{mode}"
    acquired = vendor.acquire(room, uid)
    config = module.RecordingConfig(channelType=0, streamTypes=0, maxIdleTime=30)
    if mode == "individual":
        config.subscribeUidGroup, config.streamMode = 0, "original"
    started = vendor.start(acquired.resourceId, room, uid, None, storage(module, product, prefix), config)
    assert len(started.sid) == 32

    def status():
        return vendor.query(acquired.resourceId, started.sid).serverResponse

    assert status()["status"] == 5
    playlists = f"{prefix}/{started.sid}_"
    wait_for("a playlist in the bucket", lambda: any(map(is_playlist, product.bucket.keys_under(playlists))))
    assert status()["fileList"]
    stopped = vendor.stop(acquired.resourceId, started.sid, room, uid, False)
    assert stopped.serverResponse["uploadingStatus"] == "uploaded"
    assert any(map(is_playlist, product.bucket.keys_under(playlists)))

    with pytest.raises(exceptions.ServiceResponseException) as refused:
        vendor.query(acquired.resourceId, started.sid)
    assert refused.value.status_code == 404
