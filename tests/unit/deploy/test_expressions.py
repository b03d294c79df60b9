"""Names are found in expressions; the test of the live metrics depends on it."""

from __future__ import annotations

import pytest

from tests.unit.deploy.expressions import expressions, labels_in, metrics_in


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up == 0", {"up"}),
        ('sum by (lane) (rate(a_total{x="b"}[5m])) / sum(c)', {"a_total", "c"}),
        ("max(a)\nor\nmax(b) > 0.8", {"a", "b"}),
        ('histogram_quantile(0.99, sum by (le) (rate(x_bucket{lane=~"$lane"}[$i])))', {"x_bucket"}),
        ("absent(a_b)", {"a_b"}),
        ("a:rate5m offset 5m", {"a:rate5m"}),
    ],
)
def test_metrics_are_distinguished_from_keywords(expression, names):
    assert metrics_in(expression) == names


def test_every_expression_names_a_metric():
    """There are dozens of expressions."""
    found = list(expressions())

    assert len(found) > 40
    assert all(metrics_in(expression) for _, expression in found)


def test_labels_are_found_where_they_are_matched_and_kept():
    assert labels_in('sum by (lane, le) (rate(a{x="1",y!~"b"}[5m]))') == {"lane", "le", "x", "y"}
