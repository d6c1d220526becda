"""The reader of metrics refuses what a scraper would refuse."""

from __future__ import annotations

import pytest

from tests.service.prometheus import parse

HEAD = "# HELP a_watts Power.\n# TYPE a_watts gauge\n"


def test_a_good_page_is_read() -> None:
    family = parse(HEAD + 'a_watts{id="x"} 1.5\na_watts{id="y"} +Inf\n')["a_watts"]
    assert family.kind == "gauge"
    assert sorted(family.samples.values()) == [1.5, float("inf")]


@pytest.mark.parametrize(
    "page",
    [
        HEAD + "a_watts 1",
        HEAD + "a_watts one\n",
        HEAD + "b_watts 1\n",
        HEAD + 'a_watts{id="x"} 1\na_watts{id="x"} 2\n',
        HEAD + 'a_watts{id="x",id="y"} 1\n',
        HEAD + 'a_watts{id="x" 1\n',
        HEAD + HEAD + "a_watts 1\n",
        "# TYPE a_watts gauge\na_watts 1\n",
        "# HELP a_watts Power.\n# TYPE a_watts dial\na_watts 1\n",
        "# HELP a_total N.\n# TYPE a_total gauge\na_total 1\n",
        "a_watts 1\n",
    ],
)
def test_a_bad_page_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|sample|convert|end"):
        parse(page)
