"""What a client that knows the fleet asks about: names that are there, in half of its requests."""

import schemathesis

TASKS = ["well", "bad", "long", "stored"]
# Without the instance that answers: one that is drained runs nothing, and says so with a 503.
INSTANCES = ["b"]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    known = {"task": TASKS}
    if "/instances/" in context.operation.path:
        known["id"] = INSTANCES
    for name, value in (path_parameters or {}).items():
        if name in known and isinstance(value, str) and len(value) % 2:
            number = sum(value.encode("utf-8", "replace"))
            path_parameters[name] = known[name][number % len(known[name])]
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    """A schema cannot tell which kinds of work and which schedules there are."""
    if isinstance(body, dict) and isinstance(body.get("cron"), str) and len(body["cron"]) % 2:
        body["cron"] = "0 0 12 1 1 *"
        if "handler" in body:
            body["handler"] = "note"
    return body
