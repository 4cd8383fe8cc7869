"""What a mail server's reply means for an email: the same rules for live replies and for delivery reports.

Only a code about the mailbox suppresses an address. Many servers give no enhanced code (RFC 3463) or a vague one, and
report problems of the sender when they reply to RCPT. So the text is read first: what it says about our sender, host or
login is never blamed on the recipient.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from coinwatch.logs import without_addresses

MAX_TEXT = 500
CLOSING = 421
# RFC 3463 and RFC 7505: no such mailbox or domain, bad syntax, moved without a forwarding address, disabled.
MAILBOX_CODES = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "2.1"})
ENHANCED_CODE = re.compile(r"[\s#(\[]*([245])\.(\d{1,3}\.\d{1,3})(?![\d.])")
TRAILING_CODE = re.compile(r"\(#([245])\.(\d{1,3}\.\d{1,3})\)")  # as qmail writes it: (#5.1.1)
LINE_START = re.compile(
    r"\s+[245]\d\d-?\s?(?=[245]\.\d{1,3}\.\d{1,3}\b)"
)  # further lines of a reply in a delivery report
GREYLISTING = re.compile(r"gr[ea]y-?list", re.IGNORECASE)


class Outcome(StrEnum):
    """What happens to the email."""

    SUPPRESS = "suppress"  # it fails, and its address is suppressed
    FAIL = "fail"  # it fails
    SLOW_DOWN = "slow down"  # it is tried again after a pause of seconds
    RETRY = "retry"  # it is tried again, for about a day
    WAIT = "wait"  # the reply is about us: it waits until our configuration is fixed
    STOP = "stop"  # nothing can be sent now: all emails wait


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply on one line, without control characters. ``status`` is its enhanced code without the class, as "1.1"."""

    code: int
    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply means. ``advice`` continues a sentence that starts with the server, and says what to do about it."""

    outcome: Outcome
    advice: str = ""


def parse_reply(code: int, raw: bytes) -> Reply:
    """A live reply as smtplib returns it: lines without the code."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return _reply(code, text)


def parse_diagnostic(text: str, status: str) -> Reply | None:
    """A report's Diagnostic-Code, such as ``smtp; 550 5.1.1 no such user``; None if it is not a mail server's reply.

    ``status`` is the report's Status; it counts only if the diagnostic code has none of its own, because some servers
    write 5.0.0 or 5.1.1 whatever the reason was.
    """
    kind, separator, value = text.partition(";")
    if not separator:
        kind, value = "smtp", text
    found = re.match(r"\s*\"?([245]\d\d)[\s-]*(.*)", value, re.DOTALL)
    if kind.strip().lower() != "smtp" or not found:
        return None
    reply = _reply(int(found[1]), LINE_START.sub(" ", found[2]))
    return reply if reply.status else Reply(reply.code, _status(status), reply.text)


def classify(reply: Reply) -> Verdict:
    """What a negative reply to RCPT, DATA or the text means, or the same reply in a delivery report."""
    text = without_addresses(reply.text)
    for cause in CAUSES:
        if cause.matches(reply, text):
            return cause.verdict
    permanent = reply.code >= 500
    if permanent and reply.status in MAILBOX_CODES:
        return Verdict(Outcome.SUPPRESS)
    if permanent and (reply.status.startswith("7.") or (not reply.status and POLICY.search(text))):
        return BY_POLICY
    if reply.code in {500, 502, 503, 504}:
        return NOT_UNDERSTOOD
    return Verdict(Outcome.FAIL if permanent else Outcome.RETRY)


def advice_before_recipient(reply: Reply) -> str:
    """What to do about a negative reply that came before RCPT, so that it is not about an email."""
    if advice := classify(reply).advice:
        return advice
    return "accepts nothing from us, check COINWATCH_SMTP_URL" if reply.code >= 500 else "accepts no email now"


def _reply(code: int, text: str) -> Reply:
    """Repeated lines start with the enhanced code again; it is kept once."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    status = _status(line)
    if status:
        first, separator, rest = line.partition(status)
        line = first + separator + re.sub(rf"\s[245]\.{re.escape(status)}(?=\s)", "", rest)
    return Reply(code, status, line[:MAX_TEXT])


def _status(text: str) -> str:
    found = ENHANCED_CODE.match(text) or TRAILING_CODE.search(text)
    return found[2] if found else ""


class _Cause:
    """Replies with one of these words, enhanced codes (without class) or reply codes."""

    def __init__(self, outcome: Outcome, advice: str, words: str = "", statuses: str = "", codes: str = "") -> None:
        self.verdict = Verdict(outcome, advice)
        self._words = re.compile(words, re.IGNORECASE) if words else None
        self._statuses = frozenset(statuses.split())
        self._codes = frozenset(int(code) for code in codes.split())

    def matches(self, reply: Reply, text: str) -> bool:
        if reply.status in self._statuses or reply.code in self._codes:
            return True
        return self._words is not None and self._words.search(text) is not None


POLICY = re.compile(r"\bpolic(y|ies)\b|administrat\w+ prohibit|access denied", re.IGNORECASE)
BY_POLICY = Verdict(
    Outcome.WAIT,
    "rejects our emails by policy, check the server's rules, and SPF, DKIM and DMARC of the domain in "
    "COINWATCH_EMAIL_FROM",
)
NOT_UNDERSTOOD = Verdict(Outcome.WAIT, "does not understand us, check host and port in COINWATCH_SMTP_URL")
# The first that matches decides: about the recipient's traffic, about us, then about this email.
CAUSES = (
    _Cause(Outcome.RETRY, "", r"receiving (mail|e-?mail|messages)|recipient.{0,30}too (many|fast|quickly)"),
    _Cause(
        Outcome.WAIT,
        "does not accept the domain in COINWATCH_EMAIL_FROM as authenticated, check its SPF, DKIM and DMARC records",
        r"\b(dmarc|spf|dkim)\b|authentication level|unauthenticated (e-?mail|mail|messages?)",
        "7.20 7.21 7.22 7.23 7.24 7.26 7.27 7.29 7.30 7.515",
    ),
    _Cause(
        Outcome.STOP,
        "accepts no more emails today, see COINWATCH_EMAILS_PER_DAY",
        r"daily.{0,30}(limit|quota)|hourly.{0,30}(limit|quota)|credits? exceeded"
        r"|(sending|submission|outgoing|outbound) (limit|quota)|(limit|quota) of (sent|outgoing)",
        "4.5",
    ),
    _Cause(
        Outcome.STOP,
        "requires TLS, remove ?tls=none from COINWATCH_SMTP_URL",
        r"\bstarttls\b|requires? (tls|encryption|a secure)|(tls|encryption) (is )?required|must use tls",
        "7.10 7.11",
        "538",
    ),
    _Cause(
        Outcome.STOP,
        "requires a login or rejects ours, check user and password in COINWATCH_SMTP_URL",
        r"authenticat\w+ (is |was )?(required|failed|unsuccessful|needed|invalid)|authenticate first|not authenticated"
        r"|must (be )?authenticated?|unauthenticated sender|(auth|login) required|authenticat\w+ credentials"
        r"|user ?names? (and|or) password|(bad|invalid|incorrect|wrong) (login|credentials|user ?name|password)",
        "7.8 7.57 7.139",
        "530 534 535",
    ),
    _Cause(
        Outcome.WAIT,
        "has blocked our account or not activated it yet, see the provider's pages",
        r"(your|sender'?s?|sending|smtp) account\b.{0,60}(suspend|disabl|block|lock|inactive|not (yet )?(been )?activ)"
        r"|activate your|account (is )?not (yet )?activated|(outgoing|outbound) (e-?mail )?(is )?blocked|\bsandbox\b"
        r"|unusual sending activity|sending (is |has been )?(paused|disabled)|bad outbound sender",
    ),
    _Cause(
        Outcome.WAIT,
        "rejects our host name, add ?ehlo=coinwatch.example.org (a name of this machine in DNS) to COINWATCH_SMTP_URL",
        r"\b(helo|ehlo)\b",
    ),
    _Cause(
        Outcome.WAIT,
        "does not relay for us, add user and password to COINWATCH_SMTP_URL or allow this machine on the mail server",
        r"\brelay(ing)?\b.{0,25}\b(denied|permitted|allowed|disallowed|prohibited|forbidden|rejected)"
        r"|\b(not|cannot|unable to|\w+n't) (\w+ ){0,2}relay\b|rcpthosts|\bopen relay",
        "7.64",
    ),
    _Cause(
        Outcome.WAIT,
        "rejects our sender, check COINWATCH_EMAIL_FROM and verify it with the provider",
        r"\bsender\b.{0,25}\b(rejected|denied|failed|unknown|invalid|not (allowed|verified|accepted|permitted|owned))"
        r"|\bfrom (address|header)\b|\bsend ?as(denied\w*)?\b|\bnot (yet )?verified\b|verified sender|not owned by"
        r"|domain of sender|sender'?s? domain|bad sender|return-?path|envelope (sender|from)"
        r"|not (allowed|authori[sz]ed|permitted) to send",
        "1.7 1.8 2.252 7.60",
    ),
    _Cause(Outcome.RETRY, "", rf"{GREYLISTING.pattern}|try (again|later)|too many connections"),
    _Cause(Outcome.SLOW_DOWN, "", r"rate.?limit|throttl|sending rate|too many (messages|emails)"),
    _Cause(
        Outcome.WAIT,
        "rejects this machine's address, send through a provider with a login, or get it off the blocklist and set its "
        "reverse DNS",
        r"block.?list|black.?list|deny.?list|\b(dns|r)bl\b|spamhaus|spamcop|barracuda|blocked using|\bptr\b"
        r"|reverse (dns|host)|client host|(poor|bad|ip) reputation|permanently deferred|no smtp service"
        r"|\bip( address)?\b.{0,30}(block|listed|denied|reject|not (allowed|authori[sz]ed|accepted))"
        r"|unauthori[sz]ed ip|(from|to) this ip\b",
        "7.25 7.708",
    ),
    _Cause(Outcome.FAIL, "", r"message (size|is too|too)|too (large|big)|size (limit|exceed)", "3.4 2.3"),
    _Cause(
        Outcome.RETRY,
        "",
        r"(mail|in)box (is )?full|full mailbox|over.?quota|quota (is )?(exceeded|full)"
        r"|exceeded (its |the )?(storage|quota)|storage allocation"
        r"|(out of|insufficient|not enough) (system |disk )?(storage|space)",
        "2.2 3.1",
    ),
    _Cause(
        Outcome.FAIL,
        "",
        r"\bspam|virus|malware|phish|unsolicited|\bcontent\b|attachment|blocked file|suspicious|message format",
        "6.0 6.1 6.2 6.3 6.5 6.7",
    ),
)
