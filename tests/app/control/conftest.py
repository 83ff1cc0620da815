"""A real PostgreSQL server, as the tests of the state have it."""

from tests.state.conftest import postgres_port as postgres_port
from tests.state.conftest import postgres_url as postgres_url
