"""The view of executions, recorded and failed ones, and what can be asked of it (contract "001")."""

from read_side.execution.queries import Executed, Executions
from read_side.execution.rendering import execution_json, failed_json, shown
from read_side.execution.rows import (
    COUNT_KEY,
    EXECUTIONS,
    CountRow,
    ExecutionRow,
    ExecutionsRow,
    FailedRow,
    execution_key,
    failed_key,
)

__all__ = [
    "COUNT_KEY",
    "EXECUTIONS",
    "CountRow",
    "Executed",
    "ExecutionRow",
    "Executions",
    "ExecutionsRow",
    "FailedRow",
    "execution_json",
    "execution_key",
    "failed_json",
    "failed_key",
    "shown",
]
