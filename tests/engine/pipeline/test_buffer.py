"""The buffers are bounded, in order, and exact about what they refuse."""

from concurrent.futures import ThreadPoolExecutor

from homeiq_engine.pipeline import EventBuffer, LogBuffer


def _buffer(limit: int, wake_at: int = 1000) -> tuple[EventBuffer, list[int]]:
    woken: list[int] = []
    buffer: EventBuffer = EventBuffer(limit, wake_at=wake_at, wake=lambda: woken.append(len(buffer)))
    return buffer, woken


def test_items_come_out_in_the_order_they_went_in() -> None:
    """In portions too, and taking more than there is gives what there is."""
    buffer, _ = _buffer(10)
    for number in range(7):
        buffer.offer(number)

    assert (buffer.take(3), buffer.take(0), buffer.take(99), buffer.take(1)) == ([0, 1, 2], [], [3, 4, 5, 6], [])


def test_a_full_buffer_drops_the_newest_and_counts_it() -> None:
    """What was there first stays; every refused item is counted once; room is used again."""
    buffer, _ = _buffer(3)
    for number in range(10):
        buffer.offer(number)
    taken = buffer.take(2)
    buffer.offer(10)

    assert (taken, buffer.take(9), buffer.lost, buffer.received) == ([0, 1], [2, 10], 7, 4)


def test_the_writer_is_woken_when_a_batch_is_full() -> None:
    """At the item that fills the batch, once, and again after it was emptied."""
    buffer, woken = _buffer(100, wake_at=5)
    for number in range(12):
        buffer.offer(number)
    buffer.take(12)
    for number in range(5):
        buffer.offer(number)

    assert woken == [5, 5]


def test_log_records_come_from_any_thread() -> None:
    """Nothing is lost uncounted and nothing is twice, however many threads log at once."""
    logs = LogBuffer(2000)
    taken: list[object] = []
    lost = 0

    def log(thread: int) -> None:
        for number in range(500):
            logs.offer((thread, number))

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(log, thread) for thread in range(8)]
        for _ in range(50):
            items, dropped = logs.take()
            taken += items
            lost += dropped
        for one in done:
            one.result()
    items, dropped = logs.take()
    taken += items
    lost += dropped

    assert len(taken) + lost == 4000
    assert len(set(taken)) == len(taken)
    assert logs.take() == ([], 0)


def test_a_full_log_buffer_counts_what_it_drops() -> None:
    """The first records are kept, the count is given once."""
    logs = LogBuffer(3)
    for number in range(5):
        logs.offer(number)

    assert (len(logs), logs.take(), logs.take()) == (3, ([0, 1, 2], 2), ([], 0))
