"""What becomes of bands: against scikit-learn, and as properties that hold for every cube."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler, normalize

from softseg.data.cubes.bands import BandsChoice, band_choices, fit_bands, select_bands
from softseg.errors import InputError

PIXELS = np.random.default_rng(0).gamma(2.0, 50.0, (300, 12)).astype(np.float32) @ (
    np.random.default_rng(1).uniform(0, 1, (12, 12)).astype(np.float32)
)
CUBE = PIXELS.T.reshape(12, 1, 15, 20)


@pytest.mark.parametrize("how", ["none", "l1"])
@pytest.mark.parametrize("whiten", [False, True])
def test_the_chain_is_that_of_scikit_learn(how: str, whiten: bool) -> None:
    scaled = normalize(PIXELS.astype(np.float64), "l1") if how == "l1" else PIXELS.astype(np.float64)
    normal = StandardScaler().fit_transform(scaled)
    plain = fit_bands(PIXELS, BandsChoice(per_pixel=how))
    np.testing.assert_allclose(plain.apply(CUBE).reshape(12, -1).T, normal, atol=2e-3)
    reference = PCA(5, whiten=whiten, svd_solver="full").fit(normal)
    fitted = fit_bands(PIXELS, BandsChoice(per_pixel=how, pca=5, whiten=whiten))
    ours, theirs = fitted.apply(CUBE).reshape(5, -1).T, reference.transform(normal)
    theirs = theirs * (np.sqrt(300 / 299) if whiten else 1)  # they divide by n - 1, we by n
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=2e-2)
    np.testing.assert_allclose(fitted.explained, reference.explained_variance_ratio_, atol=1e-5)


def test_signs_of_components_are_fixed() -> None:
    fitted = fit_bands(PIXELS, BandsChoice(pca=12))
    rows = np.asarray(fitted.components)
    assert (rows[np.arange(12), np.abs(rows).argmax(axis=1)] > 0).all()
    upside_down = fit_bands(PIXELS[::-1].copy(), BandsChoice(pca=12))
    np.testing.assert_allclose(rows, upside_down.components, rtol=1e-3, atol=1e-3)


@given(st.floats(0.01, 1000), st.floats(-500, 500), st.integers(0, 299))
@settings(max_examples=40, deadline=None)
def test_snv_does_not_see_gain_and_offset_of_a_pixel(gain: float, offset: float, pixel: int) -> None:
    fitted = fit_bands(PIXELS, BandsChoice(per_pixel="snv"))
    changed = CUBE.astype(np.float64).copy()
    changed.reshape(12, -1)[:, pixel] = changed.reshape(12, -1)[:, pixel] * gain + offset
    np.testing.assert_allclose(fitted.apply(changed.astype(np.float32)), fitted.apply(CUBE), atol=0.3, rtol=0.05)


def test_pixels_without_signal_and_bands_that_never_change_stay_finite() -> None:
    flat = PIXELS.copy()
    flat[:, 3], flat[7] = 5.0, 0.0
    for how in ("none", "l1", "snv"):
        for pca in (None, 4):
            fitted = fit_bands(flat, BandsChoice(per_pixel=how, pca=pca))
            assert np.isfinite(fitted.apply(flat.T.reshape(12, 1, 15, 20))).all()
    constant = np.full((12, 1, 2, 2), 5.0, np.float32)
    assert fit_bands(np.repeat(PIXELS[:1], 50, 0), BandsChoice()).apply(CUBE).shape == CUBE.shape
    flat[7, 3] = 5.0
    assert (fit_bands(flat, BandsChoice()).apply(constant)[3] == 0).all()


NM = tuple(400.0 + 50 * band for band in range(12))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, tuple(range(12))),
        ("0-2, 5,11", (0, 1, 2, 5, 11)),
        ([5, 1, 5], (1, 5)),
        (4, (4,)),
        ("500-600 nm", (2, 3, 4)),
        ("410nm", (0,)),
        ("400-450, 900-2000 nm", (0, 1, 10, 11)),
    ],
)
def test_bands_are_chosen_by_position_and_by_wavelength(wanted, found) -> None:
    assert select_bands(wanted, 12, NM) == found


@pytest.mark.parametrize(
    ("wanted", "known", "message"),
    [
        ("0-12", NM, "there is no band 12: the 12 bands are 0 to 11"),
        ([-1], NM, "there is no band -1"),
        ("5-3", NM, "expected the smaller number first, got '5-3'"),
        ("red", NM, "expected bands such as '0-102, 110' or '450-900 nm', got 'red'"),
        ("1.5", NM, "expected whole numbers, got '1.5'; write 'nm' for wavelengths"),
        ("450-900 nm", None, "the file has no wavelengths of its bands; choose bands by position"),
        ("2000-3000 nm", NM, "no band lies in '2000-3000 nm'"),
    ],
)
def test_bands_that_there_are_not(wanted, known, message) -> None:
    with pytest.raises(InputError, match=f"^select: .*{message}"):
        select_bands(wanted, 12, known)


def test_choices_hold_for_all_channels_or_for_one() -> None:
    found = band_choices({"bands.pca": 3, "bands": {"per_pixel": "snv"}, "bands.b.pca": 4, "spacing": [1, 1, 1]}, "ab")
    assert found == {"a": BandsChoice(per_pixel="snv", pca=3), "b": BandsChoice(per_pixel="snv", pca=4)}
    for wrong, message in (
        ({"bands.pcs": 3}, "bands.pcs: unknown key; known are pca, per_pixel, select, whiten"),
        ({"bands.per_pixel": "l2"}, "bands.per_pixel: Input should be 'none', 'l1' or 'snv', got 'l2'"),
    ):
        with pytest.raises(InputError) as caught:
            band_choices(wrong, "ab")
        assert str(caught.value) == message
    with pytest.raises(InputError, match="13 components of 12 bands are too many"):
        fit_bands(PIXELS, BandsChoice(pca=13))
