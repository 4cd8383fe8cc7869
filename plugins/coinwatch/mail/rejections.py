"""Rejections of one run, held back until it is clear whether the emails or our configuration cause them."""

from coinwatch.errors import EmailError, PermanentEmailError, SenderRejected, TemporaryEmailError
from coinwatch.logs import without_addresses
from coinwatch.mail.replies import GREYLISTING
from coinwatch.notifications.claims import ClaimedEmail

ALIKE = 3  # equal rejections in a row, without an acceptance: the others would be rejected, too

Rejected = tuple[ClaimedEmail, EmailError]


class Rejections:
    """Decides what becomes of rejected emails; each method returns those to record now.

    Once the server has accepted an email, each rejection is about its own email. Before that, an email that fails for
    good is held back, because the next ones may be rejected alike: then ``stopped_by`` is set, the emails that were
    tried are retried later, and the rest waits. An email rejected because of our configuration waits, without counting
    an attempt, as long as nothing was accepted.
    """

    def __init__(self) -> None:
        self._accepted = False
        self._alike: list[Rejected] = []
        self._ours: list[Rejected] = []
        self.stopped_by: EmailError | None = None

    def accept(self) -> list[Rejected]:
        """The server accepted an email."""
        held = [*self._take_permanent(), *self._ours]
        self._accepted, self._ours = True, []
        return held

    def add(self, claimed: ClaimedEmail, error: EmailError) -> list[Rejected]:
        """The server rejected an email."""
        if self._accepted:
            return [(claimed, error)]
        different = self._take_permanent() if not self._is_alike(error) else []
        self._alike.append((claimed, error))
        if isinstance(error, SenderRejected):
            self._ours.append((claimed, error))
        temporary = not isinstance(error, (PermanentEmailError, SenderRejected))
        if len(self._alike) >= ALIKE and not GREYLISTING.search(str(error)):
            permanent = self._take_permanent()
            self.stopped_by = TemporaryEmailError(f"all emails are rejected alike: {error}") if permanent else error
            return [(email, self.stopped_by) for email, _ in permanent] or ([(claimed, error)] if temporary else [])
        return [*different, (claimed, error)] if temporary else different

    def settle(self) -> list[Rejected]:
        """There are no more emails, and too few were rejected to blame anything but themselves."""
        return self._take_permanent()

    def take_waiting(self) -> EmailError | None:
        """The last rejection because of our configuration, if nothing was accepted and emails wait for that reason."""
        ours, self._ours = self._ours, []
        return ours[-1][1] if ours else None

    def _take_permanent(self) -> list[Rejected]:
        held = [rejected for rejected in self._alike if isinstance(rejected[1], PermanentEmailError)]
        self._alike = []
        return held

    def _is_alike(self, error: EmailError) -> bool:
        return not self._alike or _pattern(error) == _pattern(self._alike[0][1])


def _pattern(error: EmailError) -> tuple[type[EmailError], str]:
    """What equal rejections have in common: not the addresses, codes and ids in them."""
    words = without_addresses(str(error)).split()
    return type(error), " ".join(word for word in words if not any(character.isdigit() for character in word))
