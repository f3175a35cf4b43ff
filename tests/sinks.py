"""Where messages of the tests go: a mail server and a webhook of our own, real ones over the network, which can be told
to misbehave.

    mail_sink.mails[0].to, .text, .files    what arrived (fixtures: tests/conftest.py)
    webhook.said[0]["text"]
    mail_sink.will(LOSE, "451 Later")       the next one is taken and the line dropped, the one after is answered so
    webhook.will(500, (429, {"Retry-After": "7"}), LATE)

What is not told otherwise goes well. Both stand for processes too: MailSink().start(), .url for EMAIL_URL; Webhook().
start(), .url for MOONWALK_SLACK_WEBHOOK; .stop() ends it, and .start() again listens at the same port with what it has.
"""

import asyncio
import email
import json
import socket
import threading
from collections import deque
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from tests.conftest import free_port

LOSE = "lose"  # it takes the message, then drops the line without an answer
LATE = "late"  # it takes the message, and answers LATE_SECONDS later: let the sender's patience be shorter
LATE_SECONDS = 3


class _Sink:
    """What both have: a port of their own for as long as they live, and what they were told to do."""

    def __init__(self):
        self.port = free_port()
        self.orders: deque = deque()

    def will(self, *orders) -> None:
        """What it does with the next messages, one after the other."""
        self.orders.extend(orders)

    def _order(self):
        return self.orders.popleft() if self.orders else None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc) -> None:
        self.stop()


# E-mail --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mail:
    """One e-mail as it came over the line: to whom the envelope said, and what was in it."""

    to: tuple[str, ...]
    message: EmailMessage

    @property
    def text(self) -> str:
        return self.message.get_body(("plain",)).get_content().replace("\r\n", "\n")

    @property
    def html(self) -> str:
        return self.message.get_body(("html",)).get_content().replace("\r\n", "\n")

    @property
    def files(self) -> dict[str, bytes]:
        """Attachments by name."""
        return {part.get_filename(): part.get_content() for part in self.message.iter_attachments()}


class MailSink(_Sink):
    """An SMTP server. Orders: an answer ("451 Later", "554 No") to a message; "to: 550 No such mailbox" to its address;
    LOSE; LATE."""

    def __init__(self):
        super().__init__()
        self.mails: list[Mail] = []
        self._server: Controller | None = None

    @property
    def url(self) -> str:
        """For EMAIL_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> "MailSink":
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)
        self._server.start()
        return self

    def stop(self) -> None:
        if self._server:
            self._server.stop()
        self._server = None

    # What aiosmtpd calls

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if self.orders and str(self.orders[0]).startswith("to: "):
            return self._order().removeprefix("to: ")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        order = self._order()
        if order in (None, LOSE, LATE):
            message = email.message_from_bytes(envelope.content, policy=default)
            self.mails.append(Mail(tuple(envelope.rcpt_tos), message))
        if order == LOSE:
            server.transport.abort()
        if order == LATE:
            await asyncio.sleep(LATE_SECONDS)
        return "250 OK" if order in (None, LOSE, LATE) else order


# Webhook -------------------------------------------------------------------------------------------------------------


class Webhook(_Sink):
    """A Slack-compatible webhook. Orders: a status (500), or (429, {"Retry-After": "7"}); LOSE; LATE."""

    PATH = "/services/T000/B000/secret-of-the-webhook"

    def __init__(self):
        super().__init__()
        self.said: list[dict] = []  # what it took
        self.asked = 0  # how often somebody came
        self._server: ThreadingHTTPServer | None = None
        self._enough = threading.Event()  # no answer is late any more once it stops

    @property
    def url(self) -> str:
        """For MOONWALK_SLACK_WEBHOOK."""
        return f"http://127.0.0.1:{self.port}{self.PATH}"

    def start(self) -> "Webhook":
        self._enough.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.handle_error = lambda *of: None  # whoever asked is gone: killed, or out of patience
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        self._enough.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def _handler(sink):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.asked += 1
                order = sink._order() if self.path == sink.PATH else 404
                if order in (None, LOSE, LATE):
                    sink.said.append(body)
                if order == LOSE:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if order == LATE:
                    sink._enough.wait(LATE_SECONDS)
                status, headers = order if isinstance(order, tuple) else (order, {})
                self.send_response(status if isinstance(status, int) else 200)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args):
                pass

        return Handler
