"""Networks from files find and match features; here untrained ones, for weights are the caller's."""

import pickle

import cv2
import numpy as np
import pytest
from seeded_networks import disk, keynet, onnx, saved, torch_and_kornia, weights_of

from geoloc.errors import InputError, UnknownNameError
from geoloc.features.extraction import extract
from geoloc.features.learned import load_weights
from geoloc.features.learned_matching import _plain, match_loftr
from geoloc.features.local import ExtractionOptions
from geoloc.features.matching import MatchingOptions, match


def picture(rng, size=(160, 128)) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(size=size[::-1]), (0, 0), 2.0)
    return np.clip(128 + 100 * noise / np.abs(noise).max(), 0, 255).astype(np.uint8)


def found_by(name, weights, image, **options):
    return extract(image, name, ExtractionOptions(weights=str(weights), **options))


def test_a_shifted_picture_gives_shifted_features(rng, tmp_path):
    """A convolution knows no places: 32 px aside the same features lie 32 px aside, with the same descriptors."""
    big = picture(rng, (256, 160))
    for name, weights in (("disk", disk(tmp_path)), ("onnx", onnx(tmp_path))):
        a, b = found_by(name, weights, big[:, :224]), found_by(name, weights, big[:, 32:])
        # middles of both, away from the edges that a network of five halvings sees
        inner = (a.pixels > [100, 50]).all(axis=1) & (a.pixels < [140, 110]).all(axis=1)
        away = np.linalg.norm(a.pixels[inner, None] - [32, 0] - b.pixels[None], axis=2)
        assert inner.sum() > 3
        assert (away.min(axis=1) < 0.01).mean() > (0.9 if name == "onnx" else 0.5)  # DISK normalises over the image


def test_onnx_takes_a_size_of_its_own_and_colours(rng, tmp_path):
    image = picture(rng, (320, 256))
    found = found_by("onnx", onnx(tmp_path, (160, 128), 3), image)
    assert len(found) == 20 * 16
    assert found.pixels.min() == pytest.approx(0.5)  # the first pixel of the half is the middle of four
    assert found.pixels.max(axis=0) == pytest.approx([2 * 152 + 0.5, 2 * 120 + 0.5])
    whole = found_by("onnx", onnx(tmp_path), image)
    assert whole.extractor != found.extractor
    with pytest.raises(InputError, match="cannot be matched"):
        match(whole, found)


def test_keynet_without_an_orientation_is_upright(rng, tmp_path):
    image = picture(rng)
    upright = found_by("keynet", keynet(tmp_path, turned=False), image, max_features=50)
    assert (np.abs(upright.angle) < 1e-6).all()
    turned = found_by("keynet", keynet(tmp_path), image, max_features=50)
    assert np.ptp(turned.angle) > 0.1
    assert upright.extractor.endswith("upright") != turned.extractor.endswith("upright")


@pytest.mark.parametrize("name", ["disk", "keynet", "onnx"])
def test_wrong_files_are_refused_by_name(name, rng, tmp_path):
    image = picture(rng)
    with pytest.raises(InputError, match=f"'{name}'.*not part of geoloc"):
        found_by(name, "", image)
    with pytest.raises(InputError, match=r"there is no such file|no folder"):
        found_by(name, tmp_path / "none", image)
    broken = tmp_path / "broken"
    broken.write_bytes(b"not a network")
    with pytest.raises(InputError, match=r"not a file of weights|not a network|no folder|not installed"):
        found_by(name, broken, image)


def test_weights_of_another_network_are_refused(rng, tmp_path):
    torch, feature = torch_and_kornia()
    hardnet = saved(feature.HardNet(pretrained=False), tmp_path / "hardnet.pth")
    with pytest.raises(InputError, match=r"hardnet\.pth: weights of another network than DISK: .* is missing"):
        found_by("disk", hardnet, picture(rng))
    wide = saved(feature.DISK(64), tmp_path / "wide.pth")
    with pytest.raises(InputError, match="it must be"):
        found_by("disk", wide, picture(rng))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="no named tensors"):
        load_weights(tmp_path / "list.pth")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_pickled_objects_are_never_run(tmp_path, capsys):
    torch_and_kornia()
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"unet.weight": Evil()}))
    with pytest.raises(InputError, match="not a file of weights"):
        load_weights(path)
    assert capsys.readouterr().out == ""


def test_angles_are_as_kornia_has_them(rng, tmp_path):
    _, feature = torch_and_kornia()
    found = found_by("keynet", keynet(tmp_path), picture(rng), max_features=30)
    frames = _plain("keynet", found, (160, 128))["lafs"]
    turn = feature.get_laf_orientation(frames).reshape(-1).numpy()
    away = np.deg2rad(turn) + found.angle
    np.testing.assert_allclose(np.sin(away), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.cos(away), 1.0, atol=1e-5)
    np.testing.assert_allclose(feature.get_laf_scale(frames).reshape(-1).numpy(), 6 * found.scale, rtol=1e-4)
    np.testing.assert_allclose(feature.get_laf_center(frames)[0].numpy(), found.pixels, atol=1e-4)


@pytest.mark.parametrize("name", ["rootsift", "disk", "keynet"])
def test_lightglue_matches_features_of_its_kind(name, rng, tmp_path):
    torch, feature = torch_and_kornia()
    torch.manual_seed(5)
    settings = {"add_scale_ori": name == "rootsift", "add_laf": name == "keynet"}
    network = feature.LightGlue(features=None, input_dim=128, **settings)
    # older files name the layers the other way round
    old = {k.replace("transformers.", "", 1).replace(".self_attn", "").replace(".cross_attn", ""): v
           for k, v in network.state_dict().items() if "transformers" not in k}
    for k, v in network.state_dict().items():
        if k.startswith("transformers."):
            _, layer, part, *rest = k.split(".")
            old[".".join([part, layer, *rest])] = v
    torch.save(old, tmp_path / "lightglue.pth")
    weights = weights_of(name, tmp_path)
    image = picture(rng)
    a, b = (found_by(name, weights, each, max_features=60) for each in (image, image[:, 8:]))
    options = MatchingOptions(max_ratio=1.0, matcher="lightglue", weights=str(tmp_path / "lightglue.pth"))
    found = match(a, b, options, ((160, 128), (152, 128)))
    assert len(np.unique(found.rows_a)) == len(np.unique(found.rows_b)) == len(found)
    assert (np.diff(found.rows_a) > 0).all()
    assert ((found.ratio >= 0) & (found.ratio <= 1)).all()
    assert len(match(a, b.take(np.zeros(0, int)), options)) == 0
    with pytest.raises(InputError, match="needs the file"):
        match(a, b, MatchingOptions(matcher="lightglue"))


def test_loftr_finds_a_picture_in_itself(rng, tmp_path):
    torch, feature = torch_and_kornia()
    torch.manual_seed(3)
    weights = saved(feature.LoFTR(pretrained=None), tmp_path / "loftr.ckpt", "state_dict")
    image = picture(rng, (128, 96))
    found = match_loftr(image, image, str(weights), min_confidence=0.0)
    assert len(found) > 20
    # cells of the grid, whose middles lie half a pixel before the network's
    assert (np.mod(found.pixels_a + 0.5, 8) == 0).all()
    assert np.median(np.abs(found.pixels_b - found.pixels_a)) < 8.0
    with pytest.raises(InputError, match="needs the file"):
        match_loftr(image, image, "")
    with pytest.raises(InputError, match="grey values"):
        match_loftr(image[:4], image, str(weights))


def test_a_matcher_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'lightglue'"):
        MatchingOptions(matcher="lightglu")
