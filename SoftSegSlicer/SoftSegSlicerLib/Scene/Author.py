"""Who says it: the user information of the application's settings."""

import slicer


def name():
    """Return the name, or else the login, of the person in the application's settings; empty where there is none."""
    app = getattr(slicer, "app", None)
    person = app.applicationLogic().GetUserInformation() if app is not None else None
    if person is None:
        return ""
    return person.GetName() or person.GetLogin() or ""
