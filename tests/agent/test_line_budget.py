from gossip.agent.line_budget import LINES_PER_KIND, LINES_PER_MEMBER, PERIOD, LineBudget, Withheld


def admitted(budget, lines, kind="member failed", member="web-1"):
    return sum(budget.admit(kind, member) for _ in range(lines))


def test_lines_about_one_member_are_bounded_per_kind():
    budget = LineBudget()
    assert admitted(budget, LINES_PER_MEMBER) == LINES_PER_MEMBER
    assert admitted(budget, 1) == 0
    assert admitted(budget, 1, kind="member joined") == 1
    assert admitted(budget, 1, member="web-2") == 1
    assert budget.withheld == 1


def test_the_end_of_a_period_says_what_was_withheld_and_admits_again():
    budget = LineBudget()
    assert budget.end_period(0.0) == []
    admitted(budget, LINES_PER_MEMBER + 3)
    admitted(budget, LINES_PER_MEMBER, member="web-2")
    assert budget.end_period(PERIOD - 0.1) == []
    assert budget.end_period(PERIOD) == [Withheld("member failed", "web-1", 3)]
    assert admitted(budget, 1) == 1
    assert budget.end_period(2 * PERIOD) == []


def test_lines_of_one_kind_are_bounded_over_all_members_and_share_one_sum():
    budget = LineBudget()
    budget.end_period(0.0)
    assert sum(budget.admit("member joined", f"m{n}") for n in range(LINES_PER_KIND + 7)) == LINES_PER_KIND
    assert budget.admit("member joined", "m0")  # known: it has a budget of its own
    assert budget.admit("member failed", "m0")
    assert len(budget._counts) == LINES_PER_KIND + 2
    assert budget.end_period(PERIOD) == [Withheld("member joined", "", 7)]
