import math
from dataclasses import replace

import pytest


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("requests", -1),
        ("least_requests", 0),
        ("pcoc_high", 0.9),
        ("pcoc_low", 1.5),
        ("least_hr1", "half"),
        ("non_inferiority_margin", -0.1),
        ("guardrail_margin", 2.0),
        ("latency_ratio", 0.0),
        ("sufficient", "better"),
        ("promotes", True),
        ("bootstrap_samples", 1),
        ("seed", -1),
        ("least_users", 0),
        ("least_gain", -math.inf),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(gate_config, setting, value):
    with pytest.raises(ValueError, match=f"{setting} is {value!r}; allowed: "):
        replace(gate_config, **{setting: value})
