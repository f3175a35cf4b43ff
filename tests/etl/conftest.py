import pytest

from tests.etl.making import Built, exports


@pytest.fixture
def built(tmp_path):
    """Builds a warehouse from rows given by kind: built(orders=[{...}], ...)."""
    made = []

    def make(how=None, **rows) -> Built:
        folder = exports(tmp_path / f"exports{len(made)}", **rows)
        made.append(Built(folder, tmp_path / "data", **(how or {})))
        return made[-1]

    yield make
    for one in made:
        one.con.close()
