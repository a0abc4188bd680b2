def test_it_ignores_the_scores(simulation):
    space = simulation.space_of(5, 5, 5)

    def other(architecture, number, epochs):
        return simulation.scored(architecture, number, epochs, bound=2.0)

    strategy = simulation.make("random", space)
    first, second = (
        [t.architecture for t in simulation.simulate(strategy, 40, *evaluate)]
        for evaluate in ((), (other,))
    )
    assert first == second
