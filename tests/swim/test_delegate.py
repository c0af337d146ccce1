from gossip.swim.delegate import Delegate
from gossip.wire.messages import MemberState, UserMessage
from tests.swim.rig import Layer, Rig, alive, row


def test_a_layer_needs_nothing_but_the_delegates_methods():
    methods = {name for name in vars(Delegate) if not name.startswith("_")}
    assert methods == {name for name in vars(Layer) if not name.startswith("_")}


def test_the_layer_above_hears_a_members_whole_life_in_order():
    rig = Rig()
    rig.hear(alive("n1"))
    rig.hear(alive("n1", 2, meta=b"new"))
    rig.suspect("n1", "n2", incarnation=2)
    rig.hear(alive("n1", 3))
    rig.bury("n1", "n2", incarnation=3)
    rig.hear(alive("n1", 4))
    assert rig.layer.heard == [
        ("joined", "n1"),
        ("updated", "n1"),
        ("suspected", "n1", "n2"),
        ("refuted", "n1"),
        ("updated", "n1"),
        ("gone", "n1"),
        ("joined", "n1"),
    ]


def test_a_refutation_with_other_metadata_is_both_a_refutation_and_an_update():
    rig = Rig(members=["n1"])
    rig.suspect("n1")
    rig.forget()
    rig.hear(alive("n1", 2, meta=b"new"))
    assert rig.layer.heard == [("refuted", "n1"), ("updated", "n1")]


def test_the_layer_hears_of_a_change_when_it_is_in_the_table():
    states = []

    class Reader(Layer):
        def member_gone(self, member, evidence, now):
            states.append(member.state)

    rig = Rig(layer=Reader())
    rig.merge(row("n1"), row("n1", state=MemberState.LEFT))
    assert states == [MemberState.LEFT]


def test_a_user_message_goes_to_the_layer():
    rig = Rig()
    rig.hear(UserMessage(b"hello"))
    assert rig.layer.heard == [("message", "hello")]


def test_the_layers_state_travels_with_a_push_pull():
    assert Rig().node.local_state(join=False).user_state == b"state above"
