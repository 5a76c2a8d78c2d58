"""What a soxr resampler may be asked for."""

import math

import pytest

from voice_ai.codec.soxr_design import RECIPES, SoxrDesign
from voice_ai.errors import UsageError


@pytest.mark.parametrize("rate_hz", [0, -8000, math.nan, math.inf, 3_072_001])
def test_a_rate_beyond_reason_is_refused_on_either_side_by_its_number(rate_hz):
    with pytest.raises(UsageError, match=rf"in_rate is {rate_hz} Hz; .* 3072000"):
        SoxrDesign(rate_hz, 8000)
    with pytest.raises(UsageError, match=rf"out_rate is {rate_hz} Hz; .* 3072000"):
        SoxrDesign(8000, rate_hz)


@pytest.mark.parametrize("rates", [(1000, 256_001), (256_001, 1000), (1e-300, 1e300)])
def test_a_ratio_beyond_256_is_refused(rates):
    with pytest.raises(UsageError, match=r"3072000|1/256 to 256"):
        SoxrDesign(*rates)


@pytest.mark.parametrize("rates", [(1000, 256_000), (256_000, 1000), (0.5, 1), (44_100.5, 8e3)])
def test_every_ratio_up_to_256_may_be_asked_for(rates):
    assert SoxrDesign(*rates).quality == "HQ"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"dtype": "int32"}, "dtype is 'int32'; int16, float32"),
        ({"quality": "best"}, "quality is 'BEST'; QQ, LQ"),
        ({"phase": "late"}, "phase is 'late'; linear"),
        ({"phase": -1}, "phase is -1 %; 0 to 100"),
        ({"phase": math.nan}, "phase is nan %; 0 to 100"),
        ({"passband": 90}, "passband is 90; .* up to 2"),
        ({"passband": math.nan}, "passband is nan"),
        ({"stopband": math.inf}, "stopband is inf"),
        ({"stopband": 0}, "stopband is 0"),
        ({"log2_min_dft_size": 7}, "log2_min_dft_size is 7; 8 to 15"),
        ({"log2_min_dft_size": 16}, "log2_min_dft_size is 16; 8 to 15"),
        ({"log2_large_dft_size": 21}, "log2_large_dft_size is 21; 8 to 20"),
        ({"quality": "QQ", "phase": "minimum"}, "QQ has no filter that could have phase"),
        ({"quality": "QQ", "passband": 0.8, "log2_min_dft_size": 8}, "passband, log2_min_dft_size"),
    ],
)
def test_an_option_out_of_range_is_refused_by_both_numbers(wanted, message):
    with pytest.raises(UsageError, match=message):
        SoxrDesign(8000, 16000, **wanted)


@pytest.mark.parametrize("quality", RECIPES)
def test_a_quality_is_named_in_either_case(quality):
    assert SoxrDesign(1, 2, quality=quality.lower()).recipe == RECIPES[quality]


@pytest.mark.parametrize(
    ("phase", "percent"), [("linear", 50), ("intermediate", 25), ("minimum", 0), (12.5, 12.5)]
)
def test_a_phase_is_a_name_or_libsoxrs_number(phase, percent):
    assert SoxrDesign(1, 2, phase=phase).phase_percent == percent


def test_what_is_not_the_qualitys_own_has_a_name():
    assert SoxrDesign(1, 2, phase=50, dither=True).of_the_filter() == []
    design = SoxrDesign(1, 2, phase="minimum", stopband=1.1, log2_large_dft_size=9)
    assert design.of_the_filter() == ["phase", "stopband", "log2_large_dft_size"]
