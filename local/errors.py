"""What goes wrong with the local stack, as one sentence that says what to do."""


class StackError(Exception):
    """Stops a command; its text is shown to the person as it is, without a traceback."""


class DiskFull(StackError):
    """There is too little room, or a write failed for want of it."""
