"""The one error that the rules raise and the routes answer with."""


class ApiError(Exception):
    """A refusal with its HTTP status; the message becomes ``{"error": message}``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
