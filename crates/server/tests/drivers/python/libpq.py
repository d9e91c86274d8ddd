"""libpq itself, as psycopg's wheel brings it: protocol 3.2, pipelining by hand, single rows, statements by name, cancel."""

import select
import time

from psycopg import pq
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus


def main():
    connection = connect()
    pipeline(connection)
    failing_pipeline(connection)
    prepared_in_pipeline(connection)
    single_rows(connection)
    cancelled(connection)
    connection.finish()
    versions()


def connect(words=b""):
    connection = pq.PGconn.connect(words)
    if connection.status != pq.ConnStatus.OK:
        raise SystemExit(connection.get_error_message())
    return connection


def drain(connection, syncs):
    """The results of a pipeline up to so many syncs, each as a word."""
    connection.nonblocking = 1
    said = []
    while syncs:
        ready = select.POLLOUT if connection.flush() else 0
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN | ready)
        poll.poll(20_000)
        connection.consume_input()
        while not connection.is_busy():
            result = connection.get_result()
            if result is None:
                # Between two queries; nothing at all when there is nothing to come yet.
                if connection.is_busy() or (result := connection.get_result()) is None:
                    break
            said.append(word(result))
            if result.status == ExecStatus.PIPELINE_SYNC:
                syncs -= 1
                if not syncs:
                    break
    connection.nonblocking = 0
    return said


def word(result):
    match ExecStatus(result.status):
        case ExecStatus.TUPLES_OK | ExecStatus.SINGLE_TUPLE:
            rows = [(result.get_value(row, 0) or b"NULL").decode() for row in range(result.ntuples)]
            return ",".join(rows) or "no rows"
        case ExecStatus.FATAL_ERROR:
            return result.error_field(pq.DiagnosticField.SQLSTATE).decode()
        case other:
            return (result.command_status or b"").decode() or other.name.lower()


def pipeline(connection):
    connection.enter_pipeline_mode()
    for turn in range(50):
        connection.send_query_params(b"SELECT $1::int * 2", [str(turn).encode()])
        if turn % 10 == 9:
            connection.pipeline_sync()
    said = drain(connection, 5)
    connection.exit_pipeline_mode()
    print("pipeline:", *said)


def failing_pipeline(connection):
    """What follows an error up to the sync is skipped; what follows the sync is not."""
    connection.enter_pipeline_mode()
    for text in (b"BEGIN", b"SELECT 1", b"SELECT 1/0", b"SELECT 2"):
        connection.send_query_params(text, [])
    connection.pipeline_sync()
    for text in (b"SELECT 3", b"ROLLBACK", b"SELECT 4"):
        connection.send_query_params(text, [])
        connection.pipeline_sync()
    said = drain(connection, 4)
    status = PipelineStatus(connection.pipeline_status).name
    connection.exit_pipeline_mode()
    idle = TransactionStatus(connection.transaction_status).name
    print("failing pipeline:", *said, status, idle)


def prepared_in_pipeline(connection):
    connection.enter_pipeline_mode()
    connection.send_prepare(b"sum", b"SELECT $1::int + $2::int")
    for turn in range(5):
        connection.send_query_prepared(b"sum", [str(turn).encode(), b"1"])
    connection.send_describe_prepared(b"sum")
    connection.pipeline_sync()
    said = drain(connection, 1)
    connection.exit_pipeline_mode()
    again = word(connection.exec_prepared(b"sum", [b"20", b"22"]))
    connection.exec_(b"DEALLOCATE sum")
    gone = word(connection.exec_prepared(b"sum", [b"20", b"22"]))
    print("prepared in a pipeline:", *said, "again", again, "gone", gone)


def single_rows(connection):
    connection.send_query_params(b"SELECT generate_series(1, 5)", [])
    connection.set_single_row_mode()
    said = []
    while result := connection.get_result():
        said.append(word(result))
    print("single rows:", *said)


def cancelled(connection):
    connection.send_query(b"SELECT pg_sleep(60)")
    # A request that comes before the statement does nothing, so it is made until the statement ends.
    while connection.is_busy():
        time.sleep(0.05)
        handle = connection.cancel_conn()
        handle.start()
        while handle.poll() not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
            time.sleep(0.005)
        handle.finish()
        time.sleep(0.05)
        connection.consume_input()
    print("cancel:", word(connection.get_result()))
    while connection.get_result():
        pass
    # A late request may hit one more.
    connection.exec_(b"SELECT pg_sleep(0.1)")
    print("after it:", word(connection.exec_(b"SELECT 1")))


def versions():
    """The protocol's oldest version of today, and the newest that both sides have."""
    for words in (b"max_protocol_version=3.0", b"max_protocol_version=latest"):
        connection = connect(words)
        print("in with", words.decode(), word(connection.exec_(b"SELECT 1")))
        cancelled(connection)
        connection.finish()


main()
