"""The served OpenAPI document against tools that we did not write: it is valid, schemathesis finds no 5xx and no status, header or
shape that it does not have, and the page for people loads nothing from elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from peers.product import EMBEDDED, Product, customer_of
from peers.program import wait_for

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
]
# Requests for each call beside the examples and the edges; what they are is the same in every run.
EXAMPLES, SEED, SECONDS = 12, 20, 120
# Calls that need a resource or a recording mostly get one that exists.
SETTINGS = """
[dictionaries]
apps = {{ values = ["{app}"] }}
resources = {{ values = ["{resource}"] }}
recordings = {{ values = ["{sid}"] }}
channels = {{ values = ["{cname}"] }}

[parameters]
"path.appid" = {{ dictionary = "apps", probability = 0.9 }}
"path.resourceid" = {{ dictionary = "resources", probability = 0.8 }}
"path.sid" = {{ dictionary = "recordings", probability = 0.8 }}
"path.channelName" = {{ dictionary = "channels", probability = 0.8 }}
"body.appid" = {{ dictionary = "apps", probability = 0.9 }}
"query.appid" = {{ dictionary = "apps", probability = 0.9 }}

[generation]
database = "none"
deterministic = true

[phases.coverage]
unexpected-methods = []
"""


def test_the_document_is_valid(product):
    document = requests.get(f"{product.origin}/openapi.json", timeout=5).json()
    assert document["openapi"].startswith("3.1")
    problems = [f"{list(error.absolute_path)}: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    assert not problems, problems


def test_no_answer_is_one_that_the_document_does_not_have(tmp_path, receiver, crowd, room):
    product = Product(tmp_path, receiver.url)
    try:
        crowd.join(product.url, product.token(room, "7"), tone=440)
        recording = product.record(room, "mix")
        served = requests.get(f"{product.origin}/openapi.json", timeout=5).json()
        document, settings = tmp_path / "openapi.json", tmp_path / "schemathesis.toml"
        resource = recording.resource.removeprefix("resourceid/")
        document.write_text(about(strict(served), product, recording, resource))
        settings.write_text(SETTINGS.format(app=EMBEDDED, resource=resource, sid=recording.sid, cname=room))
        wait_for("something to be told", lambda: recording.query()[1]["fileList"])
        for calls in (["--exclude-operation-id", "stop"], named("stop"), named("query", "recording", "events", "update")):
            outcome = schemathesis(product, document, settings, calls)
            print(outcome.stdout[-1500:])
            assert outcome.returncode == 0, outcome.stdout[-20000:]
        assert requests.get(f"{product.origin}/readyz", timeout=5).ok, "the worker is as well as before"
    finally:
        assert product.stop() == 0, product.program.last_words()


def named(*calls):
    return [part for call in calls for part in ("--include-operation-id", call)]


def about(document, product, recording, resource):
    """The document's text with a recording that exists in its examples, so that they are good calls here."""
    parameters, text = document["components"]["parameters"], json.dumps(document)
    storage = recording.bucket.storage_config()
    for told, true in [
        (parameters["appid"]["example"], EMBEDDED),
        (parameters["resourceid"]["example"], resource),
        (parameters["sid"]["example"], recording.sid),
        (f'"{parameters["channelName"]["example"]}"', f'"{recording.who["cname"]}"'),
        ('"900001"', f'"{recording.who["uid"]}"'),
        ("https://s3.example.com", storage["extensionParams"]["endpoint"]),
        ("an-access-key", storage["accessKey"]),
        ("a-secret-key", storage["secretKey"]),
    ]:
        assert told in text, told
        text = text.replace(told, true)
    return text


def schemathesis(product, document, settings, calls):
    # One worker: Python 3.11 loses count of a parser's depth when threads share it ("AST constructor recursion depth mismatch").
    program = Path(sys.executable).parent / "schemathesis"
    command = [program, "--config-file", settings, "--no-color", "run", document, "--url", product.origin, *calls]
    command += ["--auth", ":".join(customer_of(EMBEDDED)), "--checks", ",".join(CHECKS)]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED]
    command += ["--request-timeout", 15, "--continue-on-failure", "--workers", 1, "--warnings", "off"]
    command = [str(part) for part in command]
    return subprocess.run(command, cwd=settings.parent, capture_output=True, text=True, timeout=SECONDS)


def strict(document):
    """The document with every answer closed: a field that it does not name is an error."""
    parts = document["components"]
    found, rest = set(), [operation["responses"] for item in document["paths"].values() for operation in item.values()]
    while rest:
        value = rest.pop()
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        reference = value.get("$ref") if isinstance(value, dict) else None
        if isinstance(reference, str) and reference.startswith("#/components/") and reference not in found:
            found.add(reference)
            part, name = reference.split("/")[2:]
            rest.append(parts[part][name])
        if isinstance(value, dict) and isinstance(value.get("properties"), dict) and value.get("type") == "object":
            value.setdefault("additionalProperties", False)
    assert len(found) > 10
    return document


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"width": 390, "height": 844}])
def test_the_page_tells_every_call_and_loads_nothing_from_elsewhere(product, browser, look):
    document = requests.get(f"{product.origin}/openapi.json", timeout=5).json()
    page = browser.open(f"{product.origin}/docs", **{"width": 1400, "height": 1000, **look})
    page.eval("document.querySelectorAll('article details').forEach((details, index) => details.open = index < 6)")
    page.shot("docs-" + ("-".join(map(str, look)) or "wide"))
    shown = set(page.eval("[...document.querySelectorAll('article')].map((article) => article.id)"))
    calls = {operation["operationId"] for item in document["paths"].values() for operation in item.values()}
    assert calls <= shown, calls - shown
    assert page.eval("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is wider than the page"
    assert page.eval("getComputedStyle(document.querySelector('article')).borderRadius") != "0px", "the style sheet is in force"
    asked = [line.removeprefix("request: ") for line in page.log if line.startswith("request: ")]
    assert all(url.startswith(product.origin) for url in asked), asked
    assert not [line for line in page.log if line.startswith(("error", "uncaught"))], page.log
    page.close()
