"""docs/gauges.md names the gauges that the code sends, no more and no fewer."""

import re
from pathlib import Path

from coinwatch import gauges

PAGE = Path(__file__).parents[2] / "docs" / "gauges.md"


def test_page_lists_every_gauge_with_its_meaning() -> None:
    rows = re.findall(r"^\| `coinwatch\.(\S+)` \| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert dict(rows) == gauges.NAMES
    assert len(rows) == len(gauges.NAMES)
