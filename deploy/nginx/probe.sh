#!/bin/bash
# Healthy: nginx and a gateway behind it answer. The image has bash but no HTTP client.
exec 3<>/dev/tcp/127.0.0.1/8200
printf 'GET /livez HTTP/1.0\r\n\r\n' >&3
read -r line <&3
[[ $line == *" 200 "* ]]
