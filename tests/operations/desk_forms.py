"""The forms of the desk's actions as a browser would send them."""


def fields_of(response) -> dict:
    """Every field of the form that a page shows; several values of one are a list."""
    context, found = response.context, {"back": response.context["back"]}
    for name, value in context["kept"]:
        found.setdefault(name, []).append(value)
    for bound in context["form"]:
        value = bound.value()
        if value not in (None, "", False):
            found[bound.html_name] = "on" if value is True and not bound.is_hidden else str(value)
    if "bulk" in context and not context["bulk"]:
        found["order"] = [row.order.pk for row in context["rows"] if row.chosen]
    return found
