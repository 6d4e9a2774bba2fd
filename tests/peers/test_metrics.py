"""What `/metrics` says, in the eyes of Prometheus' own tool."""

import subprocess

import requests


def test_prometheus_finds_nothing_to_complain_about(product):
    answer = requests.get(f"{product.origin}/metrics", timeout=5)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    verdict = subprocess.run(["promtool", "check", "metrics"], input=answer.text, capture_output=True, text=True, timeout=30)
    assert verdict.returncode == 0 and not verdict.stdout + verdict.stderr, f"{verdict.stdout}\n{verdict.stderr}"
    names = {line.split(" ")[2] for line in answer.text.splitlines() if line.startswith("# HELP ")}
    assert {"process_cpu_seconds_total", "process_open_fds", "cloud_recorder_build_info", "cloud_recorder_recordings", "cloud_recorder_request_seconds"} <= names
