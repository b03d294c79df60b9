#!/bin/sh
# Healthy: the server answers and has loaded its data. The user `health` may only say PING.
redis-cli --no-auth-warning --user health --pass none ping | grep -q PONG
