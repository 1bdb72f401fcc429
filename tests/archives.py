"""CIFAR-10 in its true layout but small, archives of it, and a server on this machine that hands them out."""

import contextlib
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

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


def zip_of(folder):
    """The bytes of a .zip that holds the folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(Path(folder).rglob("*")):
            archive.write(path, path.relative_to(Path(folder).parent))
    return buffer.getvalue()


def ranged(content, heard, *, etag='"one"', cut=None, conditions=True):
    """An answer of a server that knows Range, notes what was asked for, and may break off after `cut` bytes.

    Without `conditions` it sends the range that was asked for whatever If-Range says.
    """

    def answer(handler):
        asked = handler.headers.get("Range")
        heard.append(asked)
        same = not conditions or handler.headers.get("If-Range") in {None, etag}
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and same else 0
        if start >= len(content) and start:
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if etag:
            handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start:][:cut])

    return answer


def redirecting(location):
    """An answer that sends the client elsewhere: `location` is given the path that was asked for."""

    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", location(handler.path))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@contextlib.contextmanager
def serving(*answers):
    """Serve on this machine: the first request gets the first answer, the last answer is repeated.

    An answer is bytes, or a status code, or (bytes, n) to break off after n bytes, or a function of the handler. Gives
    the address and the paths that were asked for.
    """
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            if callable(answer):
                answer(self)
                return
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


def cifar100_images(train=100, test=20, fine=10, coarse=5, seed=0):
    """Random images and balanced labels: {file name: (pixels, coarse labels, fine labels)}; a coarse class has two."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, count in {"train.bin": train, "test.bin": test}.items():
        labels = rng.permutation(np.arange(count) % fine).astype(np.uint8)
        pixels = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        made[name] = (pixels, labels % coarse, labels)
    return made


def write_cifar100(folder, images, fine=10, coarse=5):
    """Write the binary version: a byte of the coarse label, one of the fine, then red, green and blue."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    for name, (pixels, upper, lower) in images.items():
        planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
        np.concatenate([upper[:, None], lower[:, None], planes], axis=1).tofile(folder / name)
    (folder / "fine_label_names.txt").write_text("".join(f"fine_{n}\n" for n in range(fine)) + "\n")
    (folder / "coarse_label_names.txt").write_text("".join(f"coarse_{n}\n" for n in range(coarse)))
    return folder


def cifar_c_arrays(labels, names, seed=0):
    """Random corrupted images: {file name: array}; those of a severity follow each other."""
    rng = np.random.default_rng(seed)
    made = {f"{name}.npy": rng.integers(0, 256, (5 * len(labels), 32, 32, 3), dtype=np.uint8) for name in names}
    return made | {"labels.npy": np.tile(labels.astype(np.uint8), 5)}


def write_arrays(folder, arrays):
    """Write NumPy's own files."""
    Path(folder).mkdir(parents=True)
    for name, array in arrays.items():
        np.save(Path(folder) / name, array)
    return Path(folder)


def write_jpegs(root, names, seed=0):
    """Write a small JPEG of random content under each name, as well as its folders."""
    for number, name in enumerate(names):
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng([seed, number]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, "JPEG")
    return Path(root)
