"""What local_run.sh starts on a machine without Docker, and how: ``python -m local start|stop|status|logs|reset``.

supervisord starts each part again when it dies; the modules here decide what runs (services.py), in which order
(start.py), whether it is really ready (readiness.py) and how nothing is left behind (stop.py, processes.py).
"""
