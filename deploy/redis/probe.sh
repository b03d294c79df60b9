#!/bin/sh
# Healthy: it answers, and has loaded what it keeps. The user may do nothing else.
redis-cli --no-auth-warning --user health --pass none ping | grep -q PONG
