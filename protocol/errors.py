"""The one error of broken evidence, with a code that callers, clients and the log may rely on."""


class EvidenceError(Exception):
    """Evidence (a document, a signature, an identifier) is not what it must be.

    `code` is stable and machine-readable, `detail` is a sentence for people that never holds a personal value,
    `field` names the member at fault, where one is known.
    """

    __slots__ = ("code", "detail", "field")

    def __init__(self, code: str, detail: str, *, field: str | None = None) -> None:
        super().__init__(code, detail, field)
        self.code = code
        self.detail = detail
        self.field = field

    def __str__(self) -> str:
        where = f" ({self.field})" if self.field else ""
        return f"{self.code}: {self.detail}{where}"
