"""The Functions app: it registers the edges, and nothing else."""

import azure.functions as func

from functions import acs_events, call_events, health, ivr, prompts, upkeep

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

for blueprint in (acs_events.bp, call_events.bp, health.bp, ivr.bp, prompts.bp, upkeep.bp):
    app.register_functions(blueprint)
