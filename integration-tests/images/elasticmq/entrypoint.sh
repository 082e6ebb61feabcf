#!/bin/sh
# Runs the server in the foreground. Arguments are further system properties (`-Dname=value`), as with the official image.
set -eu
# C1 alone: half the time to start, and two cores are not spent on compiling what runs for a minute.
exec java -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dconfig.file=/opt/elasticmq.conf "$@" \
  -cp '/opt/elasticmq/lib/*' org.elasticmq.server.Main
