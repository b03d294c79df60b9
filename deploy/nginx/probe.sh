#!/bin/bash
# Healthy: nginx answers, and a gateway behind it. The images have bash and no client of HTTP.
exec 3<>/dev/tcp/127.0.0.1/8200
printf 'GET /livez HTTP/1.0\r\n\r\n' >&3
read -r line <&3
[[ $line == *" 200 "* ]]
