"""What a wallet cannot do, said so that its owner knows what to do next."""


class WalletError(Exception):
    """A stable ``code`` and one sentence for the owner; ``status`` is the organisation's HTTP status, if it said no."""

    def __init__(self, code: str, detail: str, *, field: str | None = None, status: int | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.field = field
        self.status = status
