"""What the tests of serving share."""


def items_of(response):
    """Return the ids of a list."""
    assert response.status_code == 200, response.text
    return [one["item"] for one in response.json()["items"]]
