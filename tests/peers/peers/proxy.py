"""A TCP proxy on loopback whose connections can be reset."""

import select
import socket
import struct
import threading

from .places import LOOPBACK

LOOK_AGAIN_SECONDS = 0.1


class Proxy:
    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server((LOOPBACK, 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self):
        """Cuts every connection with a TCP reset on both sides; returns how many there were."""
        with self.lock:
            threads = list(self.open)
        for thread in threads:
            thread.cut = True
        for thread in threads:
            thread.join(5)
        return len(threads)

    def close(self):
        self.listener.close()
        self.reset()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((LOOPBACK, self.target))
            except OSError:
                client.close()
                continue
            with self.lock:
                thread = Connection(self, client, server)
                self.open.add(thread)
            thread.start()


class Connection(threading.Thread):
    def __init__(self, proxy, client, server):
        super().__init__(daemon=True)
        self.proxy, self.sinks, self.cut = proxy, {client: server, server: client}, False

    def run(self):
        try:
            while not self.cut:
                for source in select.select(list(self.sinks), [], [], LOOK_AGAIN_SECONDS)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    self.sinks[source].sendall(data)
        except OSError:
            pass
        finally:
            for end in self.sinks:
                if self.cut:
                    # Lingering for no time makes close send a reset.
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()
            with self.proxy.lock:
                self.proxy.open.discard(self)
