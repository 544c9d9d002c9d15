"""Looks users up and creates them: HTTP tasks.

The users are kept in memory, to keep the example small: a service that runs in several processes
needs a database.
"""

from __future__ import annotations

from flask import Request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field, ValidationError

import ucam_faas


class User(BaseModel):
    """A person who may log in."""

    user_id: str = Field(pattern=r"^[a-z0-9]{1,20}$")
    name: str = Field(min_length=1)


USERS = {"ada": User(user_id="ada", name="Ada Lovelace")}


@ucam_faas.http(path="/users/<user_id>", methods=["GET"])
def get_user(user_id: str) -> ResponseReturnValue:
    """Look a user up."""
    user = USERS.get(user_id)
    if user is None:
        return {"error": "There is no such user"}, 404
    return user.model_dump()


@ucam_faas.http(path="/users", methods=["POST"])
def create_user(request: Request) -> ResponseReturnValue:
    """Create a user."""
    try:
        user = User.model_validate_json(request.get_data())
    except ValidationError:
        return {"error": "Expected JSON with user_id and name"}, 400
    # Creating the same user again is not an error: a client that got no answer may ask again.
    if USERS.setdefault(user.user_id, user) != user:
        return {"error": "This user_id is taken"}, 409
    return user.model_dump(), 201, {"Location": f"/users/{user.user_id}"}
