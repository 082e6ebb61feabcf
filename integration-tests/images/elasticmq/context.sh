#!/bin/sh
# needs: mvn maven
# Puts the server's jars, from Maven Central, into `lib` of the folder given: a copy of this one.
set -eu
cd "$1"
# Its own repository: what Maven fetches goes away with the folder.
mvn -q -B -ntp "-Dmaven.repo.local=$PWD/.m2" dependency:copy-dependencies -DoutputDirectory=lib
rm -rf .m2
