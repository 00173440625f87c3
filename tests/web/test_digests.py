"""The digests that a release tells are those of the files that are served."""

import hashlib
from base64 import b64encode

from tools import web


def test_the_digest_of_a_page_is_over_every_file_of_it() -> None:
    assert web.run("build") == 0
    told = web.digests()
    assert set(told) == {"audit", "crm", "wallet"}
    for name, digest in told.items():
        folder = web.PAGES / name
        lines = []
        for path in sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()):
            if path != "build.json":
                sum_ = b64encode(hashlib.sha384((folder / path).read_bytes()).digest()).decode()
                lines.append(f"{path} sha384-{sum_}\n")
        assert hashlib.sha256("".join(lines).encode()).hexdigest() == digest
