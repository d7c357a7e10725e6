"""Histories of jobs that were under way when the code changed: they go on under the new code."""

import gzip
import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from imagemill.jobs.temporal.payloads import CONVERTER
from imagemill.jobs.temporal.worker import SANDBOX, WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json.gz"))


def _history(path: Path) -> WorkflowHistory:
    recorded = json.loads(gzip.decompress(path.read_bytes()))
    return WorkflowHistory.from_json(recorded["id"], recorded["history"])


def test_every_kind_of_workflow_was_recorded():
    """A workflow without a history could change unseen."""
    started = {
        _history(path).events[0].workflow_execution_started_event_attributes.workflow_type.name for path in HISTORIES
    }

    assert started == {getattr(workflow, "__temporal_workflow_definition").name for workflow in WORKFLOWS}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.name.removesuffix(".json.gz"))
async def test_an_older_history_is_replayed(path):
    """The same commands in the same order; what differs would hold every job of that kind up."""
    replayer = Replayer(workflows=WORKFLOWS, data_converter=CONVERTER, workflow_runner=SANDBOX)

    result = await replayer.replay_workflow(_history(path), raise_on_replay_failure=False)

    assert result.replay_failure is None
