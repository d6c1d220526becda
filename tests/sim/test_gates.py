"""The gates on disturbances for a tenth of the seeds; all of them are the soak's."""

import pytest

from tests.sim.gates import DISTURBANCES, check_disturbance, check_feed_loss, run, tell


@pytest.mark.slow
def test_feed_loss_a_hundred_times() -> None:
    document = run("feed-loss", "--seed", "1", "--runs", "100")
    tell("feed-loss", document)
    check_feed_loss(document)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", DISTURBANCES)
def test_other_disturbances_ten_times(scenario: str) -> None:
    check_disturbance(scenario, run(scenario, "--seed", "1", "--runs", "10"))


@pytest.mark.slow
def test_without_control_the_loss_trips_and_the_static_share_serves_less() -> None:
    off = run("feed-loss", "--control", "off")
    static = run("feed-loss", "--control", "static-75")
    assert off["trips"] > 0
    assert off["unsafe"] > 0
    assert (static["unsafe"], static["trips"]) == (0, 0)
    assert static["energy_kwh"] < run("feed-loss")["energy_kwh"]
