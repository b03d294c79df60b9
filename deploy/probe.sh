#!/bin/sh
# Healthy: the heartbeat is no older than ten seconds. Only a consuming worker, or a scheduler that
# looks after the ledger, renews it.
[ -n "$(find "$RISK_TASKS_HEARTBEAT_FILE" -newermt '10 seconds ago' 2>/dev/null)" ]
