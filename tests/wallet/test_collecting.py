"""The wallet says in words whether a field is to be used, or collected as well."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from protocol import consent
from tests.wallet.organisation import Organisation
from wallet import render
from wallet.names import Names


@pytest.mark.parametrize(
    ("language", "used", "collected"), [("en", "used", "collected from you"), ("zh", "使用", "向您收集")]
)
def test_what_is_done_with_a_field_is_said_in_words(language: str, used: str, collected: str) -> None:
    process = Organisation().process("contact.email")
    both = replace(process, processing=frozenset({consent.USE, consent.COLLECT}))
    strange = replace(process, processing=frozenset({consent.Processing("dpv:Sell")}))
    assert render.done(process, language) == used
    assert render.done(both, language).startswith(used)
    assert collected in render.done(both, language)
    assert render.done(strange, language) == "dpv:Sell"
    console = Console(width=200, record=True, file=StringIO())
    console.print(render.processes([both], Names(language)))
    assert collected in console.export_text()
