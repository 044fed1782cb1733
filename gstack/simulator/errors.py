"""Every error the API answers: one exception, and a maker for each text that several commands share.

Apart, because the layers below the commands (signing, parameters, paging) raise them too. Surprising:
`cserrorcode` depends on the layer that found the fault and not on the fault, so it is part of each maker.
"""

from __future__ import annotations

HIDDEN = "Internal error executing command, please contact your system administrator"


class ApiError(Exception):
    """An error answer; also what makes a job fail. `text_for_users` replaces the text for callers without
    root's role.
    """

    def __init__(
        self,
        code: int,
        text: str,
        cs: int | None = 4350,
        text_for_users: str | None = None,
        uuids: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.cs = cs
        self.text_for_users = text_for_users
        self.uuids = uuids  # id and what it is, for the few texts that speak of an object without naming it

    def text_for(self, is_root: bool) -> str:
        return self.text if is_root or self.text_for_users is None else self.text_for_users


def unauthorized() -> ApiError:
    return ApiError(401, "unable to verify user credentials and/or request signature", None)


def unavailable(command: str, random_uuid: str) -> ApiError:
    return ApiError(
        432,
        f"The API [{command}] does not exist or is not available for the account for user id [{random_uuid}].",
        9999,
    )


def parameter(command: str, problem: str) -> ApiError:
    return ApiError(431, f"Unable to execute API command {command.lower()} due to {problem}", 9999)


def missing(command: str, name: str) -> ApiError:
    return parameter(command, f"missing parameter {name}")


def unknown_id(command: str, name: str, value: str) -> ApiError:
    return parameter(
        command,
        f"invalid value. Invalid parameter {name} value={value} due to incorrect long value"
        f" format, or entity does not"
        " exist or due to incorrect parameter annotation for the field in api cmd class.",
    )


def removed(kind: str, number: int) -> ApiError:
    return ApiError(431, f"Unable to find UUID for id [{number}] of type [{kind}]")


def invalid(text: str) -> ApiError:
    return ApiError(431, text)


DENIED = "Caller does not have permission to operate with provided resource."


def denied(text: str = DENIED) -> ApiError:
    return ApiError(531, text, 4365)


def hidden(cause: str) -> ApiError:
    """Only root sees why: CloudStack hides the cause of an internal error from everybody else."""
    return ApiError(530, cause, 4250, HIDDEN)


def internal(text: str) -> ApiError:
    return ApiError(530, text, 9999)


def in_use(text: str) -> ApiError:
    return ApiError(536, text, 9999)
