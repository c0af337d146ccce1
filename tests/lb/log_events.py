"""What the load balancer logged, by event."""

import logging

import pytest


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    """Return the records of `event`; its values are attributes."""
    return [record for record in caplog.records if getattr(record, "event", "") == event]


def messages(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """Return what each `event` says."""
    return [record.getMessage() for record in logged(caplog, event)]


def reasons(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """Return why each `event` happened."""
    return [record.reason for record in logged(caplog, event)]
