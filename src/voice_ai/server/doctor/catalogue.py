"""All checks, in the order in which they are told."""

from typing import Final

from voice_ai.server.doctor import (
    checks_address,
    checks_capacity,
    checks_door,
    checks_keys,
    checks_live_public,
    checks_live_services,
    checks_live_twilio,
    checks_local,
    checks_machine,
    checks_model,
    checks_program,
    checks_settings,
)
from voice_ai.server.doctor.outcome import Check

CHECKS: Final[tuple[Check, ...]] = (
    *checks_settings.CHECKS,
    *checks_address.CHECKS,
    *checks_door.CHECKS,
    *checks_keys.CHECKS,
    *checks_model.CHECKS,
    *checks_local.CHECKS,
    *checks_capacity.CHECKS,
    *checks_machine.CHECKS,
    *checks_program.CHECKS,
    *checks_live_services.CHECKS,
    *checks_live_twilio.CHECKS,
    *checks_live_public.CHECKS,
)
