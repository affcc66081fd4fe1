"""Text between two markers of a page, which a tool writes."""


def with_content(text: str, start: str, end: str, content: str) -> str:
    """Return `text` with `content`, and a line break, between two markers.

    Args:
        text: The page.
        start: The first marker, with what follows it up to the content.
        end: The second marker.
        content: The new content.

    Raises:
        ValueError: A marker is missing.
    """
    before, has_start, rest = text.partition(start)
    _, has_end, after = rest.partition(end)
    if not (has_start and has_end):
        raise ValueError(f"the markers {start.strip()} and {end} are missing")
    return f"{before}{start}{content}\n{end}{after}"
