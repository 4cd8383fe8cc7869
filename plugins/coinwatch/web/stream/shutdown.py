"""Whether the server is shutting down, which it doesn't tell apps while responses are being sent."""

import signal


def server_is_stopping() -> bool:
    """Whether the uvicorn server of this process has been asked to stop.

    Its signal handler is a method of the server. uvicorn waits for open responses, in Airflow's API server for up to
    two minutes, so a stream has to look.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))
