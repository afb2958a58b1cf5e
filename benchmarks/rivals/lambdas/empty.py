"""A Lambda function that does nothing."""


def handler(event: object, context: object) -> dict[str, bool]:
    """Answer."""
    del event, context
    return {"done": True}
