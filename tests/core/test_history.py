from attnas.core import History, Proposal, Trial, generator


def test_what_was_begun_is_tried_and_what_broke_a_constraint_rejected(architectures):
    trained = Trial(0, architectures[0], 3, "complete", {"accuracy": 0.5})
    ruled_out = Trial(1, architectures[1], 3, "infeasible", violations={"params <= 9": 0.5})
    history = History((trained, ruled_out), (Proposal(architectures[2], 9),), 3)
    first, second, third = architectures[:3]
    assert history.tried == {(first, 3), (second, 3), (third, 9)}
    assert history.rejected == {second}
    assert history.complete == (trained,)


def test_an_architecture_may_be_tried_again_for_other_epochs(architectures):
    history = History((Trial(0, architectures[0], 3, "complete"),), (), 1)
    assert (architectures[0], 9) not in history.tried


def test_what_failed_or_broke_a_bound_after_training_is_not_rejected(architectures):
    failed = Trial(0, architectures[0], 3, "failed", reason="diverged")
    broken = Trial(1, architectures[1], 3, "complete", violations={"accuracy >= 0.9": 0.1})
    history = History((failed, broken), (), 2)
    assert history.rejected == frozenset()
    assert history.complete == (broken,)


def test_random_numbers_come_from_the_seed_and_the_number_alone(architectures):
    trained = Trial(0, architectures[0], 3, "complete")
    first = generator(5, History((), (), 7)).random(3).tolist()
    assert generator(5, History((trained,), (), 7)).random(3).tolist() == first
    assert generator(5, History((), (), 8)).random(3).tolist() != first
    assert generator(6, History((), (), 7)).random(3).tolist() != first
