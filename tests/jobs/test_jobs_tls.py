"""Redis over TLS: the certificate is made here, the server is the real one behind a TLS door."""

import asyncio
import shutil
import ssl
import subprocess
import threading

import pytest

from app.errors import QueueUnavailable
from app.jobs.queue import JobQueue

PROCESS_ID = "63ad58f4-cfaa-4edd-8600-e6c3f99bd87e"

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate, and is missing")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Certificate and key of a laboratory that signs its own."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "ca.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def door(certificate, redis_url):
    """The port of a door that speaks TLS and passes everything on to Redis."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    loop = asyncio.new_event_loop()
    opened: list[asyncio.Server] = []

    async def pump(reader, writer):
        while content := await reader.read(65536):
            writer.write(content)
        writer.close()

    async def serve(reader, writer):
        inner_reader, inner_writer = await asyncio.open_unix_connection(redis_url.removeprefix("unix://"))
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)

    async def open_door():
        opened.append(await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))

    loop.run_until_complete(open_door())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield opened[0].sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    opened[0].close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_the_queue_is_reached_over_tls_by_who_trusts_the_certificate(certificate, door, redis_url):
    queue = JobQueue(f"rediss://127.0.0.1:{door}/0?ssl_ca_certs={certificate[0]}")

    queue.enqueue("training", PROCESS_ID, "train")

    assert JobQueue(redis_url).position("training", PROCESS_ID) == queue.position("training", PROCESS_ID) == 1


def test_nobody_else_stands_in_for_redis_and_the_reason_is_told(certificate, door):
    elsewhere = f"rediss://localhost:{door}/0?ssl_ca_certs={certificate[0]}"
    with pytest.raises(QueueUnavailable, match=r"certificate that is not trusted \(self.signed certificate\); renew"):
        JobQueue(f"rediss://127.0.0.1:{door}/0").check()
    with pytest.raises(QueueUnavailable, match=r"certificate that is not trusted \(Hostname mismatch"):
        JobQueue(elsewhere).check()
    with pytest.raises(QueueUnavailable, match=r"cannot be asked over TLS \(NO_CERTIFICATE_OR_CRL_FOUND\)"):
        JobQueue(f"rediss://127.0.0.1:{door}/0?ssl_ca_certs={certificate[1]}").check()
    with pytest.raises(QueueUnavailable, match="does not answer"):
        JobQueue(f"redis://127.0.0.1:{door}/0").check()
