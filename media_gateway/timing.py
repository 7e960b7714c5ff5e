"""Every duration and limit of the media gateway, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Durations in seconds. Tests run with shorter ones."""

    ownership_s: float = 4.0
    """For taking the call by its row; meanwhile its audio is kept."""
    ownership_doubt_s: float = 10.0
    """After that, to find out whether the row is ours, so that the call can be ended in order."""
    metadata_s: float = 5.0
    """AudioMetadata is the first message of a socket."""
    announcement_s: float = 3.0
    """For the announcement of a recording to be fetched; a call without it is not recorded."""
    agent_open_s: float = 10.0
    comfort_s: float = 3.0
    """A caller who waits longer for the agent is asked for patience."""
    agent_words_s: float = 0.1
    """For an agent that was lost to write down what it was just saying, so that the next one learns of it."""
    agent_reconnect_s: float = 2.0
    """For another agent, when one was lost in the midst of the call."""
    agent_stable_s: float = 30.0
    """An agent that has lived so long may be replaced, though another one was before."""
    sound_s: float = 8.0
    """For one WAV file to be fetched and read, within the agent's time to open."""
    agent_close_s: float = 2.0
    """For the agent's `close`; as long before it for an `open` that is cancelled. Then it is abandoned."""
    goodbye_s: float = 60.0
    """At most, for the caller to hear what the agent said before it ended the call."""
    play_s: float = 8.0
    """For ACS to fetch and play a prompt to a call without media."""
    keys_s: float = 5.0
    """For ACS to take keys that the agent presses."""
    hang_up_s: float = 8.0
    """For one try."""
    hang_up_for_s: float = 30.0
    """How long ACS is asked again, while it is away; when the process stops, what is left of `stop_s`."""
    hang_up_step_max_s: float = 4.0
    """The longest pause between two tries; it begins at `retry_step_s` and doubles."""
    socket_close_s: float = 2.0
    """For ACS to close its socket after the hang-up, or to answer our close frame."""
    disconnect_wait_s: float = 1.0
    """After a normal close of the socket: CallDisconnected comes a little before or after it."""
    media_restart_s: float = 1.5
    """After a socket was lost: how long ACS has to open it again by itself, before it is asked to."""
    start_media_s: float = 3.0
    """For ACS to take that."""
    row_look_s: float = 1.0
    """How often the row is read while media are lost: a socket may have come to another pod."""
    interruption_grace_s: float = 8.0
    """For media to come back; then the call is sent on, or hung up."""
    media_stable_s: float = 2.0
    """Media that were there for less count as not there."""
    transfer_end_s: float = 5.0
    """For ACS to end our leg of a call that was transferred."""
    transfer_told_s: float = 3.0
    """For ACS to tell that a transfer was accepted, once our leg has ended: callbacks come in any order. One read more
    than a lost signal costs."""
    events_step_s: float = 2.0
    """How often the call's events are read while something is waited for: what a lost signal costs."""
    events_idle_step_s: float = 15.0
    """How often they are read otherwise: a call may end without its socket noticing."""
    row_write_s: float = 10.0
    """For one try at writing the call's row; there are `row_write_tries`."""
    row_write_short_s: float = 2.0
    """For a try that the hang-up waits for: a caller in silence counts more than the row."""
    row_late_s: float = 600.0
    """For storage to take the last row of a call whose end it did not."""
    retry_step_s: float = 0.25
    """Before the second try; doubled for each further one."""
    heartbeat_s: float = 1.0
    heartbeat_timeout_s: float = 3.0
    keys_retry_s: float = 1.0
    """Before another try at reading keys, while there are none."""
    keys_check_s: float = 15.0
    drain_s: float = 0.0
    """After SIGTERM: how long calls go on, before they are handed over or ended."""
    media_grant_s: float = 15.0
    """How long any pod may take a call that was handed over."""
    stop_s: float = 20.0
    """For all calls to end in order after that."""
    recordings_s: float = 2.0
    """After that, for recordings to be finalised; what is not stays in parts."""
    cut_off_s: float = 1.0
    """For those that did not, to be cancelled."""
    ping_s: float = 20.0
    tick_s: float = 0.05
    """The playout ticker's step: a quarter of the 200 ms that are kept at ACS."""
    lag_allowed_s: float = 0.15
    """How late the event loop may be: what the 200 ms at ACS leave when the ticker's step is taken off. Later, the
    caller's end runs dry, and every caller of the pod hears a gap."""
    lag_step_s: float = 0.05
    """How often its lag is measured."""
    lag_window_s: float = 5.0
    """For how long a lag counts: a pod that was too late takes no call for so long."""
    lag_forgiven_s: float = 0.75
    """Of the window: a garbage collection, or an import, is no lack of room."""

    row_write_tries: int = 4


MAX_MESSAGE_BYTES = 64 * 1024
"""A media message is 1 to 2 KB; one larger than this, fragments together, ends its call."""

WRITE_BUFFER_BYTES = 24 * 1024
"""What may wait in this process for ACS to read: about 0.4 s of audio, a little more than is ever due at once. Past
it, audio stays in the playout queue until ACS has read on; nothing is dropped before that queue (120 s) is full. A
peer that stays away is found by the pings."""

SOCKET_BUFFER_BYTES = 16 * 1024
"""What the kernel may hold beyond that. Its default would swallow a minute of audio before anybody noticed."""

READ_BUFFER_BYTES = 8 * 1024

SOUND_CACHE_BYTES = 64 * 1024 * 1024
"""Samples of WAV files kept for the next call: 23 min at 24 kHz. Past it the sound used longest ago goes first; what
a call in progress plays stays with that call."""

EARLY_BYTES = 480_000
"""Caller audio kept until the agent listens: 10 s at 24 kHz. Past it the oldest goes first, and is counted."""
