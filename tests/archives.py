"""CIFAR-10 in its true layout but small, archives of it, and a server on this machine that hands them out."""

import contextlib
import hashlib
import http.server
import io
import tarfile
import threading
from pathlib import Path

import numpy as np

CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def cifar10_images(per_file, seed=0):
    """Random images and balanced labels: {file name: (pixels [n, 32, 32, 3], labels [n])}."""
    rng = np.random.default_rng(seed)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    return {
        name: (
            rng.integers(0, 256, (per_file, 32, 32, 3), dtype=np.uint8),
            rng.permutation(np.arange(per_file) % 10).astype(np.uint8),
        )
        for name in names
    }


def write_cifar10(folder, images):
    """Write the binary version: a byte of label, then all red, all green, all blue bytes, row by row."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    for name, (pixels, labels) in images.items():
        planes = [pixels[..., channel].reshape(len(pixels), 1024) for channel in range(3)]
        np.concatenate([labels[:, None], *planes], axis=1).tofile(folder / name)
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10_CLASSES) + "\n\n")
    return folder


def tar_of(folder):
    """The bytes of a .tar.gz that holds the folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, arcname=Path(folder).name)
    return buffer.getvalue()


def tar_with(*members):
    """The bytes of a .tar.gz with such members: (name, content) for a file, or a TarInfo of any kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


@contextlib.contextmanager
def serving(*answers):
    """Serve on this machine: the first request gets the first answer, the last answer is repeated.

    An answer is bytes, or a status code, or (bytes, n) to break off after n bytes. Gives the address and the paths
    that were asked for.
    """
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            content, sent = answer if isinstance(answer, tuple) else (answer, len(answer))
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:sent])

        def log_message(self, format, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
