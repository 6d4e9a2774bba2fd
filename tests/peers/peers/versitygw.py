"""A real S3 server on loopback."""

import botocore.exceptions

from .bucket import Bucket
from .places import KEPT, LOOPBACK, free_port
from .program import Program

BINARY = KEPT / "bin" / "versitygw"
KEYS = ("versity-access", "versity-secret-of-some-length")


class VersityGateway:
    def __init__(self, folder, disk=None):
        port = free_port()
        objects = (disk or folder) / "objects"
        objects.mkdir()
        self.bucket = Bucket(f"http://{LOOPBACK}:{port}", "customer-bucket", *KEYS)
        self.program = Program(
            "versitygw",
            [BINARY, "--port", f"{LOOPBACK}:{port}", "posix", objects],
            folder / "versitygw.log",
            self._answers,
            env={"ROOT_ACCESS_KEY": KEYS[0], "ROOT_SECRET_KEY": KEYS[1]},
        ).start()
        self.bucket.s3.create_bucket(Bucket=self.bucket.name)

    def _answers(self):
        try:
            self.bucket.s3.list_buckets()
            return True
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            return False

    def kill(self):
        self.program.kill()

    def start_again(self):
        self.program.start()

    def stop(self):
        self.program.stop()
