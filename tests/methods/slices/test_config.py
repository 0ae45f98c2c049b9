"""Settings of the slices method: a network alone brings the defaults that belong to it."""

import pytest

from napari_weak3d.errors import ConfigError
from napari_weak3d.methods.slices.config import Network, SlicesConfig


def size(config):
    return config.network, config.width, config.members


@pytest.mark.parametrize("network", ["paper", Network.PAPER])
def test_the_papers_network_alone_is_as_the_paper_has_it(network):
    assert size(SlicesConfig.from_settings({"network": network})) == (Network.PAPER, 32, 1)


def test_what_is_said_wins_over_the_preset():
    config = SlicesConfig.from_settings({"network": "paper", "width": 8})
    assert size(config) == (Network.PAPER, 8, 1)
    assert size(config.with_settings({"members": 2})) == (Network.PAPER, 8, 2)


def test_the_planar_network_keeps_the_defaults():
    assert SlicesConfig.from_settings({"network": "planar"}) == SlicesConfig()


@pytest.mark.parametrize("network", ["papers", ["paper"], None])
def test_another_network_is_refused(network):
    with pytest.raises(ConfigError, match="setting network"):
        SlicesConfig.from_settings({"network": network})


def test_a_saved_config_is_read_back_as_it_was():
    config = SlicesConfig.from_settings({"network": "paper", "width": 16})
    assert SlicesConfig.from_settings(config.model_dump(mode="json")) == config
