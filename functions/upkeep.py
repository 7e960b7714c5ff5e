"""The gateway's upkeep, on a timer."""

import azure.functions as func

from functions.process import PROCESS

bp = func.Blueprint()


@bp.function_name("upkeep")
@bp.timer_trigger(arg_name="timer", schedule=PROCESS.upkeep_schedule, use_monitor=True)
async def upkeep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker names the parameter
    """Close what nobody else ends, and delete what is old; what a run does not get to, the next one does.

    Raises:
        NotConfigured: the settings are not good; the host then counts the run as failed.
    """
    gateway = await PROCESS.gateway()
    await gateway.upkeep.run()


@bp.function_name("ivr_upkeep")
@bp.timer_trigger(arg_name="timer", schedule="0 * * * * *", use_monitor=False)
async def ivr_upkeep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker names the parameter
    """Go on with calls at the IVR that nothing was heard of in time. A run that is missed needs no other one.

    Raises:
        NotConfigured: as `upkeep`.
    """
    gateway = await PROCESS.gateway()
    await gateway.upkeep.run_each_minute()
