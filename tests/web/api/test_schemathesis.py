"""Schemathesis sends generated requests and checks the responses against the OpenAPI description."""

import pyarrow.parquet  # noqa: F401  so that the first response in this format doesn't wait for it
import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from tests.web.seed import NOW, TOKEN, web_settings

STREAM = "/api/v1/stream"  # events without end
MAX_SECONDS = 10  # on a busy machine
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def described(market: None, engine: sa.Engine) -> BaseSchema:
    """The description of an app without quotas, on the seeded market."""
    refresh_candles(engine)
    configured = web_settings(requests_per_minute=0)
    identify = identify_by_token(lambda: configured)
    app = create_app(lambda: engine, lambda: configured, identify=identify, inside_airflow=False, clock=lambda: NOW)
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_responses_are_as_described(described: BaseSchema) -> None:
    operations = [result.ok() for result in described.get_all_operations() if result.ok().path != STREAM]
    assert len(operations) > 30
    for operation in operations:

        @settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Case) -> None:
            for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
                response = case.call(headers=headers)
                case.validate_response(response, checks=CHECKS)
                assert response.elapsed < MAX_SECONDS, case.as_curl_command()

        check()
