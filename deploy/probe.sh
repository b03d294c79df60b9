#!/bin/sh
# Healthy: the heartbeat is at most ten seconds old. A worker renews it while it fetches messages, a
# scheduler while it checks the ledger.
[ -n "$(find "$RISK_TASKS_HEARTBEAT_FILE" -newermt '10 seconds ago' 2>/dev/null)" ]
