"""Replies of real mail servers, each sent at each step: what happens to the email, its address and the status."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
import typer.testing

from coinwatch.cli.operations import status as status_command
from coinwatch.database import create_engine, transaction
from coinwatch.mail.delivery import DeliveryResult, deliver_emails
from coinwatch.notifications.claims import MAX_ATTEMPTS
from tests.conftest import cloned_database
from tests.support.postgres import PostgresServer
from tests.support.quotes import at
from tests.support.settings import make_settings
from tests.support.smtp_server import (
    RECIPIENT_STEPS,
    STEPS,
    ReplyServer,
    reply_server,
    self_signed_certificate,
)

DATA = Path(__file__).parents[3] / "docs" / "smtp_replies.toml"
ADA, BOB, FROM = "ada@example.org", "bob@example.org", "alerts@coinwatch.test"
REPLIES = tomllib.loads(DATA.read_text(encoding="utf-8"))["replies"]
EXPECTED = {  # status, attempts, whether the address is suppressed
    "suppress": ("failed", 1, True),
    "fail": ("failed", 1, False),
    "retry": ("queued", 1, False),
    "wait": ("queued", 0, False),
}


@pytest.fixture(scope="module")
def shared(postgres: PostgresServer, template: str) -> Iterator[sa.Engine]:
    """One database for all replies; each test leaves it empty."""
    with cloned_database(postgres, template) as database:
        engine = create_engine(database.url("app"))
        yield engine
        engine.dispose()


@pytest.fixture
def engine(shared: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setattr(status_command, "get_engine", lambda: shared)
    monkeypatch.setattr(status_command, "utc_now", lambda: at(2))
    monkeypatch.setattr(status_command, "get_settings", make_settings)
    yield shared
    with transaction(shared) as connection:
        connection.execute(sa.text("DELETE FROM users"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed_certificate(tmp_path_factory.mktemp("tls"))


@dataclass(frozen=True)
class Queued:
    status: str
    attempts: int
    suppressed: bool


def queue(engine: sa.Engine, *addresses: str) -> None:
    """Queue an email with the link to the subscriber's page to each address, in this order."""
    insert = """
      WITH added AS (INSERT INTO users (email, verified_at, created_at) VALUES (:email, :now, :now) RETURNING id)
      INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
      SELECT CAST(:email AS text), id, CAST(:email AS text), 'manage',
             '{"reason": "asked", "condition": null, "pair": null}', :now, :now
      FROM added
    """
    with transaction(engine) as connection:
        for address in addresses:
            connection.execute(sa.text(insert), {"email": address, "now": at(0)})


def outbox(engine: sa.Engine) -> dict[str, Queued]:
    query = """
      SELECT recipient, status, attempts, suppressed_at IS NOT NULL AS suppressed
      FROM outbox JOIN users ON users.id = user_id ORDER BY outbox.id
    """
    with transaction(engine) as connection:
        rows = connection.execute(sa.text(query)).all()
    return {row.recipient: Queued(row.status, row.attempts, row.suppressed) for row in rows}


def deliver(
    engine: sa.Engine, server: ReplyServer, minutes: float = 1, wait: Callable[[float], object] = lambda seconds: None
) -> DeliveryResult:
    start = (
        f"smtp://ada:secret@127.0.0.1:{server.port}"
        if server.certificate
        else f"smtp://127.0.0.1:{server.port}?tls=none"
    )
    return deliver_emails(engine, make_settings(smtp_url=start), clock=lambda: at(minutes), wait=wait)


def status() -> str:
    """What an operator reads."""
    result = typer.testing.CliRunner().invoke(status_command.app, [])
    assert result.exit_code == 0, result.output
    return result.output


def lines_of(reply: dict[str, str]) -> list[bytes]:
    """The lines of a reply as a server sends them: all start with the code, all but the last with a hyphen after it."""
    text = reply["reply"].strip("\n").format(to=ADA, **{"from": FROM})
    lines = text.encode(reply.get("encoding", "utf-8")).split(b"\n")
    code, first = lines[0][:3], lines[0][4:]
    if not code.isdigit() or len(lines) == 1:
        return [line for line in lines if line]
    texts = [first, *lines[1:]]
    return [code + (b" " if number == len(texts) else b"-") + text for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply["source"])
def test_reply_decides_about_email_address_and_status(
    engine: sa.Engine,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    reply: dict[str, str],
    step: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    queue(engine, ADA)
    encrypted = certificate if step in {"STARTTLS", "AUTH"} else None
    with reply_server(ReplyServer(step, lines_of(reply), certificate=encrypted)) as server:
        deliver(engine, server)
        expected = reply["email"] if step in RECIPIENT_STEPS else "wait"
        assert outbox(engine)[ADA] == Queued(*EXPECTED[expected])
        said = " ".join(status().split())
        assert ("1 to be retried" in said, "1 failed" in said) == (
            expected == "retry",
            expected in {"fail", "suppress"},
        )
        assert ADA not in said
        if reply.get("fix") and step in {*RECIPIENT_STEPS, "EHLO", "MAIL"}:
            assert reply["fix"] in said
        if expected == "wait":
            server.lines = []
            server.step = ""
            assert deliver(engine, server, minutes=2).sent == 1, "nothing is lost"


@pytest.mark.parametrize("step", RECIPIENT_STEPS)
@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply["source"])
def test_reply_to_one_recipient_does_not_hold_up_others(engine: sa.Engine, reply: dict[str, str], step: str) -> None:
    """Except for those about the login and the daily limit, which are about all emails."""
    queue(engine, ADA, BOB)
    with reply_server(ReplyServer(step, lines_of(reply), recipient=ADA)) as server:
        deliver(engine, server)
    states = outbox(engine)
    if states[ADA] == states[BOB]:
        assert states[BOB] == Queued("queued", 0, False)
        assert {"COINWATCH_SMTP_URL", "COINWATCH_EMAILS_PER_DAY", "?tls=none"} & {reply.get("fix")}
    else:
        assert states[BOB] == Queued("sent", 1, False)
        expected = "retry" if reply["email"] == "wait" else reply["email"]
        assert states[ADA] == Queued(*EXPECTED[expected])


PEOPLE = [f"person{number}@example.org" for number in range(8)]


@pytest.mark.parametrize(
    "reply",
    [
        b"554 5.6.0 we do not like this",
        b"550 5.1.1 no such user",
        b"550 go away",
        b"554 Message rejected: Email address is not verified",
        b"451 4.3.0 try it tomorrow",
        b"421 4.3.2 shutting down",
    ],
)
@pytest.mark.parametrize("step", RECIPIENT_STEPS)
def test_equal_rejections_of_all_emails_stop_the_run(engine: sa.Engine, step: str, reply: bytes) -> None:
    queue(engine, *PEOPLE)
    with reply_server(ReplyServer(step, [reply])) as server:
        result = deliver(engine, server)
        assert (server.tried, result.sent, result.failed) == (3, 0, 0)
        states = outbox(engine)
        assert {(state.status, state.suppressed) for state in states.values()} == {("queued", False)}
        assert [state.attempts for state in states.values()][3:] == [0] * 5
        server.step = ""
        assert deliver(engine, server, minutes=10).sent == len(PEOPLE)


def test_rejected_emails_fail_if_others_are_accepted(engine: sa.Engine) -> None:
    queue(engine, *PEOPLE)

    class Some(ReplyServer):
        def reply_to(self, step: str, recipient: str) -> list[bytes]:
            self.lines = [b"554 5.6.0 no"] if recipient in PEOPLE[:2] + PEOPLE[3:] else [b"250 ok"]
            return super().reply_to(step, recipient)

    with reply_server(Some("text")) as server:
        result = deliver(engine, server)
    assert (result.sent, result.failed) == (1, 7)


def test_sending_slows_down_to_the_rate_that_the_server_accepts(engine: sa.Engine) -> None:
    queue(engine, *PEOPLE)
    accepted_before_pause, pauses = 0, []

    class Limited(ReplyServer):
        def reply_to(self, step: str, recipient: str) -> list[bytes]:
            too_fast = len(self.recipients) - accepted_before_pause >= 2
            self.lines = [b"454 Throttling failure: Maximum sending rate exceeded."] if too_fast else [b"250 ok"]
            return super().reply_to(step, recipient)

    def wait(seconds: float) -> None:
        nonlocal accepted_before_pause
        accepted_before_pause = len(server.recipients)
        pauses.append(seconds)

    with reply_server(Limited("text")) as server:
        assert deliver(engine, server, wait=wait).sent == len(PEOPLE)
    assert set(outbox(engine).values()) == {Queued("sent", 1, False)}
    assert pauses == [1.0] * 3


def test_sending_does_not_wait_for_a_server_that_stays_busy(engine: sa.Engine) -> None:
    queue(engine, *PEOPLE)
    pauses: list[float] = []
    with reply_server(ReplyServer("text", [b"454 Throttling failure: Maximum sending rate exceeded."])) as server:
        assert deliver(engine, server, wait=pauses.append).sent == 0
    assert pauses == [1.0, 2.0, 4.0]


def test_greylisted_emails_are_all_tried(engine: sa.Engine) -> None:
    queue(engine, *PEOPLE)
    with reply_server(ReplyServer("RCPT", [b"450 4.2.0 Greylisted, come back later"])) as server:
        assert deliver(engine, server).retried == server.tried == len(PEOPLE)


def test_emails_rejected_alike_fail_in_the_end_without_suppressing_their_addresses(engine: sa.Engine) -> None:
    queue(engine, *PEOPLE[:3])
    with reply_server(ReplyServer("RCPT", [b"550 5.1.1 no such user"])) as server:
        for attempt in range(MAX_ATTEMPTS):
            deliver(engine, server, minutes=1 + 200 * attempt)
    assert set(outbox(engine).values()) == {Queued("failed", MAX_ATTEMPTS, False)}


def test_positive_reply_instead_of_354_does_not_count_as_sent(engine: sa.Engine) -> None:
    queue(engine, ADA)
    with reply_server(ReplyServer("DATA", [b"250 2.0.0 queued"])) as server:
        assert deliver(engine, server).sent == 0
    assert outbox(engine)[ADA] == Queued("queued", 1, False)


def test_server_that_closes_after_accepting_an_email_has_accepted_it(engine: sa.Engine) -> None:
    queue(engine, ADA, BOB)

    class Closing(ReplyServer):
        def reply_to(self, step: str, recipient: str) -> list[bytes]:
            self.lines = [] if self.recipients else [b"250 ok"]
            return super().reply_to(step, recipient)

    with reply_server(Closing("MAIL")) as server:
        result = deliver(engine, server)
    assert (result.sent, result.retried) == (1, 1)
    assert outbox(engine)[BOB] == Queued("queued", 0, False)
