"""cnn and resnet: what they do with pictures of different sizes, and with what is no picture."""

from __future__ import annotations

import keras
import pytest


@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_a_vector_is_refused_in_one_sentence_that_names_the_shape_and_the_way_out(name, build):
    with pytest.raises(ValueError, match=r"^\w+: .*Received: \(64,\)\. .* use the model mlp\.$"):
        build(name, {}, (64,))


@pytest.mark.parametrize(("side", "pools"), [(1, 0), (3, 0), (4, 1), (8, 2), (28, 3)])
def test_cnn_pools_while_the_picture_is_at_least_four_wide(build, side, pools):
    layers = build("cnn", {"hidden_layers": 3}, (side, side, 1)).layers
    assert sum(isinstance(layer, keras.layers.MaxPooling2D) for layer in layers) == pools


def test_cnn_doubles_its_filters_after_a_pooling(build):
    model = build("cnn", {"hidden_layers": 3, "filters": 8}, (8, 8, 1))
    assert [model.get_layer(f"z{n}").filters for n in (1, 2, 3)] == [8, 16, 32]


def test_resnet_projects_only_where_a_stage_changes_the_shape_and_normalises_it(build):
    model = build("resnet", {}, (8, 8, 1))
    names = {layer.name for layer in model.layers}
    assert "stage1_s_z" not in names
    assert {"stage2_s_z", "stage2_s_norm", "stage3_s_z", "stage3_s_norm"} <= names
    assert model.get_layer("stage2_s_z").kernel.shape == (1, 1, 16, 32)


@pytest.mark.parametrize(("side", "last"), [(1, 1), (3, 3), (8, 2), (28, 7)])
def test_resnet_halves_only_pictures_that_are_large_enough(build, side, last):
    model = build("resnet", {}, (side, side, 1))
    assert model.get_layer("stage3_a").output.shape[1:3] == (last, last)


def test_resnet_has_one_block_a_stage(build):
    sums = [
        layer.name
        for layer in build("resnet", {"hidden_layers": 2}).layers
        if isinstance(layer, keras.layers.Add)
    ]
    assert sums == ["stage1_sum", "stage2_sum"]
