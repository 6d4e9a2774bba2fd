"""Reading a bucket back, through boto3 as a customer would."""

import hashlib
import json
import subprocess
from datetime import datetime

import boto3
import botocore.config

from .places import PRODUCT
from .sound import Sound


class Bucket:
    def __init__(self, endpoint, name, access_key, secret_key):
        self.endpoint, self.name, self.keys = endpoint, name, (access_key, secret_key)
        self.s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def storage_config(self, *prefix):
        """What a start request says about this bucket."""
        return {
            "vendor": 11,
            "region": 0,
            "bucket": self.name,
            "accessKey": self.keys[0],
            "secretKey": self.keys[1],
            "fileNamePrefix": list(prefix),
            "extensionParams": {"endpoint": self.endpoint},
        }

    def keys_under(self, prefix):
        answer = self.s3.list_objects_v2(Bucket=self.name, Prefix=prefix)
        assert not answer.get("IsTruncated")
        keys = (entry["Key"] for entry in answer.get("Contents", []))
        # versitygw lists the files that it is still writing, or was when it was killed; their names begin with a dot.
        return sorted(key for key in keys if not key.rsplit("/", 1)[-1].startswith("."))

    def get(self, key):
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def address(self, key):
        """Where everybody may read an object, if the bucket allows that."""
        return f"{self.endpoint}/{self.name}/{key}"

    def fetch(self, prefix, folder):
        """Everything of one recording as files; returns what is in it."""
        folder.mkdir(parents=True, exist_ok=True)
        names = []
        for key in self.keys_under(prefix):
            name = key.rsplit("/", 1)[-1]
            (folder / name).write_bytes(self.get(key))
            names.append(name)
        return Recorded(folder, names)


class Recorded:
    """One recording's files, all in one folder."""

    def __init__(self, folder, names):
        self.folder, self.names = folder, names

    @property
    def playlists(self):
        return [Playlist(self.folder / name) for name in self.names if name.endswith(".m3u8")]

    @property
    def mix(self):
        found = [playlist for playlist in self.playlists if "__uid_s_" not in playlist.path.name]
        assert len(found) == 1, f"{len(found)} mix playlists in {self.names}"
        return found[0]

    def individual(self, uid):
        found = [playlist for playlist in self.playlists if f"__uid_s_{uid}__uid_e_" in playlist.path.name]
        assert len(found) == 1, f"{len(found)} playlists of {uid} in {self.names}"
        return found[0]

    @property
    def manifest(self):
        return json.loads(self._one("_manifest.json").read_text())

    @property
    def log(self):
        return [json.loads(line) for line in self._one("_events.jsonl").read_text().splitlines()]

    def _one(self, end):
        found = [name for name in self.names if name.endswith(end)]
        assert len(found) == 1, f"{len(found)} files ending in {end} in {self.names}"
        return self.folder / found[0]

    def check(self):
        """Every playlist is finished, names only what is there, and adds up; every object has the sum that the manifest says."""
        assert self.playlists, f"no playlist in {self.names}"
        for playlist in self.playlists:
            playlist.check(self.names)
            verdict = subprocess.run([PRODUCT, "verify", playlist.path], capture_output=True, text=True, timeout=60)
            assert verdict.returncode == 0, f"{verdict.stdout}\n{verdict.stderr}"
        objects = self.manifest["objects"]
        media = {name for name in self.names if name.endswith((".m4s", ".mp4", ".m3u8"))}
        assert {entry["name"] for entry in objects} >= media
        for entry in objects:
            content = (self.folder / entry["name"]).read_bytes()
            assert len(content) == entry["size"], entry
            assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry


class Playlist:
    def __init__(self, path):
        self.path = path
        self.lines = path.read_text().splitlines()
        self.durations = [float(self._value(line).rstrip(",")) for line in self.lines if line.startswith("#EXTINF:")]
        self.segments = [line for line in self.lines if line and not line.startswith("#")]

    @staticmethod
    def _value(line):
        return line.split(":", 1)[1]

    @property
    def seconds(self):
        return sum(self.durations)

    @property
    def start(self):
        """Wall time of its first sample, in seconds since 1970."""
        first = next(line for line in self.lines if line.startswith("#EXT-X-PROGRAM-DATE-TIME:"))
        return datetime.fromisoformat(self._value(first).replace("Z", "+00:00")).timestamp()

    @property
    def finished(self):
        return "#EXT-X-ENDLIST" in self.lines

    def check(self, names):
        assert self.finished, f"{self.path.name} is not finished"
        missing = [segment for segment in self.segments if segment not in names]
        assert not missing, f"{self.path.name} names what is not in the bucket: {missing}"
        assert len(self.segments) == len(self.durations)
        self._check_ranges()
        sound = self.sound
        assert abs(sound.seconds - self.seconds) < 0.05, f"{sound.seconds} s of sound, {self.seconds} s of playlist"

    def _check_ranges(self):
        """Each object is listed once: as a whole, or as byte ranges that follow each other from its beginning to its end."""
        listed, read = {}, None
        for line in self.lines:
            if line.startswith("#EXT-X-BYTERANGE:"):
                length, start = self._value(line).split("@")
                read = (int(start), int(start) + int(length))
            elif line and not line.startswith("#"):
                listed.setdefault(line, []).append(read)
                read = None
        for name, ranges in listed.items():
            if ranges == [None]:
                continue
            assert None not in ranges, f"{self.path.name} lists {name} twice, once as a whole"
            ends = [0] + [end for _, end in ranges]
            assert [start for start, _ in ranges] == ends[:-1], f"{self.path.name}: the byte ranges of {name} are {ranges}"
            assert ends[-1] == (self.path.parent / name).stat().st_size, f"{self.path.name}: {name} is longer or shorter"
        runs = [name for name, before in zip(self.segments, [None] + self.segments) if name != before]
        assert runs == list(listed), f"{self.path.name} comes back to an object"
        target = next(int(self._value(line)) for line in self.lines if line.startswith("#EXT-X-TARGETDURATION:"))
        assert all(round(duration) <= target for duration in self.durations), f"{self.path.name}: {max(self.durations)} s"

    @property
    def sound(self):
        return Sound.of(self.path)
