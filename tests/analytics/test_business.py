"""The business file as everybody reads it: parsed once, and again when it changes."""

import os

import pytest

from analytics import business as reader
from analytics.business import business
from etl.business import DEFAULT_FILE
from etl.errors import BusinessError
from operations import services


def test_it_is_parsed_once_and_again_when_it_changes(tmp_path, settings, monkeypatch):
    file = settings.BUSINESS_FILE = tmp_path / "business.toml"
    file.write_text(DEFAULT_FILE.read_text())
    parsed, load = [], reader.load_business
    monkeypatch.setattr(reader, "load_business", lambda path: parsed.append(path) or load(path))
    methods = services.payment_methods()
    assert (business().currency, services.payment_methods()) == ("Dhs", methods)
    assert parsed == [file]
    file.write_text(DEFAULT_FILE.read_text().replace('currency = "Dhs"', 'currency = "EUR"'))
    os.utime(file, ns=(1, 1))
    assert (business().currency, parsed) == ("EUR", [file, file])
    file.unlink()
    with pytest.raises(BusinessError):
        business()
