"""What the checks before a media socket's upgrade proved."""

from dataclasses import dataclass

from shared.core.ownership import MediaClaim


@dataclass(frozen=True, slots=True)
class Admitted:
    """A socket that may be upgraded; whether it gets its call, the call's row says (`take_row`)."""

    call_id: str
    claim: MediaClaim

    @property
    def account_id(self) -> str:
        """The account that the token names."""
        return self.claim.account_id

    @property
    def jti(self) -> str:
        """The token's id."""
        return self.claim.jti

    @property
    def call_connection_id(self) -> str | None:
        """The connection that the socket names; None where it names none, and the row does."""
        return self.claim.call_connection_id

    @property
    def is_acs_verified(self) -> bool:
        """Whether ACS's own JWT came with the socket."""
        return self.claim.is_acs_verified

    @property
    def is_expired(self) -> bool:
        """Whether the token is past its time, which is good for a call that lost its media alone."""
        return self.claim.is_expired
