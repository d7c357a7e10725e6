"""The tables of the embedded engine, in memory."""

import sqlite3
from contextlib import closing

import pytest

from imagemill.jobs.embedded import schema


@pytest.fixture
def db():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for statement in (statement for step in schema.STEPS for statement in step):
            db.execute(statement)
        yield db
