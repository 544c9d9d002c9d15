"""The messages that the sign-up page publishes."""

from __future__ import annotations

from pydantic import BaseModel, Field


class NewUser(BaseModel):
    """A person has signed up."""

    user_id: str = Field(pattern=r"^[a-z0-9-]+$", examples=["u-1"])
    name: str = Field(min_length=1, examples=["Ada"])
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", examples=["ada@example.org"])
    wants_email: bool = True
