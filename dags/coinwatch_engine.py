"""The database engine of DAG tasks, from Airflow's connection ``coinwatch`` (Admin > Connections).

``local_run.sh`` and ``docker_run.sh`` create the connection. Outside Airflow, the engine comes from
COINWATCH_DATABASE_URL instead (``coinwatch.database.get_engine``).
"""

from functools import lru_cache

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy import Engine

from coinwatch.database import create_engine
from coinwatch.errors import ConfigurationError

CONNECTION_ID = "coinwatch"


def get_engine() -> Engine:
    """The engine for the connection ``coinwatch``; one per process as long as the connection stays the same.

    Pool, driver and session options are those of ``coinwatch.database.create_engine``. The connection's extras, such
    as ``sslmode``, are passed on to Postgres.

    Raises ConfigurationError if the connection is missing, is not a Postgres connection, or lacks a host or database.
    """
    hook = PostgresHook(postgres_conn_id=CONNECTION_ID)
    try:
        connection = hook.connection
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"The Airflow connection {CONNECTION_ID} does not exist. Add it under Admin > Connections with the type "
            "Postgres, or restart the stack, which creates it."
        ) from None
    if connection.conn_type != PostgresHook.conn_type:
        raise ConfigurationError(
            f"The Airflow connection {CONNECTION_ID} has the type {connection.conn_type}; coinwatch needs Postgres. "
            "Change it under Admin > Connections."
        )
    for field, value in {"host": connection.host, "database": connection.schema}.items():
        if not value:
            raise ConfigurationError(
                f"The Airflow connection {CONNECTION_ID} has no {field}. Set it under Admin > Connections."
            )
    extras = {
        name: str(value) for name, value in connection.extra_dejson.items() if name not in hook.ignored_extra_options
    }
    url = hook.sqlalchemy_url.update_query_dict(extras)
    return _engine(url.render_as_string(hide_password=False))


@lru_cache(maxsize=1)
def _engine(url: str) -> Engine:
    return create_engine(url)
