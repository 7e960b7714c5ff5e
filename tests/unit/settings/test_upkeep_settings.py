"""What upkeep is told: sane without a word, and refused where a slip would delete too much or never run."""

import pytest

from shared.config import SettingsInvalid, functions_settings
from tests.unit.settings.test_config import LOCAL


def test_without_a_word_calls_are_kept_for_ninety_days_and_recordings_for_ever():
    upkeep = functions_settings(LOCAL).upkeep
    assert upkeep.schedule == "0 */5 * * * *"
    assert (upkeep.owner_lost_after_s, upkeep.claim_retention_hours) == (60, 24)
    assert (upkeep.call_retention_days, upkeep.recording_retention_days) == (90, 0)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"OWNER_LOST_AFTER_S": "9"}, "OWNER_LOST_AFTER_S must be from 10 to 3600"),
        ({"CLAIM_RETENTION_HOURS": "3"}, "CLAIM_RETENTION_HOURS must be from 4 to 8760"),
        ({"CALL_RETENTION_DAYS": "0"}, "CALL_RETENTION_DAYS must be from 1 to 3650"),
        ({"RECORDING_RETENTION_DAYS": "-1"}, "RECORDING_RETENTION_DAYS must be from 0 to 3650"),
        ({"RECORDING_RETENTION_DAYS": "0.5"}, "RECORDING_RETENTION_DAYS must be a whole number"),
        ({"UPKEEP_SCHEDULE": "*/5 * * * *"}, "UPKEEP_SCHEDULE must have six fields, as 0 */5 * * * *"),
        ({"UPKEEP_SCHEDULE": "00:05:00"}, "UPKEEP_SCHEDULE must have six fields, as 0 */5 * * * *"),
    ],
)
def test_a_slip_is_named_at_start(settings, fault):
    with pytest.raises(SettingsInvalid) as invalid:
        functions_settings(LOCAL | settings)
    assert invalid.value.faults == (fault,)


@pytest.mark.parametrize("schedule", ["0 */5 * * * *", "30 0 4 * * Mon-Fri", "0,30 1-5/2 * 1 JAN 0"])
def test_a_schedule_of_six_fields_is_taken(schedule):
    assert functions_settings(LOCAL | {"UPKEEP_SCHEDULE": schedule}).upkeep.schedule == schedule
