"""Numbers from requests: rates, percentiles, ratios."""

import pytest

from bedplate.app.toolchain.serve.load_results import LoadRun, figures_of, percentiles, table_of, values_of
from bedplate.toolchain.load.messages import LoadResult, RequestResult


def request(turn: int, first_token_s: float, tokens: list[int], cached: int | None = 0) -> RequestResult:
    return RequestResult(
        conversation=0,
        turn=turn,
        prompt_tokens=100,
        cached_tokens=cached,
        tokens=tuple(tokens),
        num_tokens=len(tokens),
        first_token_s=first_token_s,
        per_token_s=0.5 if len(tokens) > 1 else None,
    )


def run(kv: str | None, seconds: float, *requests: RequestResult) -> LoadRun:
    result = LoadResult(engine="bedplate" if kv else "vllm", seconds=seconds, requests=requests)
    return LoadRun(kv=kv, load="chat", streams=1, result=result)


OFF = run("off", 4.0, request(0, 3.0, [1, 2]), request(1, 5.0, [3, 4]))
ON = run("on", 2.0, request(0, 1.0, [1, 2]), request(1, 1.0, [3, 4], cached=64))


def test_ratios_say_how_many_times_better_memory_is() -> None:
    values = values_of([OFF, ON])
    assert values["kv_throughput_ratio"] == 2
    assert values["kv_ttft_ratio"] == 4
    assert values["kv_answers_equal"] == 1
    assert values["kv_hit_frac"] == pytest.approx(0.32)
    assert values["serve_tokens_per_s_kv_off"] == 1


def test_one_other_token_is_another_answer() -> None:
    other = run("on", 2.0, request(0, 1.0, [1, 2]), request(1, 1.0, [3, 5]))
    assert values_of([OFF, other])["kv_answers_equal"] == 0


def test_one_setting_alone_has_no_ratios() -> None:
    assert not {"kv_throughput_ratio", "kv_answers_equal"} & set(values_of([OFF]))


def test_percentiles_are_values_that_were_seen_or_the_middle_of_two() -> None:
    assert percentiles([3.0, 1.0]) == {"p50": 2.0, "p99": 3.0}
    assert percentiles([float(value) for value in range(1, 101)]) == {"p50": 50.5, "p99": 99.0}
    assert percentiles([]) == {"p50": None, "p99": None}


def test_answers_of_one_token_have_no_time_per_token() -> None:
    single = run("off", 1.0, request(0, 0.5, [1]))
    assert single.as_json()["tpot_s"] == {"p50": None, "p99": None}
    assert table_of([single]).rows[0][5] is None


def test_a_peer_is_compared_with_the_last_setting_of_ours() -> None:
    peer = run(None, 1.0, request(0, 0.5, [1, 2], cached=None), request(1, 0.5, [7, 8], cached=None))
    values = values_of([OFF, ON, peer])
    assert values["peer_throughput_ratio"] == 0.5
    assert values["peer_ttft_ratio"] == 0.5
    assert values["serve_tokens_per_s_peer"] == 4
    assert values["kv_throughput_ratio"] == 2  # as without a peer
    assert (peer.as_json()["engine"], peer.as_json()["kv"], peer.as_json()["hit_frac"]) == ("vllm", None, None)
    assert [str(row[0]) for row in table_of([OFF, peer]).rows] == ["KV memory off", "vllm"]


def test_figures_show_the_first_token_by_turn() -> None:
    first_token, _ = figures_of([OFF, ON], "scale")
    assert [(str(series.name), series.x, series.y) for series in first_token.series] == [
        ("KV memory off", ("1", "2"), (3.0, 5.0)),
        ("KV memory on", ("1", "2"), (1.0, 1.0)),
    ]
