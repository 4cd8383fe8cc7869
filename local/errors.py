"""Errors of the local stack. Their text is one sentence that says what to do."""


class StackError(Exception):
    """Ends a command; its text is shown to the user without a traceback."""


class DiskFull(StackError):
    """There is too little disk space."""
