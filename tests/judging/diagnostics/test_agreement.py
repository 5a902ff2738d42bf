import numpy as np
import pytest
import torch
from diagnosed import CONFIG, WrittenJudge, figure

from degre_pipeline.judging.diagnostics.agreement import correlation_over_requests, judge_agreement_rows
from degre_pipeline.judging.diagnostics.diagnostics_config import DiagnosticsConfig


def test_judges_may_agree_on_one_kind_of_list_and_not_on_another(make_requests) -> None:
    requests = make_requests(4, n=6, slots=2)
    one = WrittenJudge("mining", lambda items: items)
    reverse_above_3 = WrittenJudge("external", lambda items: np.where(items > 3, 8 - items, items))
    mined = torch.tensor([[[5, 0], [4, 0], [-1, -1]]]).expand(4, 3, 2)  # 5 < 4 in the external's eyes
    rows = judge_agreement_rows(requests, mined, [reverse_above_3, one], 100, CONFIG)

    assert {row["judge"] for row in rows} == {"external-mining"}
    assert figure(rows, "agreement", "mined", "external-mining") == pytest.approx(-1)
    assert 0.4 < figure(rows, "agreement", "random", "external-mining") < 1


def test_exposed_lists_are_compared_over_requests_by_what_they_are_above_random_ones(make_requests) -> None:
    requests = make_requests(12, n=6, slots=2)
    base = torch.arange(12)[:, None, None] * 100  # how easy a request is: both judges know

    class Easy(WrittenJudge):
        def prefix_values(self, requests, sequences):
            return super().prefix_values(requests, sequences) + base[requests.request_id - 100].numpy()

    one, same = Easy("mining", lambda items: items), Easy("external", lambda items: 3 * items + 1)
    other = Easy("truth", lambda items: -items)
    rows = judge_agreement_rows(requests, requests.exposed[:, None], [one, same, other], 60, CONFIG)

    assert figure(rows, "agreement", "exposed", "mining-external") == pytest.approx(1)
    assert figure(rows, "agreement", "exposed", "mining-truth") == pytest.approx(-1)


def test_correlation_over_requests_has_an_interval_around_it() -> None:
    draw = np.random.default_rng(0)
    one = draw.normal(size=200)
    found = correlation_over_requests(one, one + draw.normal(size=200), CONFIG)

    assert found.low < found.value < found.high
    assert found.high - found.low < 0.4
    nothing = correlation_over_requests(one, np.zeros(200), CONFIG)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"requests": 0}, "requests is 0; allowed: 1 or more"),
        ({"random_lists": 1}, "random_lists is 1; allowed: 2 or more"),
        ({"beam_sizes": []}, r"beam_sizes is \[\]"),
        ({"beam_sizes": [1, 1]}, r"beam_sizes is \[1, 1\]; allowed: .* each once"),
        ({"beam_sizes": [0]}, r"beam_sizes is \[0\]"),
        ({"beam_sizes": [2.0]}, r"beam_sizes is \[2.0\]"),
    ],
)
def test_settings_are_checked(changed, message) -> None:
    with pytest.raises(ValueError, match=message):
        DiagnosticsConfig(**changed)
