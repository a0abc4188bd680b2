from attnas.core import History, Proposal, generator


def test_what_was_begun_is_tried_and_what_broke_a_constraint_rejected(simulation):
    space = simulation.space_of(3, 3)
    trained = simulation.scored(space.at(0), 0)
    ruled_out = simulation.scored(space.at(1), 1, bound=0.5)
    history = History((trained, ruled_out), (Proposal(space.at(2), 9),), 3)
    assert history.tried == {(space.at(0), 3), (space.at(1), 3), (space.at(2), 9)}
    assert history.rejected == {space.at(1)}
    assert history.complete == (trained,)


def test_random_numbers_come_from_the_seed_and_the_number_alone(simulation):
    trained = simulation.scored(simulation.space_of(3).at(0), 0)
    first = generator(5, History((), (), 7)).random(3).tolist()
    assert generator(5, History((trained,), (), 7)).random(3).tolist() == first
    assert generator(5, History((), (), 8)).random(3).tolist() != first
    assert generator(6, History((), (), 7)).random(3).tolist() != first
