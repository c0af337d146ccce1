from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.dissemination import COMPOUND_ENTRY_BYTES, BroadcastQueue

PACKET = 1398
LONGEST = PACKET - COMPOUND_ENTRY_BYTES
OFTEN = 99


def queue(max_depth: int = 100) -> tuple[BroadcastQueue, list[int]]:
    finished: list[int] = []
    return BroadcastQueue(max_depth, LONGEST, finished), finished


def test_an_empty_queue_has_nothing_to_send():
    assert queue()[0].take(PACKET, OFTEN) == []


def test_a_broadcast_is_sent_until_the_limit_and_then_forgotten():
    waiting, finished = queue()
    waiting.enqueue(b"x", token=7)
    assert [waiting.take(PACKET, 3) for _ in range(4)] == [[b"x"], [b"x"], [b"x"], []]
    assert finished == [7]
    assert len(waiting) == 0


def test_a_broadcast_sent_more_often_than_a_smaller_cluster_needs_is_forgotten():
    waiting, finished = queue()
    waiting.enqueue(b"x", token=7)
    for _ in range(3):
        waiting.take(PACKET, OFTEN)
    assert waiting.take(PACKET, 2) == [b"x"]
    assert finished == [7]
    assert len(waiting) == 0


def test_a_broadcast_is_at_most_once_in_a_packet():
    waiting, _ = queue()
    waiting.enqueue(b"x")
    assert waiting.take(PACKET, OFTEN) == [b"x"]


def test_fewest_transmissions_go_first():
    waiting, _ = queue()
    waiting.enqueue(b"long but sent before")
    waiting.take(PACKET, OFTEN)
    waiting.enqueue(b"new")
    assert waiting.take(PACKET, OFTEN) == [b"new", b"long but sent before"]


def test_among_equally_often_sent_the_longest_that_fits_goes_first():
    waiting, _ = queue()
    for data in (b"1", b"4444", b"22", b"7777777"):
        waiting.enqueue(data)
    assert waiting.take(8, OFTEN) == [b"4444"]


def test_among_equally_long_the_newest_goes_first():
    waiting, _ = queue()
    for data in (b"a", b"b", b"c"):
        waiting.enqueue(data)
    assert waiting.take(PACKET, OFTEN) == [b"c", b"b", b"a"]
    assert waiting.take(PACKET, OFTEN) == [b"c", b"b", b"a"]


def test_the_newest_goes_first_however_it_came_to_its_number_of_transmissions():
    waiting, _ = queue()
    waiting.enqueue(b"older")
    waiting.enqueue(b"newer")
    assert waiting.take(5 + COMPOUND_ENTRY_BYTES, OFTEN) == [b"newer"]
    assert waiting.take(5 + COMPOUND_ENTRY_BYTES, OFTEN) == [b"older"]
    assert waiting.take(PACKET, OFTEN) == [b"newer", b"older"]


def test_a_claim_replaces_the_queued_one_under_the_same_key():
    waiting, finished = queue()
    waiting.enqueue(b"alive n1", key="n1", token=1)
    waiting.enqueue(b"alive n2", key="n2", token=2)
    waiting.enqueue(b"dead n1", key="n1", token=3)
    assert finished == [1]
    assert waiting.take(PACKET, OFTEN) == [b"alive n2", b"dead n1"]


def test_a_claim_replaces_one_that_was_sent_before():
    waiting, _ = queue()
    waiting.enqueue(b"alive n1", key="n1")
    waiting.take(PACKET, OFTEN)
    waiting.enqueue(b"dead n1", key="n1")
    assert waiting.take(PACKET, OFTEN) == [b"dead n1"]


def test_a_key_is_free_again_when_its_claim_is_finished():
    waiting, finished = queue()
    waiting.enqueue(b"alive", key="n1", token=1)
    waiting.take(PACKET, 1)
    waiting.enqueue(b"dead", key="n1", token=2)
    assert finished == [1]
    assert waiting.take(PACKET, OFTEN) == [b"dead"]


def test_broadcasts_without_key_never_replace_each_other():
    waiting, _ = queue()
    waiting.enqueue(b"event")
    waiting.enqueue(b"event")
    assert len(waiting) == 2


def test_a_broadcast_that_just_fits_into_a_packet_is_queued():
    waiting, _ = queue()
    waiting.enqueue(bytes(LONGEST))
    assert waiting.take(PACKET, OFTEN) == [bytes(LONGEST)]


def test_a_broadcast_one_byte_too_long_for_any_packet_is_finished_at_once():
    waiting, finished = queue()
    waiting.enqueue(b"queued", key="n1")
    waiting.enqueue(bytes(LONGEST + 1), key="n1", token=5)
    assert finished == [5]
    assert len(waiting) == 0


def test_127_parts_fill_a_packet_whatever_room_is_left():
    waiting, _ = queue(128)
    for _ in range(128):
        waiting.enqueue(b"x")
    assert len(waiting.take(PACKET, OFTEN)) == 127


def test_at_the_depth_limit_nothing_is_dropped():
    waiting, finished = queue(3)
    for token in (1, 2, 3):
        waiting.enqueue(b"x", token=token)
    assert len(waiting) == 3
    assert finished == []
    assert waiting.dropped == 0


def test_a_large_depth_is_kept_to_the_last_broadcast():
    waiting, _ = queue(1000)
    for number in range(1500):
        waiting.enqueue(b"x", key=str(number))
    assert len(waiting) == 1000


def test_one_above_the_depth_limit_the_oldest_makes_room():
    waiting, finished = queue(3)
    for token in (1, 2, 3, 4):
        waiting.enqueue(b"x", token=token)
    assert len(waiting) == 3
    assert finished == [1]
    assert waiting.dropped == 1


def test_sent_replaced_and_discarded_broadcasts_do_not_count_as_dropped():
    waiting, finished = queue(2)
    waiting.enqueue(b"x", key="n1", token=1)
    waiting.enqueue(b"y", token=2)
    waiting.enqueue(b"z", key="n1", token=3)
    waiting.discard("n1")
    assert waiting.take(1 + COMPOUND_ENTRY_BYTES, 1) == [b"y"]
    waiting.enqueue(bytes(LONGEST + 1), token=4)
    assert finished == [1, 3, 2, 4]
    assert waiting.dropped == 0


def test_the_broadcast_to_drop_is_one_that_is_still_queued():
    waiting, finished = queue(3)
    waiting.enqueue(b"long long", token=1)
    waiting.enqueue(b"x", key="n1", token=2)
    assert waiting.take(1 + COMPOUND_ENTRY_BYTES, 1) == [b"x"]
    for token in (3, 4, 5):
        waiting.enqueue(b"medium", token=token)
    waiting.enqueue(b"y", key="n1", token=6)
    waiting.enqueue(b"another", key="n1", token=7)
    waiting.enqueue(b"medium", token=8)
    assert finished == [2, 3, 4, 6, 5]


def test_the_most_sent_broadcast_makes_room_before_an_older_one():
    waiting, finished = queue(2)
    waiting.enqueue(b"old", token=1)
    waiting.enqueue(b"young", token=2)
    waiting.take(5 + COMPOUND_ENTRY_BYTES, OFTEN)
    waiting.enqueue(b"new", token=3)
    assert finished == [2]


@dataclass
class Model:
    """A model of the queue, written without any care for speed."""

    finished: list[int] = field(default_factory=list)
    items: list[list] = field(default_factory=list)  # transmits, data, key, token; oldest first

    def enqueue(self, data: bytes, key: str | None, token: int, depth: int) -> None:
        for item in [i for i in self.items if key is not None and i[2] == key]:
            self.items.remove(item)
            self.finished.append(item[3])
        if len(self.items) >= depth:
            spared = max(self.items, key=lambda i: (i[0], -len(i[1])))
            self.items.remove(spared)
            self.finished.append(spared[3])
        self.items.append([0, data, key, token])

    def take(self, budget: int, limit: int, room: int) -> list[bytes]:
        newest_first = self.items[::-1]
        taken = []
        for item in sorted(newest_first, key=lambda i: (i[0], -len(i[1]))):
            if len(taken) < room and len(item[1]) + COMPOUND_ENTRY_BYTES <= budget:
                budget -= len(item[1]) + COMPOUND_ENTRY_BYTES
                taken.append(item)
        for item in taken:
            item[0] += 1
            if item[0] >= limit:
                self.items.remove(item)
                self.finished.append(item[3])
        return [item[1] for item in taken]


ENQUEUE = st.tuples(st.integers(0, 12), st.none() | st.sampled_from("abc"))
TAKE = st.tuples(st.integers(-5, 60), st.integers(1, 4), st.integers(0, 6))


@given(st.lists(st.one_of(ENQUEUE.map(lambda e: ("enqueue", *e)), TAKE.map(lambda t: ("take", *t)))))
def test_the_queue_does_what_its_model_does(steps):
    waiting, finished = queue(8)
    model = Model()
    for token, step in enumerate(steps, 1):
        match step:
            case ("enqueue", length, key):
                data = token.to_bytes(2, "big") + bytes(length)
                waiting.enqueue(data, key=key, token=token)
                model.enqueue(data, key, token, 8)
            case ("take", budget, limit, room):
                parts = waiting.take(budget, limit, room)
                assert parts == model.take(budget, limit, room)
                assert sum(len(part) + COMPOUND_ENTRY_BYTES for part in parts) <= max(budget, 0)
                assert len(parts) <= room
        assert len(waiting) == len(model.items) <= 8
        assert finished == model.finished


def test_a_discarded_broadcast_is_finished_and_never_sent():
    waiting, finished = queue()
    waiting.enqueue(b"x", key="n1", token=7)
    waiting.discard("n1")
    waiting.discard("n1")
    assert waiting.take(PACKET, OFTEN) == []
    assert finished == [7]
