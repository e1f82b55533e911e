"""Patterns for ``pytest.raises(match=...)``."""

import re


def matches(*parts):
    """Pattern of the literal ``parts`` in this order, with anything in between."""
    return "(?s)" + ".*".join(re.escape(str(part)) for part in parts)
