"""One product, one browser and one crowd of talkers for all scenarios; each scenario has a room of its own."""

import os
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from peers.browser import Browser
from peers.callbacks import Receiver
from peers.livekit_server import BINARY as LIVEKIT, LiveKitServer
from peers.places import PRODUCT
from peers.product import Product
from peers.talker import Crowd
from peers.versitygw import BINARY as VERSITYGW, VersityGateway


def pytest_sessionfinish(session, exitstatus):
    session.config.outcome = int(exitstatus)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Where STRICT is set, as in continuous integration, a test that is skipped has failed: a green run has tested everything."""
    report = yield
    if os.environ.get("STRICT") and report.skipped:
        report.outcome, report.longrepr = "failed", f"STRICT allows no skipping: {report.longrepr}"
    return report


def pytest_unconfigure(config):
    """Leaves before the SDK's native threads notice that Python is gone: they would abort the process after a good run."""
    if hasattr(config, "outcome"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.outcome)


@pytest.fixture(scope="session")
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def livekit(tmp_path_factory):
    """A real LiveKit server, or nothing where it could not be built."""
    if not LIVEKIT.exists():
        yield None
        return
    server = LiveKitServer(tmp_path_factory.mktemp("livekit"))
    yield server
    server.stop()


@pytest.fixture
def real_livekit(livekit):
    if livekit is None:
        pytest.skip("#### no livekit-server: Go was missing when tests/peers/setup.sh ran ####")
    return livekit


@pytest.fixture
def versitygw(tmp_path):
    if not VERSITYGW.exists():
        pytest.skip("#### no versitygw: Go was missing when tests/peers/setup.sh ran ####")
    gateway = VersityGateway(tmp_path)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def product(tmp_path_factory, receiver, livekit):
    assert PRODUCT.exists(), "build the product first: cargo build"
    product = Product(tmp_path_factory.mktemp("product"), receiver.url, livekit)
    yield product
    code = product.stop()
    assert code == 0, f"the product ended with {code}; its last words:\n{product.program.last_words()}"


@pytest.fixture(scope="session")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def firefox():
    browser = Browser("firefox")
    yield browser
    browser.close()


@pytest.fixture
def crowd():
    crowd = Crowd()
    yield crowd
    crowd.close()


@pytest.fixture
def room():
    """A room that nobody else uses."""
    return f"room-{uuid.uuid4().hex[:8]}"
