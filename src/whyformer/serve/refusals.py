"""Refusals: why a request gets no answer, in one sentence, whatever the protocol that it came by."""

from typing import ClassVar

from whyformer.errors import WhyformerError


class RefusalError(WhyformerError):
    """A request that is not answered; ``str`` of it is one sentence for the client."""

    status: ClassVar[int] = 400
    """HTTP status that says so."""
    reason: ClassVar[str] = "invalid"
    """Word for metrics and for clients' programs."""

    def __init__(self, message: str, *, retry_after: int | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which to ask again, if that may help."""
        self.field = field
        """Field of the request that is at fault, if it is one."""


class InvalidRequestError(RefusalError):
    """A request that says something that cannot be."""


class UnauthorizedError(RefusalError):
    """A request without a key that is known here."""

    status = 401
    reason = "key"


class UnknownRunError(RefusalError):
    """A request for a run that is not served here, or that does something else."""

    status = 404
    reason = "run"


class RequestTooLargeError(RefusalError):
    """A request that is beyond a limit of the service."""

    status = 413
    reason = "size"


class OverloadedError(RefusalError):
    """A request that finds the queue full."""

    status = 429
    reason = "overload"


class DrainingError(RefusalError):
    """A request that comes while the service is ending, or before it is ready."""

    status = 503
    reason = "draining"


class AbandonedError(RefusalError):
    """A request whose client has left; nobody reads that."""

    status = 499
    reason = "abandoned"


class DeadlinePassedError(RefusalError):
    """A request whose time ran out before its answer was there."""

    status = 504
    reason = "deadline"


class FailedError(RefusalError):
    """A request that failed by a fault of ours."""

    status = 500
    reason = "fault"
