"""Runs the stack on a machine without Docker: ``python -m local start|stop|status|logs|reset``; see local_run.sh.

supervisord restarts services that exit. The modules here decide what runs (services.py, stack.py), in which order
(start.py), when a service is ready (readiness.py), and how to leave no process behind (stop.py, processes.py). Docker
uses airflow_database.py, airflow_setup.py, readiness.py and healthcheck.py, too.
"""
